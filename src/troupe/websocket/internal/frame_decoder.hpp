#pragma once

// From bytes to messages: frames are taken apart, unmasked, put together again, inflated and
// checked, without any I/O.
//
// How the network has cut the bytes never shows: the first byte that is wrong decides. The payload
// of a frame is used as it comes, so nothing that is announced is waited for or reserved, and a
// message that is too large is refused when its head says so. A message grows in one buffer of its
// own; control frames between its fragments do not touch it.

#include <troupe/websocket/internal/deflate.hpp>
#include <troupe/websocket/internal/frame.hpp>
#include <troupe/websocket/internal/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

class FrameDecoder {
public:
    FrameDecoder(Role our_role, std::size_t message_bytes_max) noexcept
        : message_bytes_max_(message_bytes_max), we_are_server_(our_role == Role::server) {}

    /// Messages may be compressed as agreed. Before the first byte.
    void use_deflate(const DeflateTerms& terms);

    enum class Status : std::uint8_t {
        need_more,  // all that can be used was used
        message,    // kind() is text or binary; take_payload()
        ping,       // payload()
        pong,       // payload()
        close,      // close_code() and payload(), the reason. Nothing is to be read behind it.
        failed,     // close_code() and problem(): what to tell the peer
    };

    struct Step {
        Status status;
        std::size_t consumed;  // bytes of the input that are not to be shown again
    };

    /// Reads on. `input` is what was received and not consumed yet; it is unmasked in place, so
    /// what was consumed is of no use to anybody any more.
    Step advance(char* input, std::size_t size);

    Opcode kind() const noexcept { return kind_; }
    const std::string& payload() const noexcept { return kind_is_control() ? control_ : message_; }
    std::string take_payload();
    /// Of a message, in place: whoever wants it may move it away.
    std::string& message() noexcept { return message_; }

    /// Of a close: the code in it, or 1005 when it has none.
    unsigned close_code() const noexcept { return close_code_; }
    std::string_view problem() const noexcept { return problem_; }

    /// Whether the beginning of a message or a frame is here and the rest is not.
    bool inside_message() const noexcept { return in_frame_ || in_message_; }
    /// The same of a message only.
    bool inside_data() const noexcept { return in_message_; }

    /// How many bytes are worth receiving at once; 0 when nothing is known.
    std::size_t bytes_wanted() const noexcept;

    /// Between messages: gives memory back. True when a new decoder would do for what comes next.
    bool rest();

private:
    Status fail(unsigned code, std::string_view problem);
    bool advance_whole(char* input, std::size_t size, Step& step);
    std::size_t read_head(char* input, std::size_t size);
    bool judge_first_byte();
    bool judge_length(std::size_t length_bytes);
    void begin_message();
    bool take_payload_bytes(char* bytes, std::size_t size);
    Status end_frame();
    Status end_message();
    Status end_close();
    bool check_text(std::size_t from, bool ends);
    bool inflated(Inflater::Outcome outcome);
    bool kind_is_control() const noexcept { return is_control(kind_); }

    const std::size_t message_bytes_max_;
    std::uint64_t frame_left_ = 0;  // of the present frame's payload
    std::size_t mask_offset_ = 0;   // into its key
    std::string message_;           // as much as is here
    std::string control_;           // the payload of a control frame
    std::string_view problem_;
    std::unique_ptr<Inflater> inflater_;
    std::uint64_t compressed_bytes_ = 0;  // of the present message
    MaskKey mask_{};
    Utf8Checker text_;
    std::uint16_t close_code_ = 0;
    Opcode frame_opcode_ = Opcode::continuation;
    Opcode message_kind_ = Opcode::binary;
    Opcode kind_ = Opcode::binary;  // of what was reported last
    const bool we_are_server_;
    bool frame_final_ = false;
    bool frame_compressed_ = false;
    bool in_frame_ = false;    // its head was read
    bool in_message_ = false;  // its first frame was begun
    bool message_compressed_ = false;
    bool failed_ = false;
};

}  // namespace troupe::websocket_internal

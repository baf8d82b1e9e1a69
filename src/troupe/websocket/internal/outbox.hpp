#pragma once

// What waits to be sent, from messages to bytes, without any I/O.
//
// Messages wait as they are and become frames only as there is room for bytes, 64 KB of which are
// kept ready. So a policy can still throw a message away, a compressor sees exactly what is sent,
// and a ping never waits behind more than the frame that has begun: large messages are sent in
// fragments. Small ones become bytes at once when nothing waits before them. Large frames of a
// room, which all its members have, are written from where they are.

#include <troupe/websocket/internal/deflate.hpp>
#include <troupe/websocket/internal/encoded.hpp>
#include <troupe/websocket/internal/frame.hpp>
#include <troupe/websocket/options.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {
class Engine;
}

namespace troupe::websocket_internal {

class Outbox {
public:
    /// `masks` makes the keys of a client; null for a server.
    Outbox(const websocket::Options& options, Engine* masks) noexcept
        : options_(options), masks_(masks) {}

    void use_deflate(const DeflateTerms& terms);

    enum class Taken : std::uint8_t {
        yes,
        dropped,   // by the policy: this one
        overflow,  // there is no room, and the policy is to close
    };
    Taken add(Opcode kind, std::string_view payload);
    Taken add(SharedFrames frames);

    /// What is left of frames of which so many bytes were written already, or tried in vain, when
    /// nothing waits. Nothing goes before it.
    void add_rest(SharedFrames frames, std::string_view chosen, std::size_t written,
                  bool compressed);
    /// Compressed frames were sent that are not ours: the peer's window has moved on without ours.
    void forget_window() noexcept;

    /// A control frame: leaves before all messages that have not begun. Of pongs only the newest is
    /// kept while bytes do not go, which is what RFC 6455, section 5.5.3, allows. False when there
    /// are too many others.
    bool add_control(Opcode kind, std::string_view payload);

    /// The last frame, behind all messages. Nothing is added after it.
    void add_close(std::string_view payload);

    /// Forgets the messages of which nothing has become bytes.
    void drop_messages() noexcept;

    /// Bytes to be written now; empty: there is nothing. Valid until the next call of anything.
    std::string_view pending();
    void consume(std::size_t bytes) noexcept;

    /// How much waits.
    std::size_t buffered() const noexcept { return bytes_.size() - written_ + queued_bytes_; }
    bool empty() const noexcept { return buffered() == 0 && controls_.empty() && !queue_; }

    std::uint64_t messages_dropped() const noexcept { return dropped_; }

    /// When it is empty: gives memory back. True when a new one would do for what comes next.
    bool rest() noexcept;

private:
    /// A message, or frames that are ready.
    struct Waiting {
        std::string payload;
        SharedFrames shared;  // as its type says
        std::string_view frames;
        std::size_t done = 0;  // bytes of it that have become frames
        Opcode kind = Opcode::binary;
        bool compressed = false;
        bool begun = false;
        std::size_t size() const noexcept { return shared ? frames.size() : payload.size(); }
    };
    using Queue = std::deque<Waiting>;

    bool add_plainly(Opcode kind, std::string_view payload);
    Taken make_room(std::size_t bytes);
    bool compresses(Opcode kind, std::size_t bytes) const noexcept {
        return deflater_ != nullptr && !is_control(kind) && bytes >= options_.deflate_bytes_min();
    }
    bool between_frames() const noexcept;
    bool writes_from_shared() const noexcept;
    bool goes_at_once(std::size_t bytes, std::size_t most) const noexcept;
    void append_head(Opcode kind, bool final, bool compressed, std::uint64_t bytes);
    void append_payload(std::string_view piece);
    void append_control_frames();
    void begin(Waiting& message);
    void encode_some();
    void push(Waiting message);
    void pop();

    // Large enough that a system call is small beside the copy.
    static constexpr std::size_t kReadyBytesMax = 64 * 1024;

    // What a room has made is copied up to here, to leave together with others.
    static constexpr std::size_t kCopiedBytesMax = 4 * 1024;

    const websocket::Options& options_;
    Engine* const masks_;
    std::string bytes_;             // frames, ready to be written
    std::size_t written_ = 0;       // of them
    std::unique_ptr<Queue> queue_;  // none when nothing waits: most never need one
    std::size_t queued_bytes_ = 0;  // in the queue, not in bytes_ yet
    std::uint64_t frame_left_ = 0;  // of the payload of the frame that has begun
    std::string controls_;          // payloads, each behind its kind and its size
    std::unique_ptr<Deflater> deflater_;
    std::uint64_t dropped_ = 0;
    std::size_t mask_offset_ = 0;
    MaskKey mask_{};
    std::uint8_t window_bits_ = 0;  // agreed for what we send; 0: no compression
};

}  // namespace troupe::websocket_internal

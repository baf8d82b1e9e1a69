#pragma once

#include <troupe/io/codec.hpp>

namespace troupe::codec {

/// How a frame's length is written in front of it.
enum class LengthPrefix : std::uint8_t {
    one_byte,
    two_bytes,  ///< these three: the most significant byte first
    four_bytes,
    eight_bytes,
    varint,  ///< seven bits a byte, the least significant first, as in Protocol Buffers
};

/// Frames of any bytes, each behind its length. A claim beyond the limit is refused before any
/// memory is taken for it, and so is a varint that is longer than it need be.
class LengthDelimited {
public:
    using Frame = std::string;

    /// `frame_bytes_max` does not count the length itself.
    explicit LengthDelimited(std::size_t frame_bytes_max,
                             LengthPrefix prefix = LengthPrefix::four_bytes) noexcept
        : frame_bytes_max_(frame_bytes_max), prefix_(prefix) {}

    /// Errors: frame_too_large; malformed, for a varint in another form than the shortest.
    Result<std::optional<std::string>> decode(std::string_view& input);
    /// Errors: cut_short.
    Result<std::optional<std::string>> finish();

    /// Errors: frame_too_large, also for a length that the prefix cannot hold.
    Result<void> encode(const std::string& frame, std::string& out) const;

    LengthDelimited fresh() const { return LengthDelimited(frame_bytes_max_, prefix_); }

private:
    enum class State : std::uint8_t { length, frame, failed };

    std::unexpected<Error> fail(CodecErrc code, const std::string& why);
    bool take_length(unsigned char byte);

    std::size_t frame_bytes_max_;
    LengthPrefix prefix_;
    State state_ = State::length;
    CodecErrc failure_{};
    std::string failure_text_;
    std::uint64_t frame_begins_ = 0;  // with its length, in the stream
    unsigned prefix_bytes_ = 0;       // of the length, that have come
    std::uint64_t length_ = 0;
    std::string frame_;
};

}  // namespace troupe::codec

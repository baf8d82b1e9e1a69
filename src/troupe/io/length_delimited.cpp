#include <troupe/io/length_delimited.hpp>

#include <algorithm>
#include <utility>

namespace troupe::codec {

namespace {

// 64 bits of seven each; the tenth byte holds the last one.
constexpr unsigned kVarintBytesMax = 10;

unsigned width_of(LengthPrefix prefix) noexcept {
    switch (prefix) {
        case LengthPrefix::one_byte:
            return 1;
        case LengthPrefix::two_bytes:
            return 2;
        case LengthPrefix::four_bytes:
            return 4;
        case LengthPrefix::eight_bytes:
        case LengthPrefix::varint:
            break;
    }
    return 8;
}

std::uint64_t largest_of(LengthPrefix prefix) noexcept {
    const unsigned bits = 8 * width_of(prefix);
    return bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

}  // namespace

std::unexpected<Error> LengthDelimited::fail(CodecErrc code, const std::string& why) {
    state_ = State::failed;
    failure_ = code;
    failure_text_ = "the frame that begins at byte " + std::to_string(frame_begins_) + " " + why;
    return error(failure_, failure_text_);
}

/// True when the length is whole.
bool LengthDelimited::take_length(unsigned char byte) {
    ++prefix_bytes_;
    if (prefix_ != LengthPrefix::varint) {
        length_ = length_ << 8 | byte;
        return prefix_bytes_ == width_of(prefix_);
    }
    length_ |= std::uint64_t{byte & 0x7FU} << (7 * (prefix_bytes_ - 1));
    return (byte & 0x80U) == 0;
}

Result<std::optional<std::string>> LengthDelimited::decode(std::string_view& input) {
    if (state_ == State::failed) return error(failure_, failure_text_);
    while (state_ == State::length) {
        if (input.empty()) return std::nullopt;
        const auto byte = static_cast<unsigned char>(input.front());
        input.remove_prefix(1);
        const bool whole = take_length(byte);
        if (prefix_ == LengthPrefix::varint) {
            // The tenth byte would shift bits out, and a last byte of zero says nothing.
            const bool too_long = prefix_bytes_ == kVarintBytesMax && byte > 1;
            if (too_long || (whole && byte == 0 && prefix_bytes_ > 1)) {
                return fail(CodecErrc::malformed,
                            "has a length that is no varint of the shortest "
                            "form");
            }
        }
        if (!whole) continue;
        if (length_ > frame_bytes_max_) {
            return fail(CodecErrc::frame_too_large, "claims " + std::to_string(length_) +
                                                        " bytes, and the limit is " +
                                                        std::to_string(frame_bytes_max_));
        }
        state_ = State::frame;
    }
    const std::size_t missing = static_cast<std::size_t>(length_) - frame_.size();
    const std::string_view piece = input.substr(0, missing);
    frame_ += piece;
    input.remove_prefix(piece.size());
    if (piece.size() < missing) return std::nullopt;
    frame_begins_ += prefix_bytes_ + length_;
    prefix_bytes_ = 0;
    length_ = 0;
    state_ = State::length;
    return std::exchange(frame_, std::string());
}

Result<std::optional<std::string>> LengthDelimited::finish() {
    if (state_ == State::failed) return error(failure_, failure_text_);
    if (state_ == State::frame) {
        return fail(CodecErrc::cut_short, "is cut short: " + std::to_string(frame_.size()) +
                                              " of its " + std::to_string(length_) +
                                              " bytes have come");
    }
    if (prefix_bytes_ != 0) return fail(CodecErrc::cut_short, "is cut short within its length");
    return std::nullopt;
}

Result<void> LengthDelimited::encode(const std::string& frame, std::string& out) const {
    const std::uint64_t limit = std::min<std::uint64_t>(frame_bytes_max_, largest_of(prefix_));
    if (frame.size() > limit) {
        return error(CodecErrc::frame_too_large, "a frame of " + std::to_string(frame.size()) +
                                                     " bytes is larger than the limit of " +
                                                     std::to_string(limit));
    }
    std::uint64_t length = frame.size();
    if (prefix_ == LengthPrefix::varint) {
        for (; length >= 0x80; length >>= 7)
            out += static_cast<char>(0x80U | (length & 0x7FU));
        out += static_cast<char>(length);
    } else {
        for (unsigned i = width_of(prefix_); i-- > 0;)
            out += static_cast<char>(length >> (8 * i) & 0xFFU);
    }
    out += frame;
    return {};
}

}  // namespace troupe::codec

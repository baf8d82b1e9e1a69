#include <troupe/websocket/internal/frame_decoder.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::websocket_internal {

namespace {

constexpr unsigned kProtocolError = 1002;
constexpr unsigned kInvalidText = 1007;
constexpr unsigned kTooBig = 1009;
constexpr unsigned kNoCode = 1005;

std::uint64_t big_endian(const char* at, std::size_t bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        value = value << 8 | static_cast<std::uint8_t>(at[i]);
    return value;
}

}  // namespace

void FrameDecoder::use_deflate(const DeflateTerms& terms) {
    if (!terms.on) return;
    inflater_ = we_are_server_
                    ? std::make_unique<Inflater>(terms.client_window_bits, terms.client_forgets)
                    : std::make_unique<Inflater>(terms.server_window_bits, terms.server_forgets);
}

FrameDecoder::Status FrameDecoder::fail(unsigned code, std::string_view problem) {
    failed_ = true;
    close_code_ = static_cast<std::uint16_t>(code);
    problem_ = problem;
    message_ = std::string();
    return Status::failed;
}

/// Nearly all frames are like this: a client's short message, whole, and all of it here. The same
/// as what advance does with others, in one go. False: it is another one, and nothing has happened.
bool FrameDecoder::advance_whole(char* input, std::size_t size, Step& step) {
    constexpr std::size_t kHeadBytes = 2 + sizeof(MaskKey);
    if (size < kHeadBytes || !we_are_server_ || in_frame_ || in_message_ || failed_) return false;
    const bool text = input[0] == first_byte(Opcode::text, true, false);
    if (!text && input[0] != first_byte(Opcode::binary, true, false)) return false;
    const std::size_t bytes = static_cast<std::uint8_t>(input[1]) ^ 0x80U;
    if (bytes > kControlBytesMax || bytes > size - kHeadBytes || bytes > message_bytes_max_) {
        return false;
    }
    std::memcpy(mask_.data(), input + 2, mask_.size());
    char* const payload = input + kHeadBytes;
    apply_mask(payload, bytes, mask_, 0);
    message_ = std::string(payload, bytes);
    kind_ = text ? Opcode::text : Opcode::binary;
    step = {Status::message, kHeadBytes + bytes};
    if (text && !is_utf8(message_)) step.status = fail(kInvalidText, "a text is not UTF-8");
    return true;
}

FrameDecoder::Step FrameDecoder::advance(char* input, std::size_t size) {
    if (Step step{}; advance_whole(input, size, step)) return step;
    std::size_t used = 0;
    Status status = Status::need_more;
    // A fragment that has ended says nothing: the next frame is looked at.
    while (status == Status::need_more && !failed_) {
        if (!in_frame_) {
            const std::size_t head_bytes = read_head(input + used, size - used);
            if (head_bytes == 0) break;
            used += head_bytes;
        }
        const auto here =
            static_cast<std::size_t>(std::min<std::uint64_t>(size - used, frame_left_));
        if (here != 0 && !take_payload_bytes(input + used, here)) break;
        used += here;
        frame_left_ -= here;
        if (frame_left_ != 0) break;
        status = end_frame();
    }
    return {failed_ ? Status::failed : status, used};
}

/// Gives the size of the head, or 0 when it is not whole or not right.
std::size_t FrameDecoder::read_head(char* input, std::size_t size) {
    if (size == 0) return 0;
    const auto first = static_cast<std::uint8_t>(input[0]);
    frame_final_ = (first & 0x80) != 0;
    frame_compressed_ = (first & 0x40) != 0;
    frame_opcode_ = static_cast<Opcode>(first & 0x0F);
    if ((first & 0x30) != 0) fail(kProtocolError, "a reserved bit is set");
    if (failed_ || !judge_first_byte() || size < 2) return 0;

    const auto second = static_cast<std::uint8_t>(input[1]);
    const bool masked = (second & 0x80) != 0;
    if (masked != we_are_server_) {
        fail(kProtocolError,
             we_are_server_ ? "a client's frame is not masked" : "a server's frame is masked");
        return 0;
    }
    const unsigned announced = second & 0x7F;
    if (is_control(frame_opcode_) && announced > kControlBytesMax) {
        fail(kProtocolError, "a control frame is longer than 125 bytes");
        return 0;
    }
    const std::size_t length_bytes = announced == 126 ? 2 : announced == 127 ? 8 : 0;
    std::size_t used = 2 + length_bytes;
    if (size < used) return 0;
    frame_left_ = length_bytes == 0 ? announced : big_endian(input + 2, length_bytes);
    if (!judge_length(length_bytes)) return 0;
    if (masked) {
        if (size < used + mask_.size()) return 0;
        std::memcpy(mask_.data(), input + used, mask_.size());
        used += mask_.size();
    }
    in_frame_ = true;
    mask_offset_ = 0;
    if (is_control(frame_opcode_)) {
        control_.clear();
    } else if (!in_message_) {
        begin_message();
    }
    return used;
}

bool FrameDecoder::judge_length(std::size_t length_bytes) {
    const std::uint64_t least = length_bytes == 0 ? 0 : length_bytes == 2 ? 126 : 0x1'0000;
    if (frame_left_ < least) {
        fail(kProtocolError, "a length is not in its shortest form");
    } else if (frame_left_ >> 63 != 0) {
        fail(kProtocolError, "a length has its highest bit set");
    } else if (!is_control(frame_opcode_)) {
        // What is compressed is not larger than what it becomes, but for a few bytes.
        const std::uint64_t held = !in_message_          ? 0
                                   : message_compressed_ ? compressed_bytes_
                                                         : message_.size();
        if (frame_left_ > message_bytes_max_ || held > message_bytes_max_ - frame_left_) {
            fail(kTooBig, "the message is too large");
        }
    }
    return !failed_;
}

/// What can be said of a frame by its first byte.
bool FrameDecoder::judge_first_byte() {
    switch (frame_opcode_) {
        case Opcode::continuation:
            if (!in_message_) {
                fail(kProtocolError, "there is no message to be continued");
            } else if (frame_compressed_) {
                fail(kProtocolError, "a reserved bit is set");
            }
            break;
        case Opcode::text:
        case Opcode::binary:
            if (in_message_) {
                fail(kProtocolError, "a message begins inside of another one");
            } else if (frame_compressed_ && !inflater_) {
                fail(kProtocolError, "a reserved bit is set");
            }
            break;
        case Opcode::close:
        case Opcode::ping:
        case Opcode::pong:
            if (!frame_final_) {
                fail(kProtocolError, "a control frame is fragmented");
            } else if (frame_compressed_) {
                fail(kProtocolError, "a reserved bit is set");
            }
            break;
        default:
            fail(kProtocolError, "a frame is of no known kind");
    }
    return !failed_;
}

void FrameDecoder::begin_message() {
    in_message_ = true;
    message_kind_ = frame_opcode_;
    message_compressed_ = frame_compressed_;
    compressed_bytes_ = 0;
    message_.clear();
    text_.reset();
}

bool FrameDecoder::take_payload_bytes(char* bytes, std::size_t size) {
    if (we_are_server_) {
        apply_mask(bytes, size, mask_, mask_offset_);
        mask_offset_ += size;
    }
    const std::string_view piece(bytes, size);
    if (is_control(frame_opcode_)) {
        control_ += piece;
        return true;
    }
    const std::size_t before = message_.size();
    if (message_compressed_) {
        compressed_bytes_ += size;
        const Inflater::Outcome outcome = inflater_->expand(piece, message_, message_bytes_max_);
        // What came out before it went wrong comes first, or the cuts would show.
        return check_text(before, false) && inflated(outcome);
    }
    if (before == 0 && frame_final_ && size == frame_left_) {
        message_ = std::string(piece);  // the whole of it: no room to grow into
    } else {
        message_ += piece;
    }
    return check_text(before, false);
}

FrameDecoder::Status FrameDecoder::end_frame() {
    in_frame_ = false;
    switch (frame_opcode_) {
        case Opcode::ping:
            kind_ = Opcode::ping;
            return Status::ping;
        case Opcode::pong:
            kind_ = Opcode::pong;
            return Status::pong;
        case Opcode::close:
            return end_close();
        default:
            return frame_final_ ? end_message() : Status::need_more;
    }
}

FrameDecoder::Status FrameDecoder::end_message() {
    const std::size_t before = message_.size();
    if (message_compressed_) {
        const Inflater::Outcome outcome = inflater_->end_message(message_, message_bytes_max_);
        const bool whole = outcome == Inflater::Outcome::done;
        if (!check_text(before, whole) || !inflated(outcome)) return Status::failed;
    } else if (!check_text(before, true)) {
        return Status::failed;
    }
    in_message_ = false;
    kind_ = message_kind_;
    return Status::message;
}

FrameDecoder::Status FrameDecoder::end_close() {
    kind_ = Opcode::close;
    close_code_ = kNoCode;
    if (control_.empty()) return Status::close;
    if (control_.size() == 1) return fail(kProtocolError, "half a close code");
    const auto code = static_cast<unsigned>(big_endian(control_.data(), 2));
    if (!is_sendable_close_code(code)) {
        return fail(kProtocolError, "a close code that nobody may send");
    }
    control_.erase(0, 2);
    if (!is_utf8(control_)) return fail(kInvalidText, "the reason of a close is not UTF-8");
    close_code_ = static_cast<std::uint16_t>(code);
    return Status::close;
}

bool FrameDecoder::check_text(std::size_t from, bool ends) {
    if (message_kind_ != Opcode::text) return true;
    if (!text_.add(std::string_view(message_).substr(from)) || (ends && !text_.whole())) {
        fail(kInvalidText, "a text is not UTF-8");
        return false;
    }
    return true;
}

bool FrameDecoder::inflated(Inflater::Outcome outcome) {
    switch (outcome) {
        case Inflater::Outcome::done:
            return true;
        case Inflater::Outcome::too_large:
            fail(kTooBig, "the message is too large");
            return false;
        case Inflater::Outcome::malformed:
            break;
    }
    // A text that cannot be had is invalid data; RFC 7692 leaves the code open.
    fail(kInvalidText, "the message is not what deflate makes");
    return false;
}

std::string FrameDecoder::take_payload() {
    return kind_is_control() ? control_ : std::exchange(message_, std::string());
}

std::size_t FrameDecoder::bytes_wanted() const noexcept {
    // Large enough that a system call is small beside the copy, and no more than was announced.
    constexpr std::uint64_t kAtOnceMax = 256 * 1024;
    return in_frame_ ? static_cast<std::size_t>(std::min(frame_left_, kAtOnceMax)) : 0;
}

bool FrameDecoder::rest() {
    if (failed_ || inside_message()) return false;
    message_ = std::string();
    control_ = std::string();
    return inflater_ == nullptr || inflater_->rest();
}

}  // namespace troupe::websocket_internal

#include <troupe/http/internal/chunk_decoder.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <charconv>

namespace troupe::http_internal {

namespace {

// Framing may cost this much beyond the data: one-byte chunks cost five bytes per byte, and a chunk
// extension of some size is nobody's need.
constexpr std::uint64_t kOverheadBase = 16 * 1024;
constexpr std::uint64_t kOverheadFactor = 8;

constexpr std::uint8_t kSizeDigitsMax = 16;  // 64 bits

// All trailers must be here before any is used, so they are held, and bounded like a small head.
constexpr std::size_t kTrailerLinesMax = 64;

// What was judged before the body must not be said again behind it.
bool is_forbidden_in_trailers(std::string_view name) {
    constexpr std::string_view kForbidden[] = {"Content-Length", "Transfer-Encoding", "Host",
                                               "Trailer",        "Connection",        "Expect",
                                               "Upgrade"};
    return std::any_of(std::begin(kForbidden), std::end(kForbidden),
                       [&](std::string_view one) { return equals_ignoring_case(name, one); });
}

}  // namespace

void ChunkDecoder::begin() {
    *this = ChunkDecoder();
}

ChunkDecoder::Step ChunkDecoder::refuse(int status, std::string_view sentence) {
    refusal_.status = status;
    refusal_.sentence = sentence;
    return Step{Status::refused, 0, {}};
}

bool ChunkDecoder::refuse_framing(int status, std::string_view sentence) {
    refuse(status, sentence);
    return false;
}

ChunkDecoder::Step ChunkDecoder::advance(std::string_view input, http::Headers& trailers) {
    if (refusal_.status != 0) return Step{Status::refused, 0, {}};
    std::size_t at = 0;
    while (at < input.size()) {
        if (state_ == State::data) {
            auto here = static_cast<std::size_t>(
                std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(input.size() - at)));
            left_ -= here;
            if (left_ == 0) state_ = State::data_end;
            return Step{Status::data, at + here, input.substr(at, here)};
        }
        if (state_ == State::trailers) return read_trailers(input.substr(at), at, trailers);
        if (++overhead_ > kOverheadBase + kOverheadFactor * taken_) {
            return refuse(400, "The framing of the chunked body is out of proportion.");
        }
        if (!take_framing(input[at])) return Step{Status::refused, 0, {}};
        ++at;
    }
    return Step{Status::need_more, at, {}};
}

/// One byte of what stands around the data. False: refused.
bool ChunkDecoder::take_framing(char c) {
    switch (state_) {
        case State::size: {
            int digit = hex_digit(c);
            if (digit >= 0) {
                if (++digits_ > kSizeDigitsMax) {
                    return refuse_framing(400, "A chunk's size has too many digits.");
                }
                left_ = left_ * 16 + static_cast<unsigned>(digit);
                return true;
            }
            if (digits_ == 0) return refuse_framing(400, "A chunk has no size.");
            part_begun_ = false;
            if (c == ';') {
                state_ = State::extension;
            } else if (c == '\r') {
                state_ = State::size_end;
            } else {
                return refuse_framing(400, "A chunk's size is malformed.");
            }
            return true;
        }
        case State::extension: {
            // The form of names and values is nobody's business here. What matters is that no
            // reader can see the line end elsewhere, so control characters are refused, quoted or
            // not.
            auto byte = static_cast<unsigned char>(c);
            if (c == '\r' && !quoted_ && part_begun_) {
                state_ = State::size_end;
                return true;
            }
            bool empty_part = c == ';' && !quoted_ && !part_begun_;
            if ((byte < 0x20 && c != '\t') || byte == 0x7f || empty_part) {
                return refuse_framing(400, "A chunk extension is malformed.");
            }
            if (quoted_) {
                if (!escaped_ && c == '"') quoted_ = false;
                escaped_ = !escaped_ && c == '\\';
            } else if (c == '"') {
                quoted_ = true;
            }
            if (c == ';' && !quoted_) {
                part_begun_ = false;
            } else if (c != ' ' && c != '\t') {
                part_begun_ = true;
            }
            return true;
        }
        case State::size_end:
            if (c != '\n') return refuse_framing(400, "A chunk's size does not end with CR LF.");
            if (left_ > max_ || taken_ > max_ - left_) {
                return refuse_framing(413, "The body is larger than this server accepts.");
            }
            taken_ += left_;
            state_ = left_ == 0 ? State::trailers : State::data;
            return true;
        case State::data_end:
            if (c != '\r') return refuse_framing(400, "A chunk is longer than its size.");
            state_ = State::data_end_feed;
            return true;
        case State::data_end_feed:
            if (c != '\n') return refuse_framing(400, "A chunk does not end with CR LF.");
            state_ = State::size;
            digits_ = 0;
            return true;
        case State::data:
        case State::trailers:
            break;
    }
    return refuse_framing(400, "The chunked body is malformed.");
}

/// Reads as many trailer lines as are whole. A line that is not stays in the input.
ChunkDecoder::Step ChunkDecoder::read_trailers(std::string_view input, std::size_t consumed,
                                               http::Headers& trailers) {
    for (;;) {
        FieldLine line;
        Lexed lexed = lex_field_line(input, line, refusal_);
        if (lexed == Lexed::bad) return Step{Status::refused, 0, {}};
        // Judged for a line that is cut as for a whole one, so that no cut shows.
        std::size_t size = lexed == Lexed::cut ? input.size() : line.size;
        if (overhead_ + size > kOverheadBase + kOverheadFactor * taken_) {
            return refuse(400, "The framing of the chunked body is out of proportion.");
        }
        if (lexed == Lexed::cut) return Step{Status::need_more, consumed, {}};
        overhead_ += size;
        consumed += size;
        if (lexed == Lexed::empty_line) {
            return Step{Status::done, consumed, {}};
        }
        if (trailers.size() == kTrailerLinesMax) {
            return refuse(431, "There are more trailer lines than this server accepts.");
        }
        if (is_forbidden_in_trailers(line.name)) {
            return refuse(400, "A trailer line says what only the head may say.");
        }
        trailers.add(line.name, line.value);
        input.remove_prefix(size);
    }
}

void append_chunk_head(ByteBuffer& out, std::size_t bytes) {
    char* begin = out.room(kSizeDigitsMax + 2).data();
    char* at = std::to_chars(begin, begin + kSizeDigitsMax, bytes, 16).ptr;
    *at++ = '\r';
    *at++ = '\n';
    out.put(static_cast<std::size_t>(at - begin));
}

}  // namespace troupe::http_internal

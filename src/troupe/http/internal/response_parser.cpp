#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/internal/response_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace troupe::http_internal {

namespace {

// Servers send one or two; more are no information, only a way to keep us reading.
constexpr int kInterimHeadsMax = 8;

constexpr std::string_view kProtocol = "HTTP/1.";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// A number that is nothing but digits and fits.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
    Number number = 0;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const auto [stopped, failed] = std::from_chars(begin, end, number);
    if (text.empty() || !is_digit(text.front()) || stopped != end || failed != std::errc()) {
        return std::nullopt;
    }
    return number;
}

}  // namespace

bool list_has_token(const http::Headers& headers, std::string_view name, std::string_view token) {
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const http::HeaderField field = headers.at(i);
        if (equals_ignoring_case(field.name, name) && holds_token(field.value, token)) return true;
    }
    return false;
}

int promised_idle_seconds(const http::Headers& headers) {
    constexpr std::string_view kTimeout = "timeout=";
    std::string_view list = headers.find("Keep-Alive").value_or(std::string_view());
    while (!list.empty()) {
        const std::string_view item = cut_before(list, ',');
        if (!equals_ignoring_case(item.substr(0, kTimeout.size()), kTimeout)) continue;
        return number_in<int>(item.substr(kTimeout.size())).value_or(-1);
    }
    return -1;
}

void ResponseParser::begin(bool head_only) {
    *this = ResponseParser(limits_);
    head_only_ = head_only;
}

ResponseParser::Step ResponseParser::refuse(std::string_view problem, bool too_large) {
    state_ = State::refused;
    problem_ = problem;
    too_large_ = too_large;
    keep_alive_ = false;
    return Step{Status::refused, 0, {}};
}

bool ResponseParser::refuse_head(std::string_view problem) {
    refuse(problem);
    return false;
}

ResponseParser::Step ResponseParser::advance(std::string_view input, ResponseHead& response) {
    switch (state_) {
        case State::status_line:
        case State::field_lines:
            return read_head(input, response);
        case State::sized_body:
            return read_sized(input);
        case State::chunked_body:
            return read_chunked(input, response);
        case State::body_to_end:
            if (input.empty()) return Step{Status::need_more, 0, {}};
            return Step{Status::data, input.size(), input};
        case State::complete:
            return Step{Status::complete, 0, {}};
        case State::refused:
            break;
    }
    return Step{Status::refused, 0, {}};
}

ResponseParser::Step ResponseParser::read_head(std::string_view input, ResponseHead& response) {
    std::size_t consumed = 0;
    for (;;) {
        const std::string_view rest = input.substr(consumed);
        if (state_ == State::status_line) {
            // Whatever it is that does not begin like a response, its end is not worth waiting for.
            // What lies beyond the limit is not looked at, or cuts would show there.
            const std::size_t room = limits_.head_bytes_max - (head_bytes_ - scanned_);
            const std::string_view shown = rest.substr(0, std::min(room, kProtocol.size()));
            if (!kProtocol.starts_with(shown)) {
                head_bytes_ += shown.size();
                return refuse("what came is no HTTP/1 response");
            }
        }
        const std::size_t feed = rest.find('\n', scanned_);
        const std::size_t size = feed == std::string_view::npos ? rest.size() : feed + 1;
        head_bytes_ += size - scanned_;
        if (head_bytes_ > limits_.head_bytes_max) {
            return refuse("the head is larger than the limit", true);
        }
        if (feed == std::string_view::npos) {
            scanned_ = rest.size();
            return Step{Status::need_more, consumed, {}};
        }
        scanned_ = 0;
        consumed += size;

        if (state_ == State::status_line) {
            if (!read_status_line(rest.substr(0, size), response)) break;
            state_ = State::field_lines;
            continue;
        }
        FieldLine line;
        ParseRefusal refusal;
        switch (lex_field_line(rest.substr(0, size), line, refusal)) {
            case Lexed::whole:
                if (response.headers.size() == limits_.header_count_max) {
                    return refuse("there are more header lines than the limit", true);
                }
                response.headers.add(line.name, line.value);
                continue;
            case Lexed::empty_line:
                break;
            case Lexed::cut:
            case Lexed::bad:
                return refuse("a header line is malformed");
        }
        if (!end_head(response)) break;
        if (state_ != State::status_line) return Step{Status::head, consumed, {}};
    }
    return Step{Status::refused, 0, {}};
}

/// `line` ends with its line feed.
bool ResponseParser::read_status_line(std::string_view line, ResponseHead& response) {
    constexpr std::size_t kShortest = 14;  // "HTTP/1.1 200\r\n"; some leave out all behind the code
    if (line.size() < kShortest || !line.ends_with("\r\n")) {
        return refuse_head("the status line is malformed");
    }
    line.remove_suffix(2);
    const char minor = line[7];
    const std::string_view code = line.substr(9, 3);
    const bool form = (minor == '0' || minor == '1') && line[8] == ' ' &&
                      std::all_of(code.begin(), code.end(), is_digit) &&
                      (line.size() == kShortest - 2 || line[12] == ' ');
    std::size_t control = find_control(line);
    while (control != line.size() && line[control] == '\t')
        control += 1 + find_control(line.substr(control + 1));
    if (!form || control != line.size()) return refuse_head("the status line is malformed");
    response.minor_version = minor - '0';
    response.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    response.headers.clear();
    if (response.status < 100 || response.status > 599) {
        return refuse_head("the status is none that HTTP knows");
    }
    return true;
}

/// All header lines are here. An interim head leads back to the status line.
bool ResponseParser::end_head(ResponseHead& response) {
    if (response.status == 101) {
        return refuse_head("the server has changed the protocol, and nobody asked for it");
    }
    if (response.status >= 200) return judge_framing(response);
    if (++interim_heads_ > kInterimHeadsMax) return refuse_head("there are too many interim heads");
    state_ = State::status_line;
    return true;
}

/// Decides where the body ends: exactly one way to tell must be there, or none at all.
bool ResponseParser::judge_framing(const ResponseHead& response) {
    int lengths = 0;
    int codings = 0;
    std::string_view length;
    std::string_view coding;
    for (std::size_t i = 0; i < response.headers.size(); ++i) {
        const http::HeaderField field = response.headers.at(i);
        if (equals_ignoring_case(field.name, "Content-Length")) {
            ++lengths;
            length = field.value;
        } else if (equals_ignoring_case(field.name, "Transfer-Encoding")) {
            ++codings;
            coding = field.value;
        }
    }
    if (lengths > 1) return refuse_head("there are several Content-Length lines");
    if (lengths + codings > 1 || (codings == 1 && response.minor_version == 0)) {
        return refuse_head("the length of the body is not clear");
    }
    if (codings == 1 && !equals_ignoring_case(coding, "chunked")) {
        return refuse_head("the transfer coding is not \"chunked\"");
    }
    const auto bytes = lengths == 1 ? number_in<std::uint64_t>(length) : std::uint64_t{0};
    if (!bytes) return refuse_head("the Content-Length is not a number");

    const bool said_close = list_has_token(response.headers, "Connection", "close");
    keep_alive_ = !said_close && (response.minor_version == 1 ||
                                  list_has_token(response.headers, "Connection", "keep-alive"));
    if (head_only_ || response.status == 204 || response.status == 304) {
        // A body none of us should see would stand where the next response is expected.
        if (!head_only_ && response.status == 204 && (codings == 1 || *bytes != 0)) {
            keep_alive_ = false;
        }
        state_ = State::sized_body;
    } else if (codings == 1) {
        chunks_.begin();
        state_ = State::chunked_body;
    } else if (lengths == 1) {
        body_left_ = *bytes;
        state_ = State::sized_body;
    } else {
        keep_alive_ = false;
        state_ = State::body_to_end;
    }
    return true;
}

ResponseParser::Step ResponseParser::read_sized(std::string_view input) {
    if (body_left_ == 0) {
        state_ = State::complete;
        return Step{Status::complete, 0, {}};
    }
    const auto here = static_cast<std::size_t>(
        std::min<std::uint64_t>(body_left_, static_cast<std::uint64_t>(input.size())));
    if (here == 0) return Step{Status::need_more, 0, {}};
    body_left_ -= here;
    return Step{Status::data, here, input.substr(0, here)};
}

ResponseParser::Step ResponseParser::read_chunked(std::string_view input, ResponseHead& response) {
    const ChunkDecoder::Step step = chunks_.advance(input, response.trailers);
    switch (step.status) {
        case ChunkDecoder::Status::need_more:
            return Step{Status::need_more, step.consumed, {}};
        case ChunkDecoder::Status::data:
            return Step{Status::data, step.consumed, step.data};
        case ChunkDecoder::Status::done:
            state_ = State::complete;
            return Step{Status::complete, step.consumed, {}};
        case ChunkDecoder::Status::refused:
            break;
    }
    return refuse("the chunked body is malformed");
}

ResponseParser::Status ResponseParser::end() {
    switch (state_) {
        case State::body_to_end:
            state_ = State::complete;
            return Status::complete;
        case State::sized_body:
            if (body_left_ == 0) {
                state_ = State::complete;
                return Status::complete;
            }
            return refuse("the connection ended within the body").status;
        case State::chunked_body:
            return refuse("the connection ended within the chunked body").status;
        case State::status_line:
        case State::field_lines:
            return refuse(begun() ? "the connection ended within the head"
                                  : "the connection ended before the response")
                .status;
        case State::complete:
            return Status::complete;
        case State::refused:
            break;
    }
    return Status::refused;
}

}  // namespace troupe::http_internal

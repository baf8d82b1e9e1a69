#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace troupe::http_internal {

namespace {

// Compared by their length first, which a comparison with a literal would not do.
constexpr std::string_view kConnect = "CONNECT";
constexpr std::string_view kOptions = "OPTIONS";

// A peer may send a line end after a body, which then stands before the next request. More than
// this many is no slip any more.
constexpr std::uint8_t kEmptyLinesMax = 4;

// Letters, digits, and what RFC 3986 allows in a host and a port, except the comma, with which
// some join two Host lines into one.
constexpr std::array<bool, 256> host_table() {
    std::array<bool, 256> table{};
    for (unsigned char c = '0'; c <= '9'; ++c)
        table[c] = true;
    for (unsigned char c = 'a'; c <= 'z'; ++c)
        table[c] = true;
    for (unsigned char c = 'A'; c <= 'Z'; ++c)
        table[c] = true;
    for (char c : std::string_view("-._~%!$&'()*+;=:[]"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}

bool is_host(std::string_view text) {
    static constexpr std::array<bool, 256> kHost = host_table();
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return kHost[static_cast<unsigned char>(c)]; });
}

// What neither ends a path nor encodes something in it.
bool is_plain_in_path(char c) {
    return c != '?' && c != '#' && c != '%';
}

/// Whether a header line has this name. `lower` is in lower case and made of letters and "-", for
/// which the bit that makes letters small can be set in any character a name may have.
template <std::size_t N>
bool is_named(std::string_view name, const char (&lower)[N]) {
    for (std::size_t i = 0; i + 1 < N; ++i) {
        if ((name[i] | 0x20) != lower[i]) return false;
    }
    return true;
}

std::uint8_t count_one_more(std::uint8_t count) {
    return count == std::numeric_limits<std::uint8_t>::max() ? count : count + 1;
}

/// Calls `visit` with each part of a list like "keep-alive, Upgrade".
template <class Visit>
void for_each_token(std::string_view list, Visit visit) {
    while (!list.empty()) {
        std::size_t comma = std::min(list.find(','), list.size());
        std::string_view token = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        while (!token.empty() && (token.front() == ' ' || token.front() == '\t'))
            token.remove_prefix(1);
        while (!token.empty() && (token.back() == ' ' || token.back() == '\t'))
            token.remove_suffix(1);
        visit(token);
    }
}

}  // namespace

RequestParser::Step RequestParser::refuse(int status, std::string_view sentence) {
    refusal_.status = status;
    refusal_.sentence = sentence;
    return refuse_as_lexed();
}

RequestParser::Step RequestParser::refuse_as_lexed() {
    state_ = State::refused;
    continue_expected_ = false;
    return Step{Status::refused, 0, {}};
}

std::size_t RequestParser::bytes_wanted() const {
    // Large enough that a system call is small beside the copy, small enough to be held by many.
    constexpr std::size_t kAtOnce = 64 * 1024;
    constexpr std::size_t kAtOnceOfChunks = 16 * 1024;
    if (state_ == State::sized_body) {
        return static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, kAtOnce));
    }
    return state_ == State::chunked_body ? kAtOnceOfChunks : 0;
}

// ---- the head -----------------------------------------------------------------------------------

RequestParser::Step RequestParser::read_head(std::string_view input, http::Request& request) {
    if (state_ != State::head) return Step{Status::refused, 0, {}};

    std::size_t skipped = 0;
    while (!seen_ && input.size() >= 2 && input[0] == '\r' && input[1] == '\n') {
        if (++empty_lines_ > kEmptyLinesMax) {
            return refuse(400, "There are too many empty lines before the request.");
        }
        input.remove_prefix(2);
        skipped += 2;
    }
    if (input.empty() || input == "\r") return Step{Status::need_more, skipped, {}};
    if (!seen_) {
        if (input[0] == 0x16) return refuse(400, "This port speaks plain HTTP, not TLS.");
        facts_ = Facts();
        request.clear();
    }

    std::string_view head = input.substr(0, limits_.head_bytes_max);
    if (line_start_ == 0) {
        RequestLine line;
        switch (lex_request_line(head, limits_.target_bytes_max, line, refusal_)) {
            case Lexed::whole:
                break;
            case Lexed::cut:
                return head_is_cut(head.size(), skipped);
            default:
                return refuse_as_lexed();
        }
        take_request_line(head, line, request);
    }
    for (;;) {
        FieldLine line;
        switch (lex_field_line(head.substr(line_start_), line, refusal_)) {
            case Lexed::whole:
                if (!take_field(head, line, request)) return Step{Status::refused, 0, {}};
                break;
            case Lexed::empty_line:
                head = head.substr(0, line_start_ + line.size);
                return judge(head, request, skipped + head.size());
            case Lexed::cut:
                return head_is_cut(head.size(), skipped);
            case Lexed::bad:
                return refuse_as_lexed();
        }
    }
}

/// The head ends in the middle of a line, so far.
RequestParser::Step RequestParser::head_is_cut(std::size_t head_size, std::size_t skipped) {
    if (head_size == limits_.head_bytes_max) {
        return refuse(431, "The header lines are larger than this server accepts.");
    }
    seen_ = true;
    return Step{Status::need_more, skipped, {}};
}

void RequestParser::take_request_line(std::string_view head, const RequestLine& line,
                                      http::Request& request) {
    if (request.method != line.method) request.method.assign(line.method);
    request.minor_version = line.minor_version;
    facts_.target.at = static_cast<std::uint32_t>(line.target.data() - head.data());
    facts_.target.size = static_cast<std::uint32_t>(line.target.size());
    line_start_ = line.size;
}

/// Notes a header line, and what it says about the message.
bool RequestParser::take_field(std::string_view head, const FieldLine& line,
                               http::Request& request) {
    if (request.headers().size() == limits_.header_count_max) {
        refuse(431, "There are more header lines than this server accepts.");
        return false;
    }
    auto place = [&](std::string_view text) {
        Place out;
        out.at = static_cast<std::uint32_t>(text.data() - head.data());
        out.size = static_cast<std::uint32_t>(text.size());
        return out;
    };
    Place value = place(line.value);
    request.headers().note(line_start_, line.name.size(), value.at, value.size);
    line_start_ += line.size;

    switch (line.name.size()) {
        case 4:
            if (!is_named(line.name, "host")) break;
            facts_.hosts = count_one_more(facts_.hosts);
            facts_.host = value;
            break;
        case 6:
            if (!is_named(line.name, "expect")) break;
            if (equals_ignoring_case(line.value, "100-continue")) {
                facts_.expects_continue = true;
            } else {
                facts_.expects_other = true;
            }
            break;
        case 10:
            if (!is_named(line.name, "connection")) break;
            for_each_token(line.value, [&](std::string_view token) {
                if (equals_ignoring_case(token, "close")) facts_.says_close = true;
                if (equals_ignoring_case(token, "keep-alive")) facts_.says_keep_alive = true;
            });
            break;
        case 14:
            if (!is_named(line.name, "content-length")) break;
            facts_.lengths = count_one_more(facts_.lengths);
            facts_.length = value;
            break;
        case 17:
            if (!is_named(line.name, "transfer-encoding")) break;
            facts_.codings = count_one_more(facts_.codings);
            facts_.coding = value;
            break;
        default:
            break;
    }
    return true;
}

/// The head is whole: decides what is asked for, and where the body ends.
RequestParser::Step RequestParser::judge(std::string_view head, http::Request& request,
                                         std::size_t consumed) {
    request.headers().hold(head);
    request.keep_alive = request.minor_version == 1 ? !facts_.says_close
                                                    : facts_.says_keep_alive && !facts_.says_close;
    std::string_view target = head.substr(facts_.target.at, facts_.target.size);
    if (!judge_target(target, request) || !judge_framing(head, request)) {
        return Step{Status::refused, 0, {}};
    }
    limit_body(limits_.body_bytes_max);
    line_start_ = 0;
    seen_ = false;
    empty_lines_ = 0;
    return Step{Status::head, consumed, {}};
}

/// Finds the path and the query in the target, and decodes the path.
bool RequestParser::judge_target(std::string_view target, http::Request& request) {
    request.note_target(facts_.target.at, facts_.target.size);
    if (target[0] != '/' || request.method == kConnect) return judge_other_target(target, request);
    return judge_path(target, request);
}

/// A target that is no path: an address with its host, or "*".
bool RequestParser::judge_other_target(std::string_view target, http::Request& request) {
    if (request.method == kConnect) {
        refuse(501, "This server is not a proxy.");
        return false;
    }
    bool options = request.method == kOptions;
    std::size_t authority = 0;
    if (equals_ignoring_case(target.substr(0, 7), "http://")) authority = 7;
    if (equals_ignoring_case(target.substr(0, 8), "https://")) authority = 8;
    std::size_t authority_end = std::min(target.find_first_of("/?", authority), target.size());
    std::string_view host = target.substr(authority, authority_end - authority);
    bool is_address = authority > 0 && !host.empty() && is_host(host);
    if (options && (target == "*" || (is_address && authority_end == target.size()))) {
        request.path.assign(1, '*');
        return true;
    }
    if (!is_address) {
        refuse(400, "The request target is neither a path nor an http address.");
        return false;
    }
    return judge_path(target.substr(authority_end), request);
}

bool RequestParser::judge_path(std::string_view target, http::Request& request) {
    std::size_t path_size = 0;
    while (path_size < target.size() && is_plain_in_path(target[path_size]))
        ++path_size;
    bool is_encoded = path_size < target.size() && target[path_size] == '%';
    if (is_encoded) path_size = std::min(target.find_first_of("?#", path_size), target.size());
    std::string_view path = target.substr(0, path_size);
    std::string_view query = target.substr(path_size);
    if (query.find('#') != std::string_view::npos) {
        refuse(400, "A request target has no fragment.");
        return false;
    }
    if (!query.empty()) request.query.assign(query.substr(1));
    if (path.empty()) path = "/";
    if (!is_encoded) {
        request.path.assign(path);
        return true;
    }
    request.path.clear();
    switch (append_decoded_path(request.path, path)) {
        case PathDecoding::done:
            return true;
        case PathDecoding::bad_escape:
            refuse(400, "The path holds a \"%\" without two hexadecimal digits.");
            return false;
        case PathDecoding::holds_nul:
            refuse(400, "The path holds an encoded NUL.");
            return false;
    }
    return false;
}

/// Decides where the body ends: exactly one way to tell must be there, or none at all.
bool RequestParser::judge_framing(std::string_view head, const http::Request& request) {
    auto refused = [this](int status, std::string_view sentence) {
        refuse(status, sentence);
        return false;
    };
    if (facts_.hosts > 1 || (facts_.hosts == 0 && request.minor_version == 1)) {
        return refused(400, "A request has exactly one Host line.");
    }
    if (!is_host(head.substr(facts_.host.at, facts_.host.size))) {
        return refused(400, "The Host line is malformed.");
    }
    if (facts_.codings > 0) {
        if (facts_.lengths > 0 || facts_.codings > 1 || request.minor_version == 0) {
            return refused(400, "The length of the body is not clear.");
        }
        if (!equals_ignoring_case(head.substr(facts_.coding.at, facts_.coding.size), "chunked")) {
            return refused(501, "The only transfer coding this server knows is \"chunked\".");
        }
    }
    if (facts_.lengths > 1) return refused(400, "There are several Content-Length lines.");
    std::uint64_t length = 0;
    if (facts_.lengths == 1) {
        std::string_view digits = head.substr(facts_.length.at, facts_.length.size);
        const char* begin = digits.data();
        const char* end = begin + digits.size();
        auto read = std::from_chars(begin, end, length);
        if (digits.empty() || read.ec != std::errc() || read.ptr != end) {
            return refused(400, "The Content-Length is not a number.");
        }
    }
    if (facts_.expects_other) {
        return refused(417, "The only expectation this server knows is \"100-continue\".");
    }
    continue_expected_ = facts_.expects_continue && request.minor_version == 1;
    body_left_ = length;
    if (facts_.codings > 0) {
        state_ = State::chunked_body;
        chunks_.begin();
    } else if (length > 0) {
        state_ = State::sized_body;
    }
    return true;
}

// ---- the body -----------------------------------------------------------------------------------

RequestParser::Step RequestParser::read_body(std::string_view input, http::Request& request) {
    switch (state_) {
        case State::head:
            return Step{Status::complete, 0, {}};
        case State::sized_body: {
            if (body_left_ > body_bytes_max_) {
                return refuse(413, "The body is larger than this server accepts.");
            }
            if (input.empty()) return Step{Status::need_more, 0, {}};
            auto here = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, input.size()));
            body_left_ -= here;
            if (body_left_ == 0) state_ = State::head;
            return Step{Status::data, here, input.substr(0, here)};
        }
        case State::chunked_body: {
            ChunkDecoder::Step step = chunks_.advance(input, request.trailers());
            switch (step.status) {
                case ChunkDecoder::Status::need_more:
                    return Step{Status::need_more, step.consumed, {}};
                case ChunkDecoder::Status::data:
                    return Step{Status::data, step.consumed, step.data};
                case ChunkDecoder::Status::done:
                    state_ = State::head;
                    return Step{Status::complete, step.consumed, {}};
                case ChunkDecoder::Status::refused:
                    return refuse(chunks_.refusal().status, chunks_.refusal().sentence);
            }
            break;
        }
        case State::refused:
            break;
    }
    return Step{Status::refused, 0, {}};
}

}  // namespace troupe::http_internal

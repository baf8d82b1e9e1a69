#include <troupe/http/internal/character_set.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
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

// What RFC 3986 allows in a host and a port beside letters and digits, except the comma, with which
// some join two Host lines into one.
constexpr CharacterSet kHost("-._~%!$&'()*+;=:[]");

bool is_host(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return kHost.has(c); });
}

/// Reads a Content-Length. False: it is none.
bool read_length(std::string_view digits, std::uint64_t& length) {
    const char* begin = digits.data();
    const char* end = begin + digits.size();
    auto read = std::from_chars(begin, end, length);
    return !digits.empty() && read.ec == std::errc() && read.ptr == end;
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
        request.clear_but_headers();
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
        if (!has_the_same_fields(head.substr(fields_start_), request)) {
            facts_ = Facts();
            fields_size_ = 0;
            request.headers().clear();
        }
    }
    while (fields_size_ == 0) {
        FieldLine line;
        switch (lex_field_line(head.substr(line_start_), line, refusal_)) {
            case Lexed::whole:
                if (!take_field(head.substr(fields_start_), line, request)) {
                    return Step{Status::refused, 0, {}};
                }
                break;
            case Lexed::empty_line:
                fields_size_ = line_start_ + line.size - fields_start_;
                field_count_ = request.headers().size();
                request.headers().hold(head.substr(fields_start_, fields_size_));
                break;
            case Lexed::cut:
                return head_is_cut(head.size(), skipped);
            case Lexed::bad:
                return refuse_as_lexed();
        }
    }
    if (!judge(head, request)) return Step{Status::refused, 0, {}};
    return Step{Status::head, skipped + fields_start_ + fields_size_, {}};
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
    target_start_ = static_cast<std::size_t>(line.target.data() - head.data());
    target_size_ = line.target.size();
    plain_size_ = line.plain_size;
    fields_start_ = line_start_ = line.size;
}

void RequestParser::tell_what_is_there(std::string_view input, http::Request& request) const {
    constexpr std::size_t kLineBytesMax = 100;  // to be recognised by
    while (input.starts_with("\r\n"))
        input.remove_prefix(2);
    const bool line_is_whole = line_start_ != 0;
    std::string_view target;
    if (line_is_whole) {
        target = input.substr(target_start_, target_size_);
    } else {
        request.method.clear();
        target = input.substr(0, std::min(input.find_first_of("\r\n"), kLineBytesMax));
    }
    const std::size_t path_size = std::min(target.find('?'), target.size());
    request.path.assign(target.substr(0, path_size));
    request.query.assign(target.substr(std::min(path_size + 1, target.size())));
    request.headers().clear();
    request.clear_parameters();
}

/// Whether the lines of the last head, which the request should still hold, begin `fields`. They
/// end with the empty line, so they are all there is then.
bool RequestParser::has_the_same_fields(std::string_view fields,
                                        const http::Request& request) const {
    const http::Headers& last = request.headers();
    return fields_size_ != 0 && last.size() == field_count_ && last.held().size() == fields_size_ &&
           fields.starts_with(last.held());
}

/// Notes a header line, and what it says about the message.
bool RequestParser::take_field(std::string_view fields, const FieldLine& line,
                               http::Request& request) {
    if (request.headers().size() == limits_.header_count_max) {
        refuse(431, "There are more header lines than this server accepts.");
        return false;
    }
    auto place = [&](std::string_view text) {
        return static_cast<std::size_t>(text.data() - fields.data());
    };
    request.headers().note(place(line.name), line.name.size(), place(line.value),
                           line.value.size());
    line_start_ += line.size;

    switch (line.name.size()) {
        case 4:
            if (!is_named(line.name, "host")) break;
            facts_.hosts = count_one_more(facts_.hosts);
            facts_.host_is_bad = !is_host(line.value);
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
            facts_.length_is_bad = !read_length(line.value, facts_.length);
            break;
        case 17:
            if (!is_named(line.name, "transfer-encoding")) break;
            facts_.codings = count_one_more(facts_.codings);
            facts_.coding_is_other = !equals_ignoring_case(line.value, "chunked");
            break;
        default:
            break;
    }
    return true;
}

/// The head is whole: decides what is asked for, and where the body ends.
bool RequestParser::judge(std::string_view head, http::Request& request) {
    std::string_view target = head.substr(target_start_, target_size_);
    request.headers().hold_beside(target);
    request.keep_alive = request.minor_version == 1 ? !facts_.says_close
                                                    : facts_.says_keep_alive && !facts_.says_close;
    if (!judge_target(target, request) || !judge_framing(request)) return false;
    line_start_ = 0;
    seen_ = false;
    empty_lines_ = 0;
    return true;
}

/// Finds the path and the query in the target, and decodes the path.
bool RequestParser::judge_target(std::string_view target, http::Request& request) {
    if (target[0] != '/' || request.method == kConnect) return judge_other_target(target, request);
    return judge_path(target, plain_size_, request);
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
    target.remove_prefix(authority_end);
    return judge_path(target, std::min(target.find_first_of("?#%"), target.size()), request);
}

/// Finds path and query. Up to `plain_size` nothing ends the path or is encoded.
bool RequestParser::judge_path(std::string_view target, std::size_t plain_size,
                               http::Request& request) {
    std::size_t path_size = plain_size;
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
        if (request.path != path) request.path.assign(path);
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
bool RequestParser::judge_framing(const http::Request& request) {
    continue_expected_ = false;
    body_left_ = 0;
    if (facts_.is_plain()) return true;

    auto refused = [this](int status, std::string_view sentence) {
        refuse(status, sentence);
        return false;
    };
    if (facts_.hosts > 1 || (facts_.hosts == 0 && request.minor_version == 1)) {
        return refused(400, "A request has exactly one Host line.");
    }
    if (facts_.host_is_bad) return refused(400, "The Host line is malformed.");
    if (facts_.codings > 0) {
        if (facts_.lengths > 0 || facts_.codings > 1 || request.minor_version == 0) {
            return refused(400, "The length of the body is not clear.");
        }
        if (facts_.coding_is_other) {
            return refused(501, "The only transfer coding this server knows is \"chunked\".");
        }
    }
    if (facts_.lengths > 1) return refused(400, "There are several Content-Length lines.");
    if (facts_.length_is_bad) return refused(400, "The Content-Length is not a number.");
    if (facts_.expects_other) {
        return refused(417, "The only expectation this server knows is \"100-continue\".");
    }
    continue_expected_ = facts_.expects_continue && request.minor_version == 1;
    body_left_ = facts_.length;
    if (facts_.codings > 0) {
        state_ = State::chunked_body;
        chunks_.begin();
    } else if (facts_.length > 0) {
        state_ = State::sized_body;
    }
    limit_body(limits_.body_bytes_max);
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

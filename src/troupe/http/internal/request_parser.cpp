#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstring>

namespace troupe::http_internal {

namespace {

namespace beast = boost::beast::http;
using boost::beast::string_view;
using ErrorCode = boost::beast::error_code;

std::string_view view(string_view text) {
    return std::string_view(text.data(), text.size());
}

// A peer may send a line end after a body, which then stands before the next request. More than
// this many is no slip any more.
constexpr std::uint8_t kEmptyLinesMax = 4;

// The request line apart from its target: the longest method anybody has registered, two spaces,
// the version and the line end, with room to spare.
constexpr std::size_t kRequestLineOverhead = 64;

// The framing of chunks may cost this much beyond their data: one-byte chunks cost five bytes per
// byte, and a chunk extension of some size is nobody's need. Without a bound a peer could keep us
// reading for ever without ever reaching the limit on bodies.
constexpr std::uint64_t kChunkOverheadBase = 16 * 1024;
constexpr std::uint64_t kChunkOverheadFactor = 8;

bool is_control(char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

// Letters, digits, and what RFC 3986 allows in a host and a port, except the comma, with which
// some join two Host lines into one.
bool is_host_character(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c != '\0' && std::strchr("-._~%!$&'()*+;=:[]", c) != nullptr;
}

bool is_host(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_host_character);
}

/// What to tell the peer when the lexer has refused the head that begins with `request_line`.
ParseRefusal head_refusal(const ErrorCode& failed, std::string_view request_line) {
    if (failed == beast::error::bad_version) {
        // Well formed and not ours, or not well formed?
        std::string_view version = request_line.substr(request_line.rfind(' ') + 1);
        auto digit = [](char c) { return c >= '0' && c <= '9'; };
        bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                           digit(version[5]) && version[6] == '.' && digit(version[7]);
        if (well_formed && version != "HTTP/1.0" && version != "HTTP/1.1") {
            return ParseRefusal{505, "This server speaks HTTP/1.1 and HTTP/1.0."};
        }
        return ParseRefusal{400, "The request line does not end with an HTTP version."};
    }
    if (failed == beast::error::bad_method) {
        return ParseRefusal{400, "The method is malformed."};
    }
    if (failed == beast::error::bad_target) {
        return ParseRefusal{400, "The request target is malformed."};
    }
    if (failed == beast::error::bad_content_length ||
        failed == beast::error::multiple_content_length ||
        failed == beast::error::bad_transfer_encoding) {
        return ParseRefusal{400, "The length of the body is not clear."};
    }
    return ParseRefusal{400, "A header line is malformed."};
}

}  // namespace

// ---- the head -----------------------------------------------------------------------------------

/// Fills a Request from a complete head and notes what the judge needs. Lives on the stack.
class RequestParser::HeadLexer final : public beast::basic_parser<true> {
public:
    HeadLexer(http::Request& request, const RequestLimits& limits)
        : request_(request), limits_(limits) {
        // The judge has applied our own limits to all of the head before.
        header_limit(static_cast<std::uint32_t>(limits.head_bytes_max) + 1);
        body_limit(boost::none);
    }

    int host_count = 0;
    int length_count = 0;
    int coding_count = 0;
    bool expects_continue = false;
    bool expects_other = false;
    bool too_many_headers = false;
    std::string_view host;
    std::string_view length;
    std::string_view coding;

private:
    void on_request_impl(beast::verb, string_view method, string_view target, int version,
                         ErrorCode&) override {
        request_.method.assign(method.data(), method.size());
        request_.target.assign(target.data(), target.size());
        request_.minor_version = version - 10;
    }

    void on_field_impl(beast::field field, string_view name, string_view value,
                       ErrorCode& refused) override {
        if (request_.header_count() == limits_.header_count_max) {
            too_many_headers = true;
            refused = beast::error::header_limit;
            return;
        }
        switch (field) {
            case beast::field::host:
                ++host_count;
                host = view(value);
                break;
            case beast::field::content_length:
                ++length_count;
                length = view(value);
                break;
            case beast::field::transfer_encoding:
                ++coding_count;
                coding = view(value);
                break;
            case beast::field::expect:
                if (equals_ignoring_case(view(value), "100-continue")) {
                    expects_continue = true;
                } else {
                    expects_other = true;
                }
                break;
            default:
                break;
        }
        request_.add_header(view(name), view(value));
    }

    // The body is not this lexer's business: it stops behind the head.
    void on_response_impl(int, string_view, int, ErrorCode&) override {}
    void on_header_impl(ErrorCode&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
    std::size_t on_body_impl(string_view, ErrorCode&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, string_view, ErrorCode&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view, ErrorCode&) override { return 0; }
    void on_finish_impl(ErrorCode&) override {}

    http::Request& request_;
    const RequestLimits& limits_;
};

// ---- chunked bodies -----------------------------------------------------------------------------

/// Decodes one chunked body. A basic_parser cannot begin in the middle of a message, so it is given
/// a head of our own first.
class RequestParser::ChunkLexer {
public:
    void begin(std::size_t body_bytes_max) {
        lexer_.emplace();
        // The sum of the chunk sizes, judged on the claim.
        lexer_->body_limit(body_bytes_max);
        constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        ErrorCode failed;
        lexer_->put(boost::asio::const_buffer(kHead.data(), kHead.size()), failed);
        overhead_ = 0;
    }

    /// Returns the bytes used. `refusal` gets a status when something was wrong.
    std::size_t put(std::string_view input, std::string& body, ParseRefusal& refusal) {
        std::size_t body_before = body.size();
        std::size_t used = 0;
        lexer_->body = &body;
        while (!lexer_->is_done()) {
            // Nothing that can stand here is shorter than "0\r\n\r\n" unless we are within a
            // chunk. The lexer's own assertions rely on that when a last chunk comes byte by byte.
            constexpr std::size_t kShortestEnd = 5;
            std::string_view rest = input.substr(used);
            if (rest.size() < kShortestEnd && !lexer_->within_chunk()) break;

            ErrorCode failed;
            std::size_t step =
                lexer_->put(boost::asio::const_buffer(rest.data(), rest.size()), failed);
            used += step;
            if (failed && failed != beast::error::need_more) {
                refusal = reason(failed);
                return used;
            }
            if (step == 0) break;
        }
        overhead_ += used - (body.size() - body_before);
        std::uint64_t allowed = kChunkOverheadBase + kChunkOverheadFactor * body.size();
        // What is not used yet is a chunk's head or the trailers: nothing else waits to be whole.
        if (overhead_ + (input.size() - used) > allowed && !lexer_->is_done()) {
            refusal = ParseRefusal{400, "The framing of the chunked body is out of proportion."};
        } else if (lexer_->is_done() && lexer_->trailers_fold(input.data() + used)) {
            refusal = ParseRefusal{400, "A trailer line is folded, which is obsolete."};
        }
        return used;
    }

    bool done() const { return lexer_->is_done(); }

private:
    class Lexer final : public beast::basic_parser<true> {
    public:
        Lexer() {}  // not defaulted: std::optional asks for it before this class is complete

        std::string* body = nullptr;

        bool within_chunk() const { return within_chunk_; }

        /// Whether a line of what stands behind the last chunk's size, up to `end`, begins with
        /// white space. The lexer would have unfolded it in silence.
        bool trailers_fold(const char* end) const {
            std::string_view text(trailers_, static_cast<std::size_t>(end - trailers_));
            return text.find("\n ") != std::string_view::npos ||
                   text.find("\n\t") != std::string_view::npos;
        }

    private:
        void on_chunk_header_impl(std::uint64_t size, string_view extensions,
                                  ErrorCode& refused) override {
            within_chunk_ = size > 0;
            // The lexer lets anything stand in a quoted extension, a lone line feed too, and a
            // reader that ends lines there would see other chunks than we do.
            std::string_view text = view(extensions);
            trailers_ = text.data();
            if (std::any_of(text.begin(), text.end(), is_control)) {
                refused = beast::error::bad_chunk_extension;
            }
        }

        std::size_t on_chunk_body_impl(std::uint64_t remain, string_view data,
                                       ErrorCode&) override {
            body->append(data.data(), data.size());
            within_chunk_ = remain > data.size();
            return data.size();
        }

        void on_request_impl(beast::verb, string_view, string_view, int, ErrorCode&) override {}
        void on_response_impl(int, string_view, int, ErrorCode&) override {}
        // Trailers are checked for their form and dropped: nothing here has a use for them, and
        // to merge them into the header lines would let them replace what was judged.
        void on_field_impl(beast::field, string_view, string_view, ErrorCode&) override {}
        void on_header_impl(ErrorCode&) override {}
        void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
        std::size_t on_body_impl(string_view, ErrorCode&) override { return 0; }
        void on_finish_impl(ErrorCode&) override {}

        bool within_chunk_ = false;
        const char* trailers_ = nullptr;  // into the input, for the length of one put
    };

    static ParseRefusal reason(const ErrorCode& failed) {
        if (failed == beast::error::body_limit) {
            return ParseRefusal{413, "The body is larger than this server accepts."};
        }
        if (failed == beast::error::bad_chunk_extension) {
            return ParseRefusal{400, "A chunk extension is malformed."};
        }
        return ParseRefusal{400, "The chunked body is malformed."};
    }

    std::optional<Lexer> lexer_;
    std::uint64_t overhead_ = 0;
};

// ---- the parser ---------------------------------------------------------------------------------

RequestParser::RequestParser(const RequestLimits& limits) : limits_(limits) {}

RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::refuse(int status, std::string_view sentence) {
    state_ = State::refused;
    continue_expected_ = false;
    refusal_ = ParseRefusal{status, sentence};
    return Step{Status::refused, 0};
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

RequestParser::Step RequestParser::advance(std::string_view input, http::Request& request) {
    switch (state_) {
        case State::head:
            return read_head(input, request);
        case State::sized_body:
            return read_sized_body(input, request, 0);
        case State::chunked_body:
            return read_chunked_body(input, request, 0);
        case State::refused:
            break;
    }
    return Step{Status::refused, 0};
}

RequestParser::Step RequestParser::read_head(std::string_view input, http::Request& request) {
    std::size_t skipped = 0;
    while (scanned_ == 0 && input.size() >= 2 && input[0] == '\r' && input[1] == '\n') {
        if (++empty_lines_ > kEmptyLinesMax) {
            return refuse(400, "There are too many empty lines before the request.");
        }
        input.remove_prefix(2);
        skipped += 2;
    }
    if (input.empty() || input == "\r") return Step{Status::need_more, skipped};

    if (scanned_ == 0) {
        if (input[0] == 0x16) {
            return refuse(400, "This port speaks plain HTTP, not TLS.");
        }
        if (input[0] <= ' ' || input[0] == 0x7f) {
            return refuse(400, "A request begins with a method.");
        }
    }

    // Where does the head end? On the way: every line feed belongs to a line end, no line is
    // folded, and nothing exceeds its limit. Whatever the answer is, it depends on the bytes
    // alone and not on how they were cut.
    std::size_t window = std::min(input.size(), limits_.head_bytes_max);
    std::size_t line_bytes_max = limits_.target_bytes_max + kRequestLineOverhead;
    std::size_t head_size = 0;
    while (head_size == 0) {
        const void* found = std::memchr(input.data() + scanned_, '\n', window - scanned_);
        std::size_t line_end =
            found ? static_cast<std::size_t>(static_cast<const char*>(found) - input.data())
                  : window;
        if (line_start_ == 0 && line_end > line_bytes_max) {
            return refuse(414, "The request target is longer than this server accepts.");
        }
        if (!found) break;
        if (line_end == 0 || input[line_end - 1] != '\r') {
            return refuse(400, "A line does not end with CR LF.");
        }
        if (line_start_ != 0 && (input[line_start_] == ' ' || input[line_start_] == '\t')) {
            return refuse(400, "A header line is folded, which is obsolete.");
        }
        if (line_end == line_start_ + 1) head_size = line_end + 1;
        scanned_ = line_end + 1;
        line_start_ = scanned_;
    }
    if (head_size == 0) {
        if (input.size() > limits_.head_bytes_max) {
            return refuse(431, "The header lines are larger than this server accepts.");
        }
        scanned_ = window;
        return Step{Status::need_more, skipped};
    }

    scanned_ = 0;
    line_start_ = 0;
    empty_lines_ = 0;
    request.clear();
    HeadLexer lexer(request, limits_);
    ErrorCode failed;
    std::size_t used = lexer.put(boost::asio::const_buffer(input.data(), head_size), failed);
    if (lexer.too_many_headers) {
        return refuse(431, "There are more header lines than this server accepts.");
    }
    if (failed) {
        ParseRefusal reason = head_refusal(failed, input.substr(0, input.find("\r\n")));
        return refuse(reason.status, reason.sentence);
    }
    if (used != head_size || !lexer.is_header_done()) {
        return refuse(400, "The header lines are malformed.");
    }
    request.keep_alive = lexer.keep_alive();
    if (!judge_target(request) || !judge_framing(lexer, request)) {
        return Step{Status::refused, 0};
    }
    continue_expected_ = lexer.expects_continue && request.minor_version == 1;
    std::string_view rest = input.substr(head_size);
    std::size_t consumed = skipped + head_size;
    if (state_ == State::chunked_body) return read_chunked_body(rest, request, consumed);
    return read_sized_body(rest, request, consumed);
}

/// Finds the path and the query in the target, and decodes the path.
bool RequestParser::judge_target(http::Request& request) {
    std::string_view target = request.target;
    if (target.size() > limits_.target_bytes_max) {
        refuse(414, "The request target is longer than this server accepts.");
        return false;
    }
    if (target.find('#') != std::string_view::npos) {
        refuse(400, "A request target has no fragment.");
        return false;
    }
    if (request.method == "CONNECT") {
        refuse(501, "This server is not a proxy.");
        return false;
    }
    if (target[0] != '/') {
        if (target == "*" && request.method == "OPTIONS") {
            request.path.assign("*");
            return true;
        }
        std::size_t authority = 0;
        if (equals_ignoring_case(target.substr(0, 7), "http://")) authority = 7;
        if (equals_ignoring_case(target.substr(0, 8), "https://")) authority = 8;
        std::size_t authority_end = std::min(target.find_first_of("/?", authority), target.size());
        std::string_view host = target.substr(authority, authority_end - authority);
        if (authority == 0 || host.empty() || !is_host(host)) {
            refuse(400, "The request target is neither a path nor an http address.");
            return false;
        }
        target.remove_prefix(authority_end);
        if (target.empty() && request.method == "OPTIONS") {
            request.path.assign("*");
            return true;
        }
    }
    std::size_t question = target.find('?');
    if (question != std::string_view::npos) request.query.assign(target.substr(question + 1));
    std::string_view path = target.substr(0, question);
    if (path.empty()) path = "/";
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
bool RequestParser::judge_framing(const HeadLexer& lexer, const http::Request& request) {
    if (lexer.host_count > 1 || (lexer.host_count == 0 && request.minor_version == 1)) {
        refuse(400, "A request has exactly one Host line.");
        return false;
    }
    if (!is_host(lexer.host)) {
        refuse(400, "The Host line is malformed.");
        return false;
    }
    if (lexer.coding_count > 0) {
        if (lexer.length_count > 0 || lexer.coding_count > 1 || request.minor_version == 0) {
            refuse(400, "The length of the body is not clear.");
            return false;
        }
        if (!equals_ignoring_case(lexer.coding, "chunked")) {
            refuse(501, "The only transfer coding this server knows is \"chunked\".");
            return false;
        }
    }
    if (lexer.length_count > 1) {
        refuse(400, "There are several Content-Length lines.");
        return false;
    }
    if (lexer.expects_other) {
        refuse(417, "The only expectation this server knows is \"100-continue\".");
        return false;
    }
    if (lexer.coding_count > 0) {
        if (!chunks_) chunks_ = std::make_unique<ChunkLexer>();
        chunks_->begin(limits_.body_bytes_max);
        state_ = State::chunked_body;
        return true;
    }
    std::uint64_t length = 0;
    if (lexer.length_count > 0) {
        // The lexer has read it already, and refused an overflow. It also takes a list of equal
        // numbers, of which the next server in line might take another part.
        if (lexer.length.find_first_not_of("0123456789") != std::string_view::npos) {
            refuse(400, "The Content-Length is not a number.");
            return false;
        }
        length = lexer.content_length().value_or(0);
    }
    if (length > limits_.body_bytes_max) {
        refuse(413, "The body is larger than this server accepts.");
        return false;
    }
    body_left_ = length;
    state_ = State::sized_body;
    return true;
}

RequestParser::Step RequestParser::read_sized_body(std::string_view input, http::Request& request,
                                                   std::size_t consumed) {
    // The claim alone does not get the memory: a peer has to send half of what we hold for it.
    std::size_t here = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, input.size()));
    request.body.append(input.substr(0, here));
    body_left_ -= here;
    if (body_left_ > 0) return Step{Status::need_more, consumed + here};
    state_ = State::head;
    continue_expected_ = false;
    return Step{Status::complete, consumed + here};
}

RequestParser::Step RequestParser::read_chunked_body(std::string_view input, http::Request& request,
                                                     std::size_t consumed) {
    ParseRefusal refusal;
    std::size_t used = chunks_->put(input, request.body, refusal);
    if (refusal.status != 0) return refuse(refusal.status, refusal.sentence);
    if (!chunks_->done()) return Step{Status::need_more, consumed + used};
    state_ = State::head;
    continue_expected_ = false;
    return Step{Status::complete, consumed + used};
}

}  // namespace troupe::http_internal

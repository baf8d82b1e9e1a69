#pragma once

// From bytes to a response: the client's side of request_parser.hpp.
//
// A response is judged as strictly as a request. Whoever reads two responses where the server wrote
// one hands the second to the next request on that connection, which may be somebody else's. So
// there must be exactly one way to tell where the body ends, and whatever is not quite HTTP costs
// the connection.
//
// A header line is read once it is whole and never looked at again, and body data is not copied:
// each step gives a run of it as a view into the input. How the network cut the bytes never shows.

#include <troupe/http/headers.hpp>
#include <troupe/http/internal/chunk_decoder.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// How large a response's head may be, and therefore how much memory a server can make us hold.
struct ResponseLimits {
    std::size_t head_bytes_max = 64 * 1024;  // of all heads of one response, interim ones included
    std::size_t header_count_max = 200;
};

struct ResponseHead {
    int status = 0;
    int minor_version = 1;
    http::Headers headers;
    http::Headers trailers;
};

class ResponseParser {
public:
    enum class Status {
        need_more,  // all that can be used was used: read more and call again
        head,       // the head is whole; interim responses (1xx) are skipped
        data,       // a piece of the body
        complete,   // the response is whole
        refused,    // see problem(); the connection is good for nothing more
    };

    struct Step {
        Status status;
        std::size_t consumed;   // bytes of the input that are not to be shown again
        std::string_view data;  // not empty after `data`; a view into the input
    };

    explicit ResponseParser(const ResponseLimits& limits) : limits_(limits) {}

    /// Begins a response. One to a HEAD request has no body, whatever it says.
    void begin(bool head_only);

    /// Reads on. `input` is everything that was received and not consumed yet; `response` is the
    /// same one until the response is complete.
    Step advance(std::string_view input, ResponseHead& response);

    /// The peer has finished sending, and everything it sent was consumed: `complete` or `refused`.
    Status end();

    /// What was wrong. Only after `refused`.
    std::string_view problem() const { return problem_; }
    /// Whether it was the size.
    bool too_large() const { return too_large_; }

    /// Whether any byte of the response has come.
    bool begun() const { return head_bytes_ != 0; }
    /// Once the head is whole: how long the body is, if that was said in front.
    bool sized() const { return state_ == State::sized_body; }
    std::uint64_t body_left() const { return body_left_; }
    /// Once the response is complete: whether the connection may carry another request.
    bool keep_alive() const { return keep_alive_; }

private:
    enum class State {
        status_line,
        field_lines,
        sized_body,
        chunked_body,
        body_to_end,
        complete,
        refused
    };

    Step read_head(std::string_view input, ResponseHead& response);
    bool read_status_line(std::string_view line, ResponseHead& response);
    bool end_head(ResponseHead& response);
    bool judge_framing(const ResponseHead& response);
    Step read_sized(std::string_view input);
    Step read_chunked(std::string_view input, ResponseHead& response);
    Step refuse(std::string_view problem, bool too_large = false);
    bool refuse_head(std::string_view problem);

    ResponseLimits limits_;
    State state_ = State::status_line;
    bool head_only_ = false;
    bool keep_alive_ = false;
    bool too_large_ = false;
    int interim_heads_ = 0;
    std::size_t head_bytes_ = 0;  // seen, of all heads
    std::size_t scanned_ = 0;     // of the present line: no line feed up to here
    std::uint64_t body_left_ = 0;
    std::string_view problem_;  // points to a literal
    ChunkDecoder chunks_;
};

/// Whether the comma-separated list in any of the lines of that name holds the token, in any case.
bool list_has_token(const http::Headers& headers, std::string_view name, std::string_view token);

/// How many seconds the server promises to keep an idle connection, from `Keep-Alive: timeout=5`;
/// negative when it promises nothing.
int promised_idle_seconds(const http::Headers& headers);

}  // namespace troupe::http_internal

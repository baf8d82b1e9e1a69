#pragma once

// From bytes to a Request.
//
// Who does what: a scan of our own finds where the head of a message ends, Boost.Beast's
// basic_parser is the lexer for the head and for chunked bodies, and the judgement is ours, because
// the lexer accepts what two servers in a row may read differently (several lengths, a folded
// header line, an unknown transfer coding): the stuff of request smuggling.
//
// The lexer is only shown complete heads. Feeding it piece by piece works too, but then the verdict
// on a bad request could depend on where the network had cut it, and offsets into the bytes would
// be of no use. The scan remembers how far it has looked, so slow heads are not scanned twice.
//
// Nothing is allocated per request once the Request's own buffers have grown; a chunked body needs
// a second lexer, which is made for the first such request of a connection and kept.

#include <troupe/http/request.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace troupe::http_internal {

/// How large a request may be, and therefore how much memory a peer can make us hold.
struct RequestLimits {
    std::size_t target_bytes_max = 8 * 1024;  // what common browsers and proxies carry
    std::size_t head_bytes_max = 16 * 1024;   // request line and header lines together
    std::size_t header_count_max = 100;
    std::size_t body_bytes_max = 1024 * 1024;  // decoded
};

/// Why a request is refused: the status to answer, and a sentence for whoever sent it.
struct ParseRefusal {
    int status = 0;
    std::string_view sentence;  // points to a literal
};

class RequestParser {
public:
    enum class Status {
        need_more,  // all that can be used was used: read more and call again
        complete,   // the Request is whole
        refused,    // see refusal(); the connection cannot be used for a further request
    };

    struct Step {
        Status status;
        std::size_t consumed;  // bytes of the input that are not to be shown again
    };

    explicit RequestParser(const RequestLimits& limits);
    ~RequestParser();
    RequestParser(const RequestParser&) = delete;
    RequestParser& operator=(const RequestParser&) = delete;

    /// Reads on in the current message.
    ///
    /// `input` is everything that was received and not consumed yet, so what was not consumed is
    /// shown again, with more behind it. `request` is the same one until the message is complete;
    /// it is cleared when a message begins. After `complete` the parser is ready for the next one.
    Step advance(std::string_view input, http::Request& request);

    /// What was wrong. Only after `refused`.
    const ParseRefusal& refusal() const { return refusal_; }

    /// True while the head is complete, the body is not, and the peer waits for "100 Continue"
    /// before it sends the body.
    bool continue_expected() const { return continue_expected_; }

    /// True when no byte of a message has been seen: the peer may leave without harm.
    bool between_messages() const { return state_ == State::head && scanned_ == 0; }

    /// How many bytes are worth receiving at once for the rest of the present body; 0 otherwise.
    std::size_t bytes_wanted() const;

private:
    enum class State { head, sized_body, chunked_body, refused };

    class HeadLexer;
    class ChunkLexer;

    Step read_head(std::string_view input, http::Request& request);
    Step read_sized_body(std::string_view input, http::Request& request, std::size_t consumed);
    Step read_chunked_body(std::string_view input, http::Request& request, std::size_t consumed);
    Step refuse(int status, std::string_view sentence);

    bool judge_target(http::Request& request);
    bool judge_framing(const HeadLexer& lexer, const http::Request& request);

    RequestLimits limits_;
    State state_ = State::head;
    bool continue_expected_ = false;
    std::uint8_t empty_lines_ = 0;
    std::size_t scanned_ = 0;     // of the head, up to here there is no problem and no end
    std::size_t line_start_ = 0;  // where the line begins that is being scanned
    std::uint64_t body_left_ = 0;
    ParseRefusal refusal_;
    std::unique_ptr<ChunkLexer> chunks_;
};

}  // namespace troupe::http_internal

#pragma once

// From bytes to a Request.
//
// head_lexer.hpp cuts the head into lines and lines into parts; what is decided here is what they
// mean: where the request goes and where its body ends, so that no second reader of the same bytes
// can see another request in them. How the network has cut the bytes never shows: a head is read
// line by line, and the first byte that is wrong decides. A line that is cut is looked at again
// from its start with each piece that arrives: for a peer that drips, that costs less than
// receiving the piece, and keeping the place within a line would cost the others.
//
// The body is not collected here. It is given piece by piece, as views into the input, and whoever
// reads decides what to do with them and how much is too much.
//
// Who keeps a connection sends the same header lines again and again. So the lines behind a new
// request line are compared with those of the request before, which the Request still holds unless
// a handler has taken it away, and read only when they differ.
//
// Nothing is allocated per request once the Request's own buffers have grown.

#include <troupe/http/internal/chunk_decoder.hpp>
#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/request.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::http_internal {

/// How large a request may be, and therefore how much memory a peer can make us hold.
struct RequestLimits {
    std::size_t target_bytes_max = 8 * 1024;  // what common browsers and proxies carry
    std::size_t head_bytes_max = 16 * 1024;   // request line and header lines together
    std::size_t header_count_max = 100;
    std::uint64_t body_bytes_max = 1024 * 1024;  // decoded
};

class RequestParser {
public:
    enum class Status {
        need_more,  // all that can be used was used: read more and call again
        head,       // the Request is there but for its body: call read_body until `complete`
        data,       // a piece of the body
        complete,   // the body was read, and the parser is ready for the next request
        refused,    // see refusal(); the connection cannot be used for a further request
    };

    struct Step {
        Status status;
        std::size_t consumed;   // bytes of the input that are not to be shown again
        std::string_view data;  // after `data`: a view into the input
    };

    explicit RequestParser(const RequestLimits& limits) : limits_(limits) {}

    /// Reads on in a head. `input` is everything that was received and not consumed yet, so what
    /// was not consumed is shown again, with more behind it. `request` is the same one until the
    /// head is whole; it is cleared when one begins.
    Step read_head(std::string_view input, http::Request& request);

    /// Says how large the present body may be; after read_head, before read_body. Without it the
    /// limit is that of RequestLimits. A body whose length is known to be larger is refused.
    void limit_body(std::uint64_t body_bytes_max) {
        body_bytes_max_ = body_bytes_max;
        chunks_.limit(body_bytes_max);
    }

    /// Of a head that was refused, or is not whole: puts into `request` what there is of it, for
    /// people. That is the method, and the target as its path and query, not decoded; of a request
    /// line that is no such, no method, and how it begins. `input` is as last shown to read_head.
    void tell_what_is_there(std::string_view input, http::Request& request) const;

    /// Reads on in the body, and its trailers into `request`.
    Step read_body(std::string_view input, http::Request& request);

    /// What was wrong. Only after `refused`.
    const ParseRefusal& refusal() const { return refusal_; }

    /// False when the request whose head was read has no body: it is complete.
    bool body_follows() const { return state_ != State::head; }

    /// The length of the present body as its head gives it; nothing when it comes in chunks.
    std::optional<std::uint64_t> body_length() const {
        return state_ == State::chunked_body ? std::nullopt : std::optional(body_left_);
    }

    /// True while a body follows for which the peer waits to hear "100 Continue".
    bool continue_expected() const { return continue_expected_ && body_follows(); }

    /// True when no byte of a message has been seen: the peer may leave without harm.
    bool between_messages() const { return state_ == State::head && !seen_; }

    /// How many bytes are worth receiving at once for the rest of the present body; 0 otherwise.
    std::size_t bytes_wanted() const;

private:
    enum class State : std::uint8_t { head, sized_body, chunked_body, refused };

    // What the header lines say about the message.
    struct Facts {
        std::uint64_t length = 0;
        std::uint8_t hosts = 0;
        std::uint8_t lengths = 0;
        std::uint8_t codings = 0;
        bool host_is_bad = false;
        bool length_is_bad = false;
        bool coding_is_other = false;
        bool expects_continue = false;
        bool expects_other = false;
        bool says_close = false;
        bool says_keep_alive = false;

        /// One good host and no word about a body: all there is to say about most requests.
        bool is_plain() const {
            return hosts == 1 && !host_is_bad && lengths == 0 && codings == 0 &&
                   !expects_continue && !expects_other;
        }
    };

    Step refuse(int status, std::string_view sentence);
    Step refuse_as_lexed();
    Step head_is_cut(std::size_t head_size, std::size_t skipped);
    void take_request_line(std::string_view head, const RequestLine& line, http::Request& request);
    bool has_the_same_fields(std::string_view fields, const http::Request& request) const;
    bool take_field(std::string_view fields, const FieldLine& line, http::Request& request);
    bool judge(std::string_view head, http::Request& request);
    bool judge_target(std::string_view target, http::Request& request);
    bool judge_other_target(std::string_view target, http::Request& request);
    bool judge_path(std::string_view target, std::size_t plain_size, http::Request& request);
    bool judge_framing(const http::Request& request);

    RequestLimits limits_;
    State state_ = State::head;
    bool seen_ = false;  // some of the present head
    bool continue_expected_ = false;
    std::uint8_t empty_lines_ = 0;
    std::size_t line_start_ = 0;    // where the line begins that is looked at next
    std::size_t target_start_ = 0;  // places in the head, since it may move meanwhile
    std::size_t target_size_ = 0;
    std::size_t plain_size_ = 0;
    std::size_t fields_start_ = 0;
    std::size_t fields_size_ = 0;  // of the last whole head, with the empty line; 0: none
    std::size_t field_count_ = 0;
    std::uint64_t body_left_ = 0;
    std::uint64_t body_bytes_max_ = 0;
    Facts facts_;
    ParseRefusal refusal_;
    ChunkDecoder chunks_;
};

}  // namespace troupe::http_internal

#pragma once

#include <troupe/base/error.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/takeover.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http {

/// The reason phrase of a status: "Not Found". Empty for one that has none here.
std::string_view reason_phrase(int status);

/// What a handler answers: a status, header lines and a body. Moved, not copied, since its body may
/// be something that can only be made once.
///
/// Framing is the server's: Content-Length, Transfer-Encoding, Date and Connection are written by
/// it and ignored here, except that `Connection: close` closes.
class Response {
public:
    explicit Response(int status = 200) : status_(status) {}

    /// With a body of that type; of `type` see type().
    Response(int status, std::string_view type, std::string body)
        : status_(status), type_(type), body_(std::move(body)) {}

    int status() const& { return status_; }
    Response& status(int status) & {
        status_ = status;
        return *this;
    }

    const std::string& body() const& { return body_; }
    Response& body(std::string body) & {
        body_ = std::move(body);
        return *this;
    }

    /// A body that is made while it is sent, by a coroutine function or closure
    /// `Task<Result<void>>(BodyWriter)`. It is called once, in the turn of the connection, after
    /// the head was written, and kept with its captures until it has ended. It goes in chunks,
    /// unless length() says how long it will be. When it gives an error, throws, or writes less
    /// than was said, the connection is closed, by which the peer knows that something is missing.
    template <class F>
    Response& stream(F producer) & {
        if constexpr (http_internal::check_producer<F>()) {
            producer_ = std::make_unique<http_internal::BodyProducerOf<F>>(std::move(producer));
        }
        return *this;
    }

    /// The connection speaks another protocol from here on. In place of all else that was said
    /// here the server sends what `next` has; or over HTTP/2, where it is only the request's stream
    /// that does, the status and the header lines said here.
    Response& switch_to(std::unique_ptr<Takeover> next) & {
        next_ = std::move(next);
        return *this;
    }
    /// What was given to switch_to(), or null. For servers.
    std::unique_ptr<Takeover> take_next() { return std::move(next_); }
    bool switches() const { return next_ != nullptr; }

    /// How many bytes the producer will write; nothing when nobody knows.
    Response& length(std::optional<std::uint64_t> bytes) & {
        length_ = bytes;
        return *this;
    }
    std::optional<std::uint64_t> length() const& { return length_; }

    /// What was given to stream(), or null. For servers.
    http_internal::BodyProducer* producer() const { return producer_.get(); }
    /// Gives it away: for middleware that stands around it.
    std::unique_ptr<http_internal::BodyProducer> take_producer() { return std::move(producer_); }

    /// The Content-Type line; none when empty. `type` points to a literal or something that lives
    /// as long; for one that is made at run time use header("Content-Type", …).
    Response& type(std::string_view type) & {
        type_ = type;
        return *this;
    }
    std::string_view type() const& { return type_; }

    /// Appends a header line. A control character in the value becomes a space, and a character
    /// that no name may hold a "-": a value that came from outside cannot end the line and begin
    /// one of its own.
    Response& header(std::string_view name, std::string_view value) &;

    /// The value of the first header line of that name given to header(), or empty.
    std::string_view header(std::string_view name) const&;

    /// Takes back all lines of that name that were given to header(), in any letter case.
    Response& remove_header(std::string_view name) &;

    /// The connection is closed behind this response.
    Response& close() & {
        closes_ = true;
        return *this;
    }
    bool closes() const { return closes_; }

    // The same for a response just made: `return http::ok("bye").close();`
    Response&& status(int status) && { return std::move(this->status(status)); }
    Response&& body(std::string body) && { return std::move(this->body(std::move(body))); }
    template <class F>
    Response&& stream(F producer) && {
        return std::move(this->stream(std::move(producer)));
    }
    Response&& length(std::optional<std::uint64_t> bytes) && {
        return std::move(this->length(bytes));
    }
    Response&& type(std::string_view type) && { return std::move(this->type(type)); }
    Response&& header(std::string_view name, std::string_view value) && {
        return std::move(this->header(name, value));
    }
    Response&& close() && { return std::move(this->close()); }

    /// The lines appended by header(), ready for the wire.
    const std::string& header_lines() const { return header_lines_; }

    /// Gives the body away, and its memory with it.
    std::string take_body() { return std::exchange(body_, std::string()); }

private:
    int status_;
    bool closes_ = false;
    std::string_view type_;
    std::string body_;
    std::string header_lines_;
    std::unique_ptr<http_internal::BodyProducer> producer_;
    std::unique_ptr<Takeover> next_;
    std::optional<std::uint64_t> length_;
};

/// 200 with plain text.
inline Response ok(std::string text) {
    return Response(200, "text/plain; charset=utf-8", std::move(text));
}

/// 200 with a JSON document, which the caller has written. See json.hpp for strings in it.
inline Response json(std::string document) {
    return Response(200, "application/json", std::move(document));
}

/// 200 with an HTML page in UTF-8.
Response html(std::string page);

/// The given status with plain text.
Response text(int status, std::string text);

/// 200 with a body that `producer` writes: see Response::stream.
template <class F>
Response stream(std::string_view type, F producer) {
    Response response;
    response.type(type).stream(std::move(producer));
    return response;
}

/// All of a response's body, also of one that is streamed: for tests of handlers.
///
/// Errors: the producer's. Throws what it throws.
Task<Result<std::string>> whole_body(Response response);

/// An error as a client is told of it: `{"error":"<sentence>","code":"<name>"}`, with 404 for
/// not_found, 504 for timed_out, 503 for actor_gone and mailbox_full, what forms.hpp says for a
/// FormErrc, and 500 for everything else. The code of an enum that is not Errc is its number. Place
/// and causes stay inside.
Response from(const Error& error);

}  // namespace troupe::http

#pragma once

#include <troupe/base/error.hpp>

#include <string>
#include <string_view>

namespace troupe::http {

/// The reason phrase of a status: "Not Found". Empty for one that has none here.
std::string_view reason_phrase(int status);

/// What a handler answers: a status, header lines and a body.
///
/// Framing is the server's: Content-Length, Date and Connection are written by it and ignored
/// here, except that `Connection: close` closes.
class Response {
public:
    explicit Response(int status = 200) : status_(status) {}

    int status() const { return status_; }
    Response& status(int status) {
        status_ = status;
        return *this;
    }

    const std::string& body() const { return body_; }
    Response& body(std::string body) {
        body_ = std::move(body);
        return *this;
    }

    /// The Content-Type line; none when empty. `type` points to a literal or something that lives
    /// as long; for one that is made at run time use header("Content-Type", …).
    Response& type(std::string_view type) {
        type_ = type;
        return *this;
    }
    std::string_view type() const { return type_; }

    /// Appends a header line. A control character in the value becomes a space, and a character
    /// that no name may hold a "-": a value that came from outside cannot end the line and begin
    /// one of its own.
    Response& header(std::string_view name, std::string_view value);

    /// The value of the first header line of that name given to header(), or empty.
    std::string_view header(std::string_view name) const;

    /// The connection is closed behind this response.
    Response& close() {
        closes_ = true;
        return *this;
    }
    bool closes() const { return closes_; }

    /// The lines appended by header(), ready for the wire.
    const std::string& header_lines() const { return header_lines_; }

private:
    int status_;
    bool closes_ = false;
    std::string_view type_;
    std::string body_;
    std::string header_lines_;
};

/// 200 with plain text.
Response ok(std::string text);

/// 200 with a JSON document, which the caller has written. See json.hpp for strings in it.
Response json(std::string document);

/// 200 with an HTML page in UTF-8.
Response html(std::string page);

/// The given status with plain text.
Response text(int status, std::string text);

/// An error as a client is told of it: `{"error":"<sentence>","code":"<name>"}`, with 404 for
/// not_found, 504 for timed_out, 503 for actor_gone and mailbox_full, and 500 for everything else.
/// The code of an enum that is not Errc is its number. Place and causes stay inside.
Response from(const Error& error);

}  // namespace troupe::http

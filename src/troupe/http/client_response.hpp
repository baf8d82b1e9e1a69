#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/headers.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {
class Exchange;
}

namespace troupe::http {

/// A response as a whole. What status it has is no error of the client's: 404 is an answer.
struct ClientResponse {
    int status = 0;
    Headers headers;
    std::string body;  ///< with any chunked coding removed
    Headers trailers;
    std::string url;  ///< where it came from, after redirects

    /// The value of the first header line of that name, in any letter case.
    std::optional<std::string_view> header(std::string_view name) const {
        return headers.find(name);
    }
};

/// A response whose body is read piece by piece. The server can be ahead of its reader by what the
/// network holds and no more: nothing is received until somebody asks for it.
///
/// It holds one of the client's connections until the body has been read to its end. Let go of
/// before, it closes that connection.
///
/// Threads: in the turn of the actor or task it belongs to; it may be moved to another while nobody
///          waits for it.
class ResponseStream {
public:
    ResponseStream(std::unique_ptr<http_internal::Exchange> exchange, std::string what);
    ResponseStream(ResponseStream&&) noexcept;
    ResponseStream& operator=(ResponseStream&&) noexcept;
    ~ResponseStream();

    int status() const;
    const Headers& headers() const;
    std::optional<std::string_view> header(std::string_view name) const;
    /// The lines behind a chunked body. Empty until it has been read.
    const Headers& trailers() const;

    /// The next piece of the body, never an empty one; nothing, when it is whole.
    ///
    /// Errors:  timed_out, when nothing comes for so long, and it may be called again; closed;
    ///          cancelled; ClientErrc::bad_response.
    Task<Result<std::optional<std::string>>> next(Duration longest = std::chrono::seconds(30));

private:
    std::unique_ptr<http_internal::Exchange> exchange_;
    std::string what_;  // method and address, for errors
};

/// A request whose body is sent piece by piece, in the chunked coding. Let go of before finish(),
/// it closes its connection, and the server sees that the request was not whole.
///
/// Threads: as for ResponseStream.
class Upload {
public:
    Upload(std::unique_ptr<http_internal::Exchange> exchange, std::string what, bool head_only);
    Upload(Upload&&) noexcept;
    Upload& operator=(Upload&&) noexcept;
    ~Upload();

    /// Sends a piece, and waits while the server takes none.
    ///
    /// Errors:  timed_out, when it does not go within `longest`; closed; cancelled. After any of
    ///          them finish() may still find out what the server had to say.
    Task<Result<void>> write(std::string piece, Duration longest = std::chrono::seconds(30));

    /// Sends the end and waits for the head of the response. To be called once.
    ///
    /// Errors:  as for Client::open.
    Task<Result<ResponseStream>> finish(Duration longest = std::chrono::seconds(30));

private:
    std::unique_ptr<http_internal::Exchange> exchange_;
    std::string what_;
    bool head_only_;
};

}  // namespace troupe::http

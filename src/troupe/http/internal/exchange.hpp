#pragma once

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/client_options.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/connection_pool.hpp>
#include <troupe/http/internal/response_parser.hpp>
#include <troupe/http/url.hpp>
#include <troupe/task/task.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// One request and its response on a leased connection. The connection goes back to the pool when
/// the response is whole and good for another request, and is closed in every other case.
///
/// Deadlines are engine time; `Duration::max()` is none. Every wait ends with a stop of the actor.
class Exchange {
public:
    Exchange(System system, Lease lease, const http::ClientOptions& options);
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// Sees to it that there is a connection.
    ///
    /// Errors:  those of resolve and connect; timed_out; TlsErrc.
    Task<Result<void>> connect(http::Url url, std::optional<TlsClient> tls, Duration deadline);

    /// Sends bytes, which the caller keeps meanwhile.
    Task<Result<void>> write(std::string_view bytes, Duration deadline);

    /// Waits for the head of the response.
    ///
    /// Errors:  closed, timed_out, cancelled; bad_response, response_too_large.
    Task<Result<void>> receive_head(bool head_only, Duration deadline);

    /// The next piece of the body; nothing, when it is whole. Errors as for receive_head.
    Task<Result<std::optional<std::string>>> receive(Duration deadline);

    const ResponseHead& head() const { return head_; }
    ResponseHead& head() { return head_; }
    /// How long the body is, if that was said in front.
    std::optional<std::uint64_t> announced() const;
    /// Whether the connection had carried a request before.
    bool reused() const { return reused_; }
    /// Whether any byte of the response has come.
    bool begun() const { return parser_.begun(); }
    Duration now() const { return system_.now(); }

private:
    Task<Result<void>> receive_more(Duration deadline);
    void finish();
    Error fail();

    System system_;
    Lease lease_;
    const Duration idle_timeout_;
    const bool reused_;
    ResponseParser parser_;
    ResponseHead head_;
    ByteBuffer input_;
    bool sent_ = true;   // all of the request, as far as we know
    bool done_ = false;  // the response is whole
};

}  // namespace troupe::http_internal

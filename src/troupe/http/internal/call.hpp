#pragma once

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/client_options.hpp>
#include <troupe/http/client_request.hpp>
#include <troupe/http/client_response.hpp>
#include <troupe/http/internal/connection_pool.hpp>
#include <troupe/http/internal/exchange.hpp>
#include <troupe/http/url.hpp>
#include <troupe/task/task.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// One call of a client, from the address to the answer: waits for a connection, sends, tries again
/// and follows redirects where that is allowed. It lives in the frame of the coroutine that makes
/// the call, which awaits what is called here.
class Call {
public:
    Call(System system, Ref<ConnectionPool> pool, const http::ClientOptions& options,
         http::ClientRequest request);

    /// The response with its body.
    Task<Result<http::ClientResponse>> whole();
    /// The response with its body still to come.
    Task<Result<http::ResponseStream>> stream();
    /// A connection on which the head of a request with a streamed body has been sent.
    Task<Result<http::Upload>> upload();

private:
    using Freshness = ConnectionPool::Freshness;

    Task<Result<void>> answer();
    Task<Result<void>> try_and_try_again();
    Task<Result<void>> open(Freshness freshness, std::string_view head);
    Task<Result<void>> connect(Freshness freshness);
    Task<Result<void>> send_request(std::string_view head);
    Task<Result<std::string>> read_body();
    Result<bool> follow(const ResponseHead& head);

    Error explain(const Error& cause) const;
    std::string what() const { return request_.method() + " " + request_.url(); }
    Duration left() const;

    System system_;
    Ref<ConnectionPool> pool_;
    const http::ClientOptions options_;
    http::ClientRequest request_;
    const Duration begun_;
    const Duration deadline_;  // engine time
    int redirects_left_;
    int retries_left_;
    http::Url url_;
    std::unique_ptr<Exchange> exchange_;
    const char* doing_ = "";  // for errors
};

/// The error for something that went wrong between a method and an address, with how long it took.
Error explain(std::string_view what, const char* doing, const Error& cause, Duration took);

}  // namespace troupe::http_internal

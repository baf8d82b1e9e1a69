#include <troupe/actor/ask.hpp>
#include <troupe/base/error.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/internal/call.hpp>
#include <troupe/http/internal/request_writer.hpp>
#include <troupe/http/internal/trace_lines.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <utility>

namespace troupe::http_internal {

namespace {

using namespace std::chrono_literals;

// A head and a body of this size together leave in one write; a copy of more costs more than the
// second write.
constexpr std::size_t kOneWriteBytes = 16 * 1024;

// The body of a redirect is a sentence for people. So much of it is read to keep the connection.
constexpr std::size_t kRedirectBytesRead = 16 * 1024;

// A server that has refused a body it was still being sent has usually said why before it hung up.
constexpr Duration kWaitForRefusal = 1s;

constexpr Duration kFirstPause = 100ms;
constexpr Duration kLongestPause = 5s;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Whether the server may never have seen the request, or has never begun to answer it.
bool is_broken_connection(const Error& error) {
    return error == Errc::closed || error == Errc::unreachable;
}

}  // namespace

Error explain(std::string_view what, const char* doing, const Error& cause, Duration took) {
    std::string text(what);
    text += ": ";
    text += doing;
    text += ": " + cause.text() + " (after " + std::to_string(took.count() / 1'000'000) + " ms)";
    // The code stays, so that callers can act on it; the text is for people.
    static const std::uint32_t our_domain = Error(http::ClientErrc::bad_url).domain();
    static const std::uint32_t general_domain = Error(Errc::failed).domain();
    if (cause.domain() == our_domain) {
        return Error(static_cast<http::ClientErrc>(cause.value()), std::move(text))
            .with_cause(cause);
    }
    const Errc code =
        cause.domain() == general_domain ? static_cast<Errc>(cause.value()) : Errc::failed;
    return Error(code, std::move(text)).with_cause(cause);
}

Call::Call(System system, Ref<ConnectionPool> pool, const http::ClientOptions& options,
           http::ClientRequest request)
    : system_(system),
      pool_(pool),
      options_(options),
      request_(std::move(request)),
      begun_(system.now()),
      deadline_(std::min(asker_deadline(),
                         begun_ + std::min(request_.timeout().value_or(options.timeout()),
                                           Duration::max() - begun_))),
      redirects_left_(request_.redirects_max().value_or(options.redirects_max())),
      retries_left_(request_.idempotent() ? request_.retries().value_or(options.retries()) : 0) {
    if (options.sends_trace()) add_trace_lines(request_);
}

Error Call::explain(const Error& cause) const {
    return http_internal::explain(what(), doing_, cause, system_.now() - begun_);
}

Duration Call::left() const {
    return std::max(deadline_ - system_.now(), Duration::zero());
}

// ---- the answer ---------------------------------------------------------------------------------

Task<Result<http::ClientResponse>> Call::whole() {
    co_await or_return(co_await answer());
    doing_ = "reading the body";
    Result<std::string> body = co_await read_body();
    if (!body) co_return std::unexpected(explain(body.error()));
    ResponseHead& head = exchange_->head();
    http::ClientResponse response;
    response.status = head.status;
    response.headers = std::move(head.headers);
    response.trailers = std::move(head.trailers);
    response.body = std::move(*body);
    response.url = url_.text();
    co_return response;
}

Task<Result<http::ResponseStream>> Call::stream() {
    co_await or_return(co_await answer());
    co_return http::ResponseStream(std::move(exchange_), what());
}

Task<Result<http::Upload>> Call::upload() {
    url_ = co_await or_return(http::Url::parse(request_.url()));
    doing_ = "writing the request";
    Result<std::string> head = write_request_head(request_, url_, RequestBody::chunked);
    if (!head) co_return std::unexpected(explain(head.error()));
    // What was sent cannot be sent again, so it is not given to a connection that may be gone.
    Result<void> done = co_await connect(Freshness::fresh);
    if (done) {
        doing_ = "sending";
        done = co_await exchange_->write(*head, deadline_);
    }
    if (!done) co_return std::unexpected(explain(done.error()));
    co_return http::Upload(std::move(exchange_), what(), request_.method() == "HEAD");
}

/// Gets the first answer that is not a redirect to be followed.
Task<Result<void>> Call::answer() {
    url_ = co_await or_return(http::Url::parse(request_.url()));
    for (;;) {
        co_await or_return(co_await try_and_try_again());
        Result<bool> again = follow(exchange_->head());
        if (!again) co_return std::unexpected(std::move(again).error());
        if (!*again) co_return Result<void>();
        for (std::size_t read = 0; read < kRedirectBytesRead;) {
            Result<std::optional<std::string>> piece = co_await exchange_->receive(deadline_);
            if (!piece || !*piece) break;  // the connection is gone or free again; either will do
            read += (*piece)->size();
        }
        exchange_.reset();
    }
}

/// Turns the request into the one that the redirect asks for. False: it is no redirect, or none
/// that is followed.
Result<bool> Call::follow(const ResponseHead& head) {
    const int redirects_max = request_.redirects_max().value_or(options_.redirects_max());
    const auto location = head.headers.find("Location");
    if (redirects_max <= 0 || !is_redirect(head.status) || !location) return false;
    doing_ = "following redirects";
    if (redirects_left_-- == 0) {
        return std::unexpected(
            explain(Error(http::ClientErrc::too_many_redirects,
                          "after " + std::to_string(redirects_max) + " of them it is sent on to '" +
                              std::string(*location) + "'")));
    }
    Result<http::Url> url = url_.resolve(*location);
    if (!url) return std::unexpected(explain(url.error()));
    const bool same_origin = url->origin() == url_.origin();
    url_ = std::move(*url);
    request_.redirect(head.status, url_.text(), same_origin);
    return true;
}

Task<Result<std::string>> Call::read_body() {
    const std::size_t bytes_max = request_.body_bytes_max().value_or(options_.body_bytes_max());
    std::uint64_t bytes = exchange_->announced().value_or(0);
    std::string body;
    while (bytes <= bytes_max) {
        std::optional<std::string> piece =
            co_await or_return(co_await exchange_->receive(deadline_));
        if (!piece) co_return body;
        body += *piece;
        bytes = std::max<std::uint64_t>(bytes, body.size());
    }
    co_return error(http::ClientErrc::response_too_large,
                    "the body is larger than the limit of " + std::to_string(bytes_max) + " bytes");
}

// ---- one request --------------------------------------------------------------------------------

Task<Result<void>> Call::try_and_try_again() {
    doing_ = "writing the request";
    Result<std::string> head = write_request_head(request_, url_, RequestBody::whole);
    if (!head) co_return std::unexpected(explain(head.error()));
    Freshness freshness = Freshness::any;
    Duration pause = kFirstPause;
    for (;;) {
        Result<void> opened = co_await open(freshness, *head);
        if (opened) co_return opened;

        const Error& cause = opened.error();
        const bool untouched = exchange_ && !exchange_->begun();
        const bool retriable = request_.idempotent() && untouched && is_broken_connection(cause);
        if (retriable && exchange_->reused() && freshness == Freshness::any) {
            freshness = Freshness::fresh;  // it had been closed while it lay idle
        } else if (retriable && retries_left_ > 0 && pause < left()) {
            --retries_left_;
            exchange_.reset();  // others may use its place meanwhile
            co_await or_return(co_await sleep(pause));
            pause = std::min(pause * 2, kLongestPause);
        } else {
            co_return std::unexpected(explain(cause));
        }
    }
}

Task<Result<void>> Call::open(Freshness freshness, std::string_view head) {
    co_await or_return(co_await connect(freshness));
    co_return co_await send_request(head);
}

Task<Result<void>> Call::connect(Freshness freshness) {
    exchange_.reset();
    doing_ = "waiting for a connection";
    Result<Lease> lease =
        co_await pool_.ask<&ConnectionPool::lease>(url_.origin(), deadline_, freshness)
            .within(left());
    if (!lease) co_return std::unexpected(std::move(lease).error());
    doing_ = "connecting";
    exchange_ = std::make_unique<Exchange>(system_, std::move(*lease), options_);
    co_return co_await exchange_->connect(url_, options_.tls(), deadline_);
}

/// Sends the request, and waits for the head of the response.
Task<Result<void>> Call::send_request(std::string_view head) {
    doing_ = "sending";
    std::string first(head);
    std::string_view rest = request_.body();
    if (rest.size() <= kOneWriteBytes) {
        first += rest;
        rest = {};
    }
    Result<void> sent = co_await exchange_->write(first, deadline_);
    if (sent && !rest.empty()) sent = co_await exchange_->write(rest, deadline_);
    const bool head_only = request_.method() == "HEAD";
    if (!sent && sent.error() != Errc::closed) co_return sent;
    if (!sent) {
        const Duration until = std::min(deadline_, system_.now() + kWaitForRefusal);
        const Result<void> refusal = co_await exchange_->receive_head(head_only, until);
        co_return refusal ? Result<void>() : sent;
    }
    doing_ = "waiting for the response";
    co_return co_await exchange_->receive_head(head_only, deadline_);
}

}  // namespace troupe::http_internal

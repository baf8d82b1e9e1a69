#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/websocket/client.hpp>
#include <troupe/websocket/internal/dialer.hpp>
#include <troupe/websocket/internal/socket_core.hpp>

#include <algorithm>
#include <utility>

namespace troupe::websocket {

namespace {

// One timer at a time: an attempt is under way, or the next one is waited for.
TimerKey timer_key() {
    return TimerKey("websocket client");
}

/// A delay between half of what its turn allows and all of that.
Duration backoff(const ClientOptions& options, int failures, std::uint64_t random) {
    Duration longest = options.backoff_first();
    for (int i = 1; i < failures && longest < options.backoff_max(); ++i)
        longest *= 2;
    longest = std::min(longest, options.backoff_max());
    const auto share = static_cast<double>(random % 1'000'000) / 1'000'000;
    return std::chrono::duration_cast<Duration>(longest * (0.5 + share / 2));
}

}  // namespace

Client::Client(std::string url, ClientOptions options)
    : Client(std::move(url), std::make_shared<const ClientOptions>(std::move(options))) {}

Client::Client(std::string url, std::shared_ptr<const ClientOptions> options)
    : Socket(std::shared_ptr<const Options>(options, &options->socket())),
      url_(std::move(url)),
      options_(std::move(options)) {}

Client::~Client() = default;

Result<void> Client::begin_connection() {
    TROUPE_TRY(websocket_internal::parse_websocket_url(url_));
    dial();
    return {};
}

void Client::dial() {
    dialing_ = true;
    ++attempt_;
    auto dialer = spawn<websocket_internal::Dialer>(self(this), attempt_, url_, options_);
    dialer.tell<&websocket_internal::Dialer::dial>();
    dialer_ = dialer;
    after<&Client::dial_takes_too_long>(timer_key(), options_->connect_timeout(), attempt_);
}

void Client::dialed(std::unique_ptr<websocket_internal::Opening> opening, std::uint64_t attempt) {
    if (!dialing_ || attempt != attempt_ || closed_) return;
    dialing_ = false;
    cancel_timer(timer_key());
    connected_ = true;
    connected_at_ = system().now();
    open_connection(std::move(*opening));
}

void Client::dial_failed(Error why, std::uint64_t attempt) {
    if (!dialing_ || attempt != attempt_ || closed_) return;
    dialing_ = false;
    retry(why);
}

void Client::dial_takes_too_long(std::uint64_t attempt) {
    if (!dialing_ || attempt != attempt_ || closed_) return;
    dialing_ = false;
    dialer_.stop(Stop::kill);
    retry(Error(Errc::timed_out, "there is no connection yet: " + url_));
}

void Client::retry(const Error& why) {
    ++failures_;
    const Duration delay = backoff(*options_, failures_, system().engine().random());
    after<&Client::dial>(timer_key(), delay);
    on_retry(why, delay);
}

Task<void> Client::on_open(const http::Request&) {
    return on_connected();
}

/// The connection has ended, and its hooks.
bool Client::goes_on_unconnected() {
    if (closed_) return false;
    connected_ = false;
    renew_connection();
    if (system().now() - connected_at_ >= options_->backoff_max()) failures_ = 0;
    retry(Error(Errc::closed, "the connection has ended: " + url_));
    return true;
}

void Client::close(unsigned code, std::string_view reason) {
    closed_ = true;
    cancel_timer(timer_key());
    dialer_.stop(Stop::kill);
    Socket::close(code, reason);
    if (!connected_) self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

}  // namespace troupe::websocket

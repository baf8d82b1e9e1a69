#include <troupe/actor/actor.hpp>
#include <troupe/base/error.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/internal/exchange.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/io/stream.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::http_internal {

namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<std::string>;

// Large enough that a system call is small beside the copy, small enough to be held by many.
constexpr std::size_t kReadBytes = 16 * 1024;

// A server that keeps a connection for a second may close it while our request is on its way.
constexpr Duration kIdleReserve = 1s;

/// Looks up one name, in place of a caller whose deadline may come first, and ends.
class Lookup final : public Actor {
public:
    Task<Result<Addresses>> find(std::string host) {
        Result<Addresses> found = co_await resolve(system().engine(), std::move(host));
        self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
        co_return found;
    }
};

/// Whether finding the addresses may have to ask somebody.
bool is_name(std::string_view host) {
    constexpr std::string_view kNumbers = "0123456789.";
    return host != "localhost" && host.find(':') == std::string_view::npos &&
           host.find_first_not_of(kNumbers) != std::string_view::npos;
}

Task<Result<Addresses>> addresses_of(System system, std::string host, Duration longest) {
    if (!is_name(host)) co_return co_await resolve(system.engine(), std::move(host));
    const Ref<Lookup> lookup = system.spawn<Lookup>();
    co_return co_await lookup.ask<&Lookup::find>(std::move(host)).within(longest);
}

}  // namespace

Exchange::Exchange(System system, Lease lease, const http::ClientOptions& options)
    : system_(system),
      lease_(std::move(lease)),
      idle_timeout_(options.idle_timeout()),
      reused_(lease_.reused()),
      parser_(ResponseLimits{options.head_bytes_max()}) {}

Task<Result<void>> Exchange::connect(http::Url url, std::optional<TlsClient> tls,
                                     Duration deadline) {
    if (lease_.stream().is_open()) co_return Result<void>();
    if (url.secure && !tls) tls = co_await or_return(TlsClient::standard());
    const Addresses addresses =
        co_await or_return(co_await addresses_of(system_, url.host, deadline - now()));
    Result<Stream> connected = error(Errc::unreachable);
    for (const std::string& address : addresses) {
        const Duration left = std::max(deadline - now(), Duration::zero());
        connected = co_await troupe::connect(system_.engine(), Endpoint(address, url.port), left);
        // The next address may do better, but not against the clock or our own stop.
        if (connected || connected.error() != Errc::unreachable) break;
    }
    Stream stream = co_await or_return(std::move(connected));
    if (url.secure) {
        stream = tls_over(std::move(stream), *tls, url.host);
        const Duration left = std::max(deadline - now(), Duration::zero());
        co_await or_return(co_await stream.handshake(Interruptible::yes).within(left));
    }
    lease_.stream() = std::move(stream);
    co_return Result<void>();
}

Task<Result<void>> Exchange::write(std::string_view bytes, Duration deadline) {
    lease_.use();
    const Duration left = std::max(deadline - now(), Duration::zero());
    Result<void> written =
        co_await lease_.stream().write_all(bytes, Interruptible::yes).within(left);
    if (!written) sent_ = false;
    co_return written;
}

Task<Result<void>> Exchange::receive_head(bool head_only, Duration deadline) {
    parser_.begin(head_only);
    for (;;) {
        const ResponseParser::Step step = parser_.advance(input_.pending(), head_);
        input_.consume(step.consumed);
        if (step.status == ResponseParser::Status::refused) {
            co_return std::unexpected(fail());
        }
        if (step.status == ResponseParser::Status::head) break;
        co_await or_return(co_await receive_more(deadline));
    }
    if (parser_.sized() && parser_.body_left() == 0) {
        ignore(parser_.advance(input_.pending(), head_), "it says complete, and nothing else");
        finish();
    }
    co_return Result<void>();
}

Task<Result<std::optional<std::string>>> Exchange::receive(Duration deadline) {
    while (!done_) {
        const ResponseParser::Step step = parser_.advance(input_.pending(), head_);
        std::string piece(step.data);
        input_.consume(step.consumed);
        switch (step.status) {
            case ResponseParser::Status::data:
                co_return piece;
            case ResponseParser::Status::complete:
                finish();
                break;
            case ResponseParser::Status::refused:
                co_return std::unexpected(fail());
            case ResponseParser::Status::head:
            case ResponseParser::Status::need_more:
                co_await or_return(co_await receive_more(deadline));
                break;
        }
    }
    co_return std::nullopt;
}

/// Waits for bytes, or for the end of them.
Task<Result<void>> Exchange::receive_more(Duration deadline) {
    const Duration left = std::max(deadline - now(), Duration::zero());
    auto received = co_await lease_.stream()
                        .read_some(input_.room(kReadBytes), Interruptible::yes)
                        .within(left);
    if (!received) co_return std::unexpected(std::move(received).error());
    input_.put(*received);
    if (*received > 0) co_return Result<void>();
    if (parser_.end() != ResponseParser::Status::complete) {
        lease_.give_back();
        co_return error(Errc::closed, std::string(parser_.problem()));
    }
    finish();
    co_return Result<void>();
}

/// The response is whole. The connection is good for another request if both sides say so and
/// nothing lies in it that nobody asked for.
void Exchange::finish() {
    done_ = true;
    Duration idle = idle_timeout_;
    if (const int promised = promised_idle_seconds(head_.headers); promised >= 0) {
        idle = std::min(idle, std::chrono::seconds(promised) - kIdleReserve);
    }
    if (sent_ && parser_.keep_alive() && input_.empty() && idle > Duration::zero()) {
        lease_.keep_until(now() + idle);
    }
    lease_.give_back();
}

Error Exchange::fail() {
    lease_.give_back();
    return Error(
        parser_.too_large() ? http::ClientErrc::response_too_large : http::ClientErrc::bad_response,
        std::string(parser_.problem()));
}

std::optional<std::uint64_t> Exchange::announced() const {
    if (!parser_.sized()) return std::nullopt;
    return parser_.body_left();
}

}  // namespace troupe::http_internal

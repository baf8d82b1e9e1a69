#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/websocket/options.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::websocket {

/// What a client may be told.
class ClientOptions {
public:
    ClientOptions() = default;

    /// What both ends have in common: limits, times, subprotocols to ask for, compression.
    ClientOptions& socket(Options options) {
        socket_ = std::move(options);
        return *this;
    }
    /// A further line in the request: "Authorization", for example.
    ClientOptions& header(std::string name, std::string value) {
        headers_.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    /// Whom to trust and who we are at wss addresses; TlsClient::standard() unless said.
    ClientOptions& tls(TlsClient client) {
        tls_ = std::move(client);
        return *this;
    }
    /// How long an attempt may take: to find the host, to connect and to be let in.
    ClientOptions& connect_timeout(Duration timeout) {
        connect_timeout_ = timeout;
        return *this;
    }
    /// How long to wait before the next attempt: after the first failure `first` at most, then
    /// twice that, and so on up to `max`; each time by chance between half of that and all of it,
    /// so that a thousand clients of a server that was restarted do not come in one moment. A
    /// connection that has lasted as long as `max` makes it begin anew.
    ClientOptions& backoff(Duration first, Duration max) {
        backoff_first_ = first;
        backoff_max_ = max > first ? max : first;
        return *this;
    }

    const Options& socket() const { return socket_; }
    const std::optional<TlsClient>& tls() const { return tls_; }
    const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }
    Duration connect_timeout() const { return connect_timeout_; }
    Duration backoff_first() const { return backoff_first_; }
    Duration backoff_max() const { return backoff_max_; }

private:
    Options socket_;
    std::optional<TlsClient> tls_;
    std::vector<std::pair<std::string, std::string>> headers_;
    Duration connect_timeout_ = std::chrono::seconds(10);
    Duration backoff_first_ = std::chrono::milliseconds(500);
    Duration backoff_max_ = std::chrono::seconds(30);
};

}  // namespace troupe::websocket

#pragma once

/// The PROXY protocol (HAProxy's, versions 1 and 2): a proxy that passes bytes on, and does not
/// speak what they say, begins each connection with the address of whom it does it for.
///
///     auto ours = co_await or_return(IpNetworks::parse("10.0.0.0/8"));
///     ListenOptions().proxy_protocol(ProxyProtocol(ours))
///
/// From those addresses the header has to come first, and Stream::peer() is who it names as soon as
/// something was read, or Stream::handshake() has ended. Nobody else is listened to about it:
/// anybody could say anything. Their connections are as without all this.

#include <troupe/base/duration.hpp>
#include <troupe/io/ip_address.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace troupe {

class ProxyProtocol {
public:
    /// With whom it is spoken.
    explicit ProxyProtocol(IpNetworks proxies)
        : proxies_(std::make_shared<const IpNetworks>(std::move(proxies))) {}

    /// A connection whose header is not whole by then is given up. 5 s unless said.
    ProxyProtocol& timeout(Duration timeout) {
        timeout_ = timeout;
        return *this;
    }

    const IpNetworks& proxies() const { return *proxies_; }
    Duration timeout() const { return timeout_; }

private:
    std::shared_ptr<const IpNetworks> proxies_;  // shared by copies, of which accept makes some
    Duration timeout_ = std::chrono::seconds(5);
};

}  // namespace troupe

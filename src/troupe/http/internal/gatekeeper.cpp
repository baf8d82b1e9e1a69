#include <troupe/actor/system.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/http/internal/gatekeeper.hpp>

#include <utility>

namespace troupe::http_internal {

net::Guest Gatekeeper::welcome(Stream stream) {
    auto phase = std::make_shared<net::ConnectionPhase>();
    std::shared_ptr<RequestRate> rate;
    if (rates_) rate = rates_->of(stream.peer().host, system().now());
    auto connection =
        spawn<Connection>(server_, phase, std::move(rate), self(this), std::move(stream));
    connection.tell<&Connection::serve>();
    return net::Guest(connection, std::move(phase));
}

void Gatekeeper::take_over(std::unique_ptr<http::Takeover> next, Stream stream,
                           std::string received) {
    add(net::Guest(next->begin(*this, std::move(stream), std::move(received)), nullptr));
}

}  // namespace troupe::http_internal

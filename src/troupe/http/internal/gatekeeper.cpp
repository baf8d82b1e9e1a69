#include <troupe/actor/system.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/http/internal/gatekeeper.hpp>

#include <utility>

namespace troupe::http_internal {

net::Guest Gatekeeper::welcome(Stream stream) {
    auto phase = std::make_shared<net::ConnectionPhase>();
    std::shared_ptr<RequestRate> rate;
    if (rates_) rate = rates_->of(stream.peer().host, system().now());
    auto connection = spawn<Connection>(server_, phase, std::move(rate), std::move(stream));
    connection.tell<&Connection::serve>();
    return net::Guest{connection, std::move(phase)};
}

}  // namespace troupe::http_internal

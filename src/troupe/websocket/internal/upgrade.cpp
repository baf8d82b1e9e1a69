#include <troupe/actor/own_message.hpp>
#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/socket_core.hpp>
#include <troupe/websocket/internal/upgrade.hpp>

#include <optional>
#include <string>
#include <utility>

namespace troupe::websocket_internal {

namespace {

class SocketTakeover final : public http::Takeover {
public:
    SocketTakeover(std::string head, std::shared_ptr<const Route> route, Agreement agreement,
                   http::Request request)
        : Takeover(std::move(head)), route_(std::move(route)) {
        opening_.options = std::shared_ptr<const websocket::Options>(route_, &route_->options);
        opening_.agreement = std::move(agreement);
        opening_.request = std::move(request);
    }

    Ref<Actor> begin(Actor& server, Stream stream, std::string received) override {
        opening_.stream = std::move(stream);
        opening_.received = std::move(received);
        const OpeningScope scope(opening_);
        return route_->spawn(*actor_internal::cell_of(server));
    }

private:
    std::shared_ptr<const Route> route_;  // as upgrade() says
    Opening opening_;
};

}  // namespace

http::Response upgrade(std::shared_ptr<const Route> route, http::Request request) {
    Agreement agreement;
    if (auto refusal = judge_upgrade(request, route->options, agreement)) {
        return std::move(*refusal);
    }
    std::string head;
    http::Response response(101);
    if (request.opens_websocket) {
        response.status(200);
        if (!agreement.protocol.empty()) {
            response.header("Sec-WebSocket-Protocol", agreement.protocol);
        }
        if (agreement.deflate.on) {
            response.header("Sec-WebSocket-Extensions", deflate_response(agreement.deflate));
        }
    } else {
        head = upgrade_response(request.header("Sec-WebSocket-Key").value_or(""), agreement);
    }
    response.switch_to(std::make_unique<SocketTakeover>(std::move(head), std::move(route),
                                                        std::move(agreement), std::move(request)));
    return response;
}

}  // namespace troupe::websocket_internal

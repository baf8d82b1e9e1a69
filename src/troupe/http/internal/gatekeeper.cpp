#include <troupe/actor/system.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/http/internal/gatekeeper.hpp>
#include <troupe/http/internal/h2_connection.hpp>
#include <troupe/http/internal/load_probe.hpp>

#include <chrono>
#include <utility>

namespace troupe::http_internal {

namespace {

// Long enough for a handshake over a slow line; who takes longer has to go when others come.
constexpr Duration kHandshakeGrace = std::chrono::seconds(1);

}  // namespace

Gatekeeper::Gatekeeper(std::shared_ptr<const ServerState> server)
    : net::Gatekeeper(server->options.connections_max()), server_(std::move(server)) {
    if (!server_->options.overload().watches()) return;
    spawn<LoadProbe>(server_->admission).tell<&LoadProbe::begin>();
}

net::Guest Gatekeeper::welcome(Stream stream) {
    const http::ServerOptions& options = server_->options;
    net::Guest nobody(Ref<Actor>(), nullptr);  // the stream is closed by that
    std::shared_ptr<Place> place;
    if (!options.proxy_protocol()) {
        place = server_->admission->enter(address_of_peer(stream), system().now());
        if (!place) return nobody;
    }
    if (options.tls() && !has_room_for_a_handshake()) return nobody;
    auto phase = std::make_shared<net::ConnectionPhase>();
    if (options.tls()) phase->begin_to_agree();
    auto connection =
        spawn<Connection>(server_, phase, std::move(place), self(this), std::move(stream));
    connection.tell<&Connection::serve>();
    if (options.tls()) agreeing_.push_back({connection, phase, system().now()});
    return net::Guest(connection, std::move(phase));
}

void Gatekeeper::on_drain() {
    server_->endless_bodies->stop();
}

/// Whether one more may begin its handshake. Stalled ones go for its sake.
bool Gatekeeper::has_room_for_a_handshake() {
    const auto agreed = [](const Agreeing& one) { return !one.phase->agreeing(); };
    while (!agreeing_.empty() && agreed(agreeing_.front()))
        agreeing_.pop_front();
    if (agreeing_.size() < server_->options.handshakes_max()) return true;
    std::erase_if(agreeing_, agreed);
    if (agreeing_.size() < server_->options.handshakes_max()) return true;
    server_->admission->count_ended_handshake();
    if (system().now() - agreeing_.front().since < kHandshakeGrace) return false;
    agreeing_.front().connection.stop();
    agreeing_.pop_front();
    return true;
}

void Gatekeeper::take_over(std::unique_ptr<http::Takeover> next, Stream stream,
                           std::string received, std::shared_ptr<Place> place) {
    net::Guest guest(next->begin(*this, std::move(stream), std::move(received)), nullptr);
    guest.holds = std::move(place);
    add(std::move(guest));
}

void Gatekeeper::go_on_in_http2(Stream stream, std::string received, std::shared_ptr<Place> place) {
    auto connection = spawn<H2Connection>(server_, place, std::move(stream), std::move(received));
    connection.tell<&H2Connection::serve>();
    net::Guest guest(connection, nullptr);
    guest.holds = std::move(place);
    add(std::move(guest));
}

}  // namespace troupe::http_internal

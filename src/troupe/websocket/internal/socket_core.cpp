#include <troupe/actor/own_message.hpp>
#include <troupe/websocket/internal/socket_core.hpp>

#include <memory>
#include <string_view>
#include <utility>

namespace troupe::websocket_internal {

namespace {

constexpr unsigned kHookFailed = 1011;

const std::shared_ptr<const websocket::Options>& default_options() {
    static const auto options = std::make_shared<const websocket::Options>();
    return options;
}

}  // namespace

SocketCore::SocketCore(websocket::Socket& the_socket, Cell& the_cell,
                       std::optional<Opening> opening)
    : socket(the_socket),
      cell(the_cell),
      options(opening ? opening->options : default_options()),
      wire(*this, the_cell, opening ? opening->role : Role::server, *options) {
    if (!opening) return;
    opening_ = std::make_unique<Opening>(std::move(*opening));
}

SocketCore::SocketCore(websocket::Socket& the_socket, Cell& the_cell,
                       std::shared_ptr<const websocket::Options> the_options)
    : socket(the_socket),
      cell(the_cell),
      options(std::move(the_options)),
      wire(*this, the_cell, Role::client, *options) {}

void SocketCore::open() {
    if (!opening_) return;
    const std::unique_ptr<Opening> opening = std::move(opening_);
    open(std::move(*opening));
}

void SocketCore::open(Opening opening) {
    protocol = std::move(opening.agreement.protocol);
    request_ = std::make_unique<http::Request>(std::move(opening.request));
    wire.open(std::move(opening.stream), opening.agreement, std::move(opening.received));
}

void SocketCore::renew_wire() {
    const Role role = wire.role();
    WireOwner& owner = *this;
    std::destroy_at(&wire);
    std::construct_at(&wire, owner, cell, role, *options);
    closed_reason_.clear();
}

Task<void> SocketCore::dispatch(Event event) {
    const bool closed = event.kind == Event::Kind::closed;
    if (thrown_ && !closed) return {};
    try {
        switch (event.kind) {
            case Event::Kind::opened:
                return socket.on_open(*request_);
            case Event::Kind::text:
                return socket.on_text(std::move(event.payload));
            case Event::Kind::binary:
                return socket.on_binary(std::move(event.payload));
            case Event::Kind::drained:
                return socket.on_drain();
            case Event::Kind::closed:
                closed_reason_ = std::move(event.payload);
                return socket.on_close(event.code, closed_reason_);
        }
    } catch (...) {
        hook_threw();
    }
    return {};
}

void SocketCore::hook_threw() {
    if (!thrown_) thrown_ = std::current_exception();
    wire.fail(kHookFailed, is_client() ? "the client failed to handle this"
                                       : "the server failed to handle this");
}

void SocketCore::events_handled() {
    request_.reset();
    wire.events_handled();
}

void SocketCore::events_are_here(Cell& the_cell) noexcept {
    if (stopping_) return;
    actor_internal::call_behind<&websocket::Socket::handle_events>(socket, the_cell);
}

void SocketCore::flush_behind(Cell& the_cell) noexcept {
    actor_internal::call_behind<&websocket::Socket::flush_now>(socket, the_cell);
}

bool SocketCore::wire_has_ended(Cell& the_cell) noexcept {
    return end_wait_ != nullptr && the_cell.awaiting_ == end_wait_;
}

}  // namespace troupe::websocket_internal

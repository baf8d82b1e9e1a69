#include <troupe/actor/own_message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/scheduler/cell_hold.hpp>
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

Wire& wire_in(Cell& cell) noexcept {
    return SocketCore::of(static_cast<websocket::Socket&>(actor_internal::actor_in(cell))).wire;
}

/// A cell that is idle can be held for an instant, as for a look into it; who sends it something
/// meanwhile does not find it idle, and it has its turn when it is let go.
bool deliver_at_once(const Ref<websocket::Socket>& member, const SharedFrames& frames) {
    using actor_internal::RefAccess;
    Cell* const cell = RefAccess::cell(member);
    if (cell == nullptr || (cell->word() & Cell::kIdle) == 0) return false;
    const CellHold hold(*cell);
    if (!hold.held() || hold.blocked()) return false;
    const bool usual = cell->generation() == RefAccess::generation(member) &&
                       cell->state() == CellState::running && cell->awaiting_ == nullptr &&
                       cell->placed() == Placement::Kind::anywhere &&
                       cell->find_engine() == current_engine();
    if (!usual) return false;
    return wire_in(*cell).send_at_once(frames);
}

SocketCore::SocketCore(websocket::Socket& the_socket, Cell& the_cell,
                       std::optional<Opening> opening)
    : socket(the_socket),
      wire(*this, the_cell, opening ? opening->role : Role::server,
           opening ? opening->options : default_options()) {
    if (!opening) return;
    opening_ = std::make_unique<Opening>(std::move(*opening));
}

SocketCore::SocketCore(websocket::Socket& the_socket, Cell& the_cell,
                       std::shared_ptr<const websocket::Options> options)
    : socket(the_socket), wire(*this, the_cell, Role::client, std::move(options)) {}

SocketCore& SocketCore::of(websocket::Socket& socket) noexcept {
    return *socket.core_;
}

void SocketCore::open() {
    if (opening_) open_wire();
}

void SocketCore::open(Opening opening) {
    opening_ = std::make_unique<Opening>(std::move(opening));
    open_wire();
}

void SocketCore::open_wire() {
    if (!opening_->agreement.protocol.empty()) {
        rare().protocol = std::move(opening_->agreement.protocol);
    }
    wire.open(std::move(opening_->stream), opening_->agreement, std::move(opening_->received));
}

void SocketCore::renew_wire() {
    const Role role = wire.role();
    std::shared_ptr<const websocket::Options> options = wire.options();
    Cell& the_cell = cell();
    WireOwner& owner = *this;
    std::destroy_at(&wire);
    std::construct_at(&wire, owner, the_cell, role, std::move(options));
    rare_.reset();
}

Task<void> SocketCore::dispatch(Event event) {
    const bool closed = event.kind == Event::Kind::closed;
    if (has_thrown() && !closed) return {};
    try {
        switch (event.kind) {
            case Event::Kind::opened:
                return socket.on_open(opening_->request);
            case Event::Kind::text:
                return socket.on_text(std::move(event.payload));
            case Event::Kind::binary:
                return socket.on_binary(std::move(event.payload));
            case Event::Kind::drained:
                return socket.on_drain();
            case Event::Kind::closed:
                rare().closed_reason = std::move(event.payload);
                return socket.on_close(event.code, rare_->closed_reason);
        }
    } catch (...) {
        hook_threw();
    }
    return {};
}

bool SocketCore::handle_at_once(Opcode kind, std::string& payload) {
    if (has_thrown()) return true;
    try {
        waiting = kind == Opcode::text ? socket.on_text(std::move(payload))
                                       : socket.on_binary(std::move(payload));
    } catch (...) {
        hook_threw();
    }
    return waiting.empty();
}

void SocketCore::hook_threw() {
    if (!has_thrown()) rare().thrown = std::current_exception();
    wire.fail(kHookFailed, is_client() ? "the client failed to handle this"
                                       : "the server failed to handle this");
}

void SocketCore::events_handled() {
    opening_.reset();
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

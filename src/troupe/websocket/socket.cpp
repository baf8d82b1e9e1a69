#include <troupe/actor/own_message.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/websocket/internal/encoded.hpp>
#include <troupe/websocket/internal/frame.hpp>
#include <troupe/websocket/internal/socket_core.hpp>
#include <troupe/websocket/internal/utf8.hpp>
#include <troupe/websocket/socket.hpp>

#include <optional>
#include <utility>

namespace troupe {

namespace websocket_internal {

namespace {

constinit thread_local Opening* opening_of_thread = nullptr;

/// Only a constructor asks, and none runs on two threads.
std::optional<Opening> take_opening() {
    if (opening_of_thread == nullptr) return std::nullopt;
    return std::move(*std::exchange(opening_of_thread, nullptr));
}

}  // namespace

OpeningScope::OpeningScope(Opening& opening) noexcept {
    opening_of_thread = &opening;
}
OpeningScope::~OpeningScope() {
    opening_of_thread = nullptr;
}

}  // namespace websocket_internal

namespace websocket {

namespace {

using websocket_internal::Opcode;
using websocket_internal::Outbox;
using websocket_internal::SocketCore;

constexpr unsigned kGoingAway = 1001;

// So many events, and then the others' mail has its turn.
constexpr unsigned kEventsInARow = 64;

Task<Result<void>> not_begun(Error why) {
    co_return std::unexpected(std::move(why));
}

Sent said(Outbox::Taken taken) noexcept {
    switch (taken) {
        case Outbox::Taken::yes:
            return Sent::yes;
        case Outbox::Taken::dropped:
            return Sent::dropped;
        case Outbox::Taken::overflow:
            break;
    }
    return Sent::closed;
}

}  // namespace

Socket::Socket() {
    Cell* const cell = actor_internal::cell_of(*this);
    TROUPE_ASSERT(cell != nullptr, "a Socket is an actor: spawn it");
    core_ = std::make_unique<SocketCore>(*this, *cell, websocket_internal::take_opening());
}

Socket::Socket(std::shared_ptr<const Options> options) {
    Cell* const cell = actor_internal::cell_of(*this);
    TROUPE_ASSERT(cell != nullptr, "a Socket is an actor: spawn it");
    core_ = std::make_unique<SocketCore>(*this, *cell, std::move(options));
}

Socket::~Socket() = default;

Task<Result<void>> Socket::on_start() {
    Result<void> begun = begin_connection();
    if (!begun) return not_begun(std::move(begun).error());
    return {};  // no coroutine, for the many that begin well
}

Result<void> Socket::begin_connection() {
    core_->open();
    return {};
}

void Socket::renew_connection() {
    core_->renew_wire();
}

void Socket::open_connection(websocket_internal::Opening opening) {
    core_->open(std::move(opening));
}

// ---- verbs --------------------------------------------------------------------------------------

Sent Socket::send_text(std::string_view text) {
    if (!core_->wire.takes_messages()) return Sent::closed;
    if (!websocket_internal::is_utf8(text)) return Sent::not_utf8;
    return said(core_->wire.send(Opcode::text, text));
}

Sent Socket::send_binary(std::string_view bytes) {
    if (!core_->wire.takes_messages()) return Sent::closed;
    return said(core_->wire.send(Opcode::binary, bytes));
}

void Socket::deliver(std::shared_ptr<const websocket_internal::Encoded> frames) {
    if (core_->wire.takes_messages()) core_->wire.send(std::move(frames));
}

Sent Socket::ping(std::string_view payload) {
    if (payload.size() > websocket_internal::kControlBytesMax) return Sent::too_long;
    if (!core_->wire.takes_messages()) return Sent::closed;
    return core_->wire.ping(payload) ? Sent::yes : Sent::dropped;
}

void Socket::close(unsigned code, std::string_view reason) {
    core_->wire.close(code, reason);
}

std::size_t Socket::buffered() const noexcept {
    return core_->wire.buffered();
}
std::uint64_t Socket::messages_dropped() const noexcept {
    return core_->wire.messages_dropped();
}
std::string_view Socket::protocol() const noexcept {
    return core_->protocol();
}

Member Socket::member(std::string name) const {
    return Member(self(this), std::move(name), core_->wire.window_bits());
}

// ---- what is handled ----------------------------------------------------------------------------

/// Handles what the wire has brought: without a coroutine, as long as no hook needs one.
void Socket::handle_events() {
    core_->wire.hold_flush();
    unsigned handled = 0;
    for (; core_->wire.has_events() && core_->waiting.empty() && handled < kEventsInARow; ++handled)
        core_->waiting = core_->dispatch(core_->wire.take_event());
    if (core_->waiting.empty() && handled < kEventsInARow)
        core_->wire.hand_over(kEventsInARow - handled);
    if (!core_->waiting.empty()) {
        core_->wire.release_flush();
        core_->wire.settle();  // it listens while the hook waits
        return go_on_as_coroutine();
    }
    core_->events_handled();
    if (core_->over()) go_on_as_coroutine();
}

/// Before all other mail.
void Socket::go_on_as_coroutine() {
    actor_internal::call_first<&Socket::handle_rest>(*this, core_->cell());
}

Task<void> Socket::handle_rest() {
    Task<void> waiting = std::move(core_->waiting);
    for (unsigned handled = 0;; ++handled) {
        if (!waiting.empty()) {
            try {
                co_await core_->run(std::move(waiting));
            } catch (...) {
                core_->hook_threw();
            }
        }
        if (!core_->wire.has_events() || handled >= kEventsInARow) break;
        waiting = core_->dispatch(core_->wire.take_event());
    }
    core_->events_handled();
    if (!core_->over()) co_return;
    if (auto thrown = core_->take_thrown()) std::rethrow_exception(thrown);
    if (goes_on_unconnected()) co_return;
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

void Socket::flush_now() {
    core_->wire.flush();
    core_->wire.settle();
}

/// Somebody wants this actor to end: the peer is told, and the hook.
Task<void> Socket::on_stop(const ExitReason&) {
    core_->begin_stop();
    core_->wire.take_in();
    if (!core_->waiting.empty()) co_await core_->run(std::move(core_->waiting));
    core_->wire.close(kGoingAway,
                      core_->is_client() ? "the client is going away" : "the server is going away");
    core_->wire.flush();
    core_->wire.settle();
    co_await core_->until_ended();
    while (core_->wire.has_events()) {
        websocket_internal::Event event = core_->wire.take_event();
        if (event.kind != websocket_internal::Event::Kind::closed) continue;
        core_->waiting = core_->dispatch(std::move(event));
        if (!core_->waiting.empty()) co_await core_->run(std::move(core_->waiting));
    }
}

}  // namespace websocket
}  // namespace troupe

#include <troupe/actor/own_message.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/idle_workers.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/room_core.hpp>
#include <troupe/websocket/internal/utf8.hpp>
#include <troupe/websocket/room.hpp>

#include <utility>

namespace troupe::websocket {

using websocket_internal::Opcode;
using websocket_internal::RoomCore;

Room::Room(RoomOptions options) : core_(std::make_unique<RoomCore>(options)) {}
Room::~Room() = default;

/// Behind the mail at hand.
template <auto M>
void Room::go_on() {
    actor_internal::call_behind<M>(*this, *actor_internal::cell_of(*this));
}

Result<void> Room::join(Member member) {
    const Pid pid = member.socket.pid();
    if (member.socket == Ref<Socket>()) return error(Errc::actor_gone, "nobody cannot join a room");
    if (RoomCore::Seat* const seat = core_->find(pid)) {
        seat->member = std::move(member);
        return {};
    }
    if (core_->size() >= core_->options.members_max()) {
        return error(Errc::mailbox_full, "the room is full");
    }
    RoomCore::Seat& seat = core_->add(pid, std::move(member));
    seat.watch = monitor<&Room::member_ended>(seat.member.socket);
    on_join(seat.member);
    return {};
}

void Room::leave(Ref<Socket> member) {
    const Pid pid = member.pid();
    if (RoomCore::Seat* const seat = core_->find(pid)) seat->watch.cancel();
    remove(pid);
}

void Room::member_ended(Down down) {
    remove(down.pid);
}

void Room::remove(Pid pid) {
    if (auto gone = core_->remove(pid)) on_leave(*gone);
}

Result<void> Room::broadcast_text(std::string text) {
    return broadcast(true, std::move(text), Ref<Socket>());
}
Result<void> Room::broadcast_binary(std::string bytes) {
    return broadcast(false, std::move(bytes), Ref<Socket>());
}
Result<void> Room::broadcast_text_except(Ref<Socket> member, std::string text) {
    return broadcast(true, std::move(text), member);
}
Result<void> Room::broadcast_binary_except(Ref<Socket> member, std::string bytes) {
    return broadcast(false, std::move(bytes), member);
}

Result<void> Room::broadcast(bool text, std::string payload, Ref<Socket> except) {
    if (payload.size() > core_->options.message_bytes_max()) {
        return error(Errc::failed, "the message is larger than this room takes");
    }
    if (text && !websocket_internal::is_utf8(payload)) {
        return error(Errc::failed, "a text is UTF-8; send what is not as binary");
    }
    const bool idle = core_->idle();
    if (!core_->has_room_for(payload.size())) {
        return error(Errc::mailbox_full, "the room has too much to tell already");
    }
    core_->gather(text ? Opcode::text : Opcode::binary, payload, except);
    if (idle) go_on<&Room::begin_soon>();
    return {};
}

/// Whoever can run now goes first: the members that still have the last round before them, and
/// those who are about to say something, because of it perhaps. What they say travels along.
Task<void> Room::begin_soon() {
    co_await yield();
    // Behind all that has come meanwhile, unless it might be refused there, or dropped by the
    // mailbox's policy: a round that has gathered must not be lost.
    const bool managed =
        actor_internal::cell_of(*this)->capacity_.load(std::memory_order_relaxed) == Cell::kManaged;
    if (!managed && self(this).tell<&Room::deliver_some>() == SendStatus::sent) co_return;
    go_on<&Room::deliver_some>();
}

void Room::deliver_some() {
    // Where others have nothing to do they take members off our hands, but only such as have mail.
    const bool at_once = !anybody_idle(actor_internal::cell_of(*this)->engine());
    core_->deliver_some(at_once);
    if (core_->idle()) return;
    // To write takes its time, and ends the turn; to tell does not.
    if (at_once || core_->between_rounds()) {
        go_on<&Room::begin_soon>();
    } else {
        go_on<&Room::deliver_some>();
    }
}

std::vector<std::string> Room::present() const {
    return core_->names();
}
std::size_t Room::size() const {
    return core_->size();
}
RoomStats Room::stats() const {
    return core_->stats();
}

}  // namespace troupe::websocket

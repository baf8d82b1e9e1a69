#include "lobby.hpp"

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace websocket = troupe::websocket;
using namespace std::chrono_literals;

namespace {

// Ten times what the history holds: a page that was away sends again what is younger than that.
constexpr std::size_t kIdsMax = 10 * kHistoryLines;

// A room that crashes is back within this.
constexpr troupe::Duration kRoomComesBack = 10s;

}  // namespace

// ---- archive ------------------------------------------------------------------------------------

void Archive::remember(std::string room, Line line) {
    std::deque<Line>& lines = rooms_[std::move(room)];
    lines.push_back(std::move(line));
    if (lines.size() > kHistoryLines) lines.pop_front();
    ++messages_;
}

std::vector<Line> Archive::recall(const std::string& room) const {
    const auto found = rooms_.find(room);
    if (found == rooms_.end()) return {};
    return {found->second.begin(), found->second.end()};
}

// ---- rooms --------------------------------------------------------------------------------------

ChatRoom::ChatRoom(std::string name, troupe::Ref<Archive> archive)
    : Room(websocket::RoomOptions().members_max(10'000)),
      name_(std::move(name)),
      archive_(archive) {}

troupe::Task<troupe::Result<void>> ChatRoom::on_start() {
    auto lines = co_await troupe::or_return(co_await archive_.ask<&Archive::recall>(name_));
    for (Line& line : lines) {
        note_id(line.id);
        history_.push_back(std::move(line));
    }
    co_return {};
}

troupe::Result<std::string> ChatRoom::enter(troupe::Ref<Visitor> visitor,
                                            websocket::Member member) {
    leave(member.socket);
    member.name = free_name(member.name);
    std::string name = member.name;
    TROUPE_TRY(join(std::move(member)));
    visitor.tell<&Visitor::hear>(
        entered_frame(name_, name, present(), {history_.begin(), history_.end()}));
    return name;
}

void ChatRoom::say(troupe::Ref<Visitor> visitor, std::string name, std::string id,
                   std::string text) {
    if (ids_.contains(id)) {
        visitor.tell<&Visitor::hear>(known_frame(id));
        return;
    }
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(system().engine().wall_now());
    Line line{id, std::move(name), std::move(text), now.count()};
    const troupe::Result<void> told = broadcast_text(said_frame(line));
    if (!told) {
        visitor.tell<&Visitor::hear>(error_frame(FrameErrc::busy, told.error().text(), id));
        return;
    }
    note_id(std::move(id));
    archive_.tell<&Archive::remember>(name_, line);
    history_.push_back(std::move(line));
    if (history_.size() > kHistoryLines) history_.pop_front();
}

void ChatRoom::crash() {
    throw std::runtime_error("somebody has pressed the button");
}

void ChatRoom::on_join(const websocket::Member& member) {
    names_.insert(member.name);
    troupe::ignore(broadcast_text_except(member.socket, came_frame(member.name)),
                   "whoever is behind so far will be closed for it");
}

void ChatRoom::on_leave(const websocket::Member& member) {
    names_.erase(member.name);
    troupe::ignore(broadcast_text(left_frame(member.name)),
                   "whoever is behind so far will be closed for it");
}

/// "Ann", or "Ann (2)" when there is one.
std::string ChatRoom::free_name(const std::string& wanted) const {
    std::string name = wanted;
    for (int number = 2; names_.contains(name); ++number)
        name = wanted + " (" + std::to_string(number) + ")";
    return name;
}

void ChatRoom::note_id(std::string id) {
    ids_.insert(id);
    ids_in_order_.push_back(std::move(id));
    if (ids_in_order_.size() <= kIdsMax) return;
    ids_.erase(ids_in_order_.front());
    ids_in_order_.pop_front();
}

// ---- board --------------------------------------------------------------------------------------

Board::Board(troupe::Ref<Archive> archive, troupe::Ref<ChatRoom> lobby,
             troupe::Ref<ChatRoom> kitchen, troupe::Ref<ChatRoom> library,
             troupe::Ref<ChatRoom> workshop)
    : archive_(archive),
      rooms_{{"lobby", lobby}, {"kitchen", kitchen}, {"library", library}, {"workshop", workshop}} {
}

troupe::Task<troupe::Result<void>> Board::on_start() {
    began_ = system().now();
    every<&Board::tick>(1s);
    return {};
}

troupe::Task<void> Board::tick() {
    if (size() == 0) co_return;
    Counts counts;
    counts.people = size();
    counts.uptime_seconds = (system().now() - began_) / 1s;
    const auto messages = co_await archive_.ask<&Archive::messages>().within(200ms);
    counts.messages = messages.value_or(0);
    for (const NamedRoom& one : rooms_) {
        RoomCount count;
        count.name = one.name;
        const auto info = system().info(one.room.pid());
        if (info && info->incarnation > 1) count.crashes = info->incarnation - 1;
        counts.crashes += count.crashes;
        // One that is being started again answers later.
        const auto present = co_await one.room.ask<&ChatRoom::size>().within(100ms);
        if (present) count.present = static_cast<std::int64_t>(*present);
        counts.rooms.push_back(std::move(count));
    }
    troupe::ignore(broadcast_text(counts_frame(counts)), "there are newer ones in a second");
}

// ---- visitors -----------------------------------------------------------------------------------

websocket::Options Visitor::options() {
    websocket::Options options;
    options.message_bytes_max(std::size_t{32} * 1024).send_buffer(std::size_t{1024} * 1024);
    options.ping_interval(15s).pong_timeout(10s);
    return options;
}

troupe::Task<void> Visitor::on_open(const troupe::http::Request&) {
    join_board();
    return {};
}

void Visitor::join_board() {
    lobby_.board.tell<&Board::join>(member());
}

troupe::Task<void> Visitor::on_text(std::string frame) {
    troupe::Result<Command> command = read_command(frame);
    if (!command) {
        refuse(static_cast<FrameErrc>(command.error().value()), command.error().text());
        return {};
    }
    switch (command->kind) {
        case Command::Kind::enter:
            return enter(std::move(*command));
        case Command::Kind::say:
            say(std::move(*command));
            break;
        case Command::Kind::crash:
            crash_room();
            break;
    }
    return {};
}

troupe::Task<void> Visitor::on_binary(std::string) {
    refuse(FrameErrc::not_understood, "This server is spoken to in text.");
    return {};
}

troupe::Task<void> Visitor::enter(Command command) {
    const auto found = std::find_if(lobby_.rooms.begin(), lobby_.rooms.end(),
                                    [&](const NamedRoom& one) { return one.name == command.room; });
    if (found == lobby_.rooms.end()) {
        refuse(FrameErrc::no_such_room, "There is no such room.");
        co_return;
    }
    watch_.cancel();
    if (room_ != nullptr && room_ != &*found) {
        room_->room.tell<&ChatRoom::leave>(self(this));
    }
    room_ = &*found;
    wanted_name_ = std::move(command.name);
    co_await enter_again();
}

/// Watched before it is entered: a crash between the two is heard of.
troupe::Task<void> Visitor::enter_again() {
    watch_ = monitor<&Visitor::room_ended>(room_->room);
    auto call = room_->room.ask<&ChatRoom::enter>(self(this), member(wanted_name_));
    auto name = co_await std::move(call).within(kRoomComesBack);
    if (name) {
        name_ = std::move(*name);
        join_board();  // which may have been started anew as well
        co_return;
    }
    // The page comes again, with patience.
    close(1013, "the room cannot be entered now");
}

void Visitor::say(Command command) {
    if (room_ == nullptr) {
        refuse(FrameErrc::not_in_a_room, "Enter a room first.", command.id);
        return;
    }
    const troupe::SendStatus status =
        room_->room.tell<&ChatRoom::say>(self(this), name_, command.id, std::move(command.text));
    if (status != troupe::SendStatus::sent) {
        refuse(FrameErrc::busy, "The room has too much to do.", command.id);
    }
}

void Visitor::crash_room() {
    if (room_ == nullptr) return refuse(FrameErrc::not_in_a_room, "Enter a room first.");
    if (room_->room.tell<&ChatRoom::crash>() != troupe::SendStatus::sent) {
        refuse(FrameErrc::busy, "The room has too much to do to crash.");
    }
}

/// The page is told, and goes in again as soon as there is a room.
troupe::Task<void> Visitor::room_ended(troupe::Down down) {
    if (down.reason.kind() != troupe::ExitReason::Kind::noproc) {
        send_text(crashed_frame(room_->name, down.reason.text()));
    }
    co_await enter_again();
}

void Visitor::refuse(FrameErrc code, std::string_view sentence, std::string_view id) {
    send_text(error_frame(code, sentence, id));
}

// ---- the tree -----------------------------------------------------------------------------------

troupe::Task<troupe::Result<Lobby>> open_lobby(troupe::System system) {
    auto tree = troupe::supervisor("lobby");
    tree.rest_for_one();
    auto archive = tree.child<Archive>("archive");

    // The button may be pressed as often as anybody likes: rooms are never given up for that.
    auto rooms = troupe::supervisor("rooms");
    rooms.one_for_one().intensity(1000, 10s);
    const auto policy = troupe::permanent().backoff(400ms, 3s);
    auto hall = rooms.child<ChatRoom>("lobby", policy, "lobby", archive);
    auto kitchen = rooms.child<ChatRoom>("kitchen", policy, "kitchen", archive);
    auto library = rooms.child<ChatRoom>("library", policy, "library", archive);
    auto workshop = rooms.child<ChatRoom>("workshop", policy, "workshop", archive);
    tree.child(std::move(rooms));
    auto board = tree.child<Board>("board", archive, hall, kitchen, library, workshop);

    auto running = co_await troupe::or_return(co_await system.start(std::move(tree)));
    Lobby lobby{running, {}, running.ref(board)};
    lobby.rooms.push_back({"lobby", running.ref(hall)});
    lobby.rooms.push_back({"kitchen", running.ref(kitchen)});
    lobby.rooms.push_back({"library", running.ref(library)});
    lobby.rooms.push_back({"workshop", running.ref(workshop)});
    co_return lobby;
}

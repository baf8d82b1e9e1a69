#pragma once

// The actors of the lobby:
//
//     lobby (supervisor, rest_for_one)
//     |-- archive                 what was said, so that a room may crash and forget
//     |-- rooms (supervisor)
//     |   |-- lobby, kitchen ...  who is there, and what they are told
//     `-- board                   counts, for everybody's panel
//
// and a Visitor for each page that is open, which lives and ends with its connection.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/options.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>

#include "frames.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

class Visitor;

/// How much of what was said in a room is kept.
inline constexpr std::size_t kHistoryLines = 100;

/// Keeps the last lines of every room, in memory.
class Archive : public troupe::Actor {
public:
    void remember(std::string room, Line line);
    std::vector<Line> recall(const std::string& room) const;
    std::uint64_t messages() const { return messages_; }

private:
    std::map<std::string, std::deque<Line>> rooms_;
    std::uint64_t messages_ = 0;
};

/// A room. What it knows itself is gone when it crashes: who is there, who hear of it and come
/// again, and which messages were said, which the archive tells it.
class ChatRoom : public troupe::websocket::Room {
public:
    ChatRoom(std::string name, troupe::Ref<Archive> archive);

    /// Lets a visitor in, or in again under another name, and tells it who and what is there. The
    /// reply is the name it is known by.
    troupe::Result<std::string> enter(troupe::Ref<Visitor> visitor,
                                      troupe::websocket::Member member);
    /// Tells everybody, once for each id.
    void say(troupe::Ref<Visitor> visitor, std::string name, std::string id, std::string text);
    /// Does what a bug would do.
    void crash();

private:
    troupe::Task<troupe::Result<void>> on_start() override;
    void on_join(const troupe::websocket::Member& member) override;
    void on_leave(const troupe::websocket::Member& member) override;

    std::string free_name(const std::string& wanted) const;
    void note_id(std::string id);

    std::string name_;
    troupe::Ref<Archive> archive_;
    std::unordered_set<std::string> names_;
    std::deque<Line> history_;
    std::unordered_set<std::string> ids_;  // said before: these, oldest first
    std::deque<std::string> ids_in_order_;
};

struct NamedRoom {
    std::string name;
    troupe::Ref<ChatRoom> room;
};

/// Tells everybody once a second how things are.
class Board : public troupe::websocket::Room {
public:
    Board(troupe::Ref<Archive> archive, troupe::Ref<ChatRoom> lobby, troupe::Ref<ChatRoom> kitchen,
          troupe::Ref<ChatRoom> library, troupe::Ref<ChatRoom> workshop);

private:
    troupe::Task<troupe::Result<void>> on_start() override;
    troupe::Task<void> tick();

    troupe::Ref<Archive> archive_;
    std::vector<NamedRoom> rooms_;
    troupe::Duration began_{};
};

/// What a visitor needs to know.
struct Lobby {
    troupe::SupervisorRef tree;
    std::vector<NamedRoom> rooms;
    troupe::Ref<Board> board;
};
troupe::Task<troupe::Result<Lobby>> open_lobby(troupe::System system);

/// A page that is open.
class Visitor : public troupe::websocket::Socket {
public:
    explicit Visitor(Lobby lobby) : lobby_(std::move(lobby)) {}

    /// For rooms: a frame for this page alone.
    void hear(std::string frame) { send_text(frame); }

    /// What suits its connections.
    static troupe::websocket::Options options();

private:
    troupe::Task<void> on_open(const troupe::http::Request& request) override;
    troupe::Task<void> on_text(std::string frame) override;
    troupe::Task<void> on_binary(std::string bytes) override;

    void join_board();
    troupe::Task<void> enter(Command command);
    troupe::Task<void> enter_again();
    void say(Command command);
    void crash_room();
    troupe::Task<void> room_ended(troupe::Down down);
    void refuse(FrameErrc code, std::string_view sentence, std::string_view id = {});

    Lobby lobby_;
    const NamedRoom* room_ = nullptr;  // of lobby_
    std::string wanted_name_;
    std::string name_;
    troupe::Monitor watch_;
};

#pragma once

// A room: whoever is in it hears what is broadcast. An actor: spawn it, name it, supervise it, and
// derive from it for what a room of yours knows more than its members.
//
//     Ref<Room> room = system.spawn<Room>();
//     room.tell<&Room::join>(member("ann"));                   // in a Socket
//     room.tell<&Room::broadcast_text>("hello");               // anywhere
//
// A broadcast is made into frames once, and once more for each size of window that its members have
// agreed on, and all of them send from the same memory. Broadcasts that have gathered travel
// together. To tell ten thousand members takes several turns, so nobody waits for a large room, and
// a member whose peer takes nothing fills its own send buffer and nobody else's; one that handles
// nothing any more, so that its mailbox is full, is stopped. Members hear the broadcasts of one
// sender in the order they were made.

#include <troupe/actor/actor.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

namespace websocket_internal {
class RoomCore;
}

namespace websocket {

class RoomOptions {
public:
    RoomOptions() = default;
    /// Whoever comes when it is full is refused.
    RoomOptions& members_max(std::size_t members) {
        members_max_ = members;
        return *this;
    }
    /// How much may wait to be told; what comes beyond it is refused.
    RoomOptions& waiting_bytes_max(std::size_t bytes) {
        waiting_bytes_max_ = bytes;
        return *this;
    }
    /// Larger messages are refused.
    RoomOptions& message_bytes_max(std::size_t bytes) {
        message_bytes_max_ = bytes;
        return *this;
    }
    /// Shorter ones are not compressed.
    RoomOptions& deflate_bytes_min(std::size_t bytes) {
        deflate_bytes_min_ = bytes;
        return *this;
    }

    std::size_t members_max() const { return members_max_; }
    std::size_t waiting_bytes_max() const { return waiting_bytes_max_; }
    std::size_t message_bytes_max() const { return message_bytes_max_; }
    std::size_t deflate_bytes_min() const { return deflate_bytes_min_; }

private:
    std::size_t members_max_ = 100'000;
    std::size_t waiting_bytes_max_ = 8 * 1024 * 1024;
    std::size_t message_bytes_max_ = 1024 * 1024;
    std::size_t deflate_bytes_min_ = 256;
};

/// What a room has seen.
struct RoomStats {
    std::size_t members = 0;
    std::uint64_t broadcasts = 0;
    std::uint64_t deliveries = 0;  ///< messages given to members
    std::uint64_t straight = 0;    ///< of them, written by the room: the member was idle
    std::uint64_t rounds = 0;      ///< what gathered is told together: how often that was
    std::uint64_t refused = 0;     ///< broadcasts that found too many before them
    std::uint64_t stopped = 0;     ///< members that handled nothing any more, and were stopped
};

class Room : public Actor {
public:
    explicit Room(RoomOptions options = RoomOptions());
    ~Room() override;

    /// Lets a member in, until it leaves or its actor ends, however that comes. Who is in already
    /// gets its new name.
    ///
    /// Errors:  mailbox_full, when the room is full; actor_gone.
    Result<void> join(Member member);
    /// Does nothing for one who is not in.
    void leave(Ref<Socket> member);

    /// Tells everybody. A text that is not UTF-8, or what is too large, is refused.
    ///
    /// Errors:  failed; mailbox_full, when too much waits to be told already.
    Result<void> broadcast_text(std::string text);
    Result<void> broadcast_binary(std::string bytes);
    /// The same, but for one of them.
    Result<void> broadcast_text_except(Ref<Socket> member, std::string text);
    Result<void> broadcast_binary_except(Ref<Socket> member, std::string bytes);

    /// The names of those who are in, in the order they came.
    std::vector<std::string> present() const;
    std::size_t size() const;
    RoomStats stats() const;

protected:
    /// A member has come, and is in.
    virtual void on_join(const Member&) {}
    /// A member has gone, and is not in any more.
    virtual void on_leave(const Member&) {}

private:
    void member_ended(Down down);
    void remove(Pid pid);
    Result<void> broadcast(bool text, std::string payload, Ref<Socket> except);
    template <auto M>
    void go_on();
    Task<void> begin_soon();
    void deliver_some();

    std::unique_ptr<websocket_internal::RoomCore> core_;
};

}  // namespace websocket
}  // namespace troupe

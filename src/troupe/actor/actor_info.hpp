#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe {

/// What an actor is at.
enum class ActorState : std::uint8_t {
    starting,    ///< it has not had its first turn
    idle,        ///< it has no mail
    queued,      ///< it has mail, and waits for a worker
    running,     ///< its handler runs
    suspended,   ///< its handler waits for something
    stopping,    ///< its on_stop runs or waits
    restarting,  ///< a supervised address between two lives
};
const char* name(ActorState state) noexcept;

/// One actor, as it was a moment ago.
///
/// An actor that is idle or suspended is looked into, and everything here is exact. One that runs
/// or is queued is not disturbed: what only its own turn may read is empty or 0, and `complete` is
/// false.
struct ActorInfo {
    Pid pid;
    std::string name;  ///< empty when it has none
    std::string type;
    ActorState state = ActorState::starting;
    std::size_t mailbox_depth = 0;     ///< messages accepted and not yet handled
    std::size_t mailbox_capacity = 0;  ///< 0: unbounded
    /// For how long the oldest message that waits has done so, at least: since somebody first saw
    /// it wait. That is a turn that leaves mail behind, or a look like this one; so the second look
    /// knows more than the first. Exact where the mailbox has a policy, priorities or a budget.
    Duration mailbox_age{};
    std::uint64_t handled = 0;  ///< messages
    /// Which of a supervised actor's lives this is; 0 before the first, 65535 stands for more.
    std::uint32_t incarnation = 1;
    Duration uptime{};  ///< of the address; to a fifteenth of a second

    std::string method;  ///< running or suspended: which handler
    Duration running{};  ///< running: for how long, at least; the watchdog looks every 1 to 5 ms

    bool complete = false;    ///< whether what follows is known
    Pid parent;               ///< Pid() when it has none
    std::size_t in_hand = 0;  ///< messages whose handlers wait; more than one where they interleave
    std::string awaits;       ///< suspended: "ask Rates::get", "sleep"; of the latest
    std::string where;        ///< suspended: "shop.cpp:41"
    Duration waiting{};       ///< suspended: for how long; about as long waits its oldest mail
    std::size_t children = 0;  ///< that have not ended
    std::size_t links = 0;
    std::size_t monitors = 0;  ///< that watch it
    std::size_t watched = 0;   ///< whom it watches
    std::size_t bytes =
        0;  ///< cell, object, extension and arena; not what the object owns elsewhere
};

/// One task, as it was a moment ago: a child of a TaskGroup, or what a thread waits for in
/// block_on.
struct TaskInfo {
    Pid pid;
    std::string name;  ///< the type of its function or closure
    ActorState state = ActorState::starting;
    bool complete = false;  ///< whether what follows is known: it waits
    Pid owner;              ///< who waits for it; Pid() for a thread
    std::string awaits;     ///< "ask Rates::get", "sleep"
    std::string where;      ///< "shop.cpp:41"
    Duration waiting{};     ///< for how long
};

/// In one line: `<0.18.1> load: suspended at shop.cpp:41, sleep, for 1.2 s; for <0.17.3>`.
std::string to_string(const TaskInfo& info);

/// In one line: `<0.17.3> Shop "corner": suspended in Shop::price at shop.cpp:41, ask Rates::get,
/// for 1.2 s; mailbox 3 of 1000, 17 handled, up 60 s`.
std::string to_string(const ActorInfo& info);

}  // namespace troupe

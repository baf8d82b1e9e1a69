#pragma once

/// Links: two actors of which neither outlives the other, unless that one ends normally or it traps
/// exits.
///
/// A link has two halves, one with each actor; when an actor ends, its half goes to the other one
/// with the reason. Both are made by whoever makes the link, so that an end allocates nothing.
///
/// The problem is that both may link, unlink and end at the same time. So a link has an identity
/// (who made it, and a number), and only what names it counts: an unlink takes away that very link
/// and not one the other side has made meanwhile, and an exit from a link that is no more is not
/// heard. When both have made one at the same time there are two for a moment, which for the world
/// are one: unlinking takes both, and an end is told once. Told to both sides, in the order in
/// which signals between two actors arrive, this always leaves both with the same view.

#include <troupe/actor/internal/news.hpp>
#include <troupe/base/intrusive_list.hpp>

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace troupe::actor_internal {

/// With one of the two: what tells the other that it has ended.
struct LinkHalf : News {
    Pid ended;  // the actor it lies with
    ExitReason reason;
    std::uint64_t number = 0;     // of the links made by its maker
    bool made_by_hearer = false;  // or by the actor it lies with

    static const MailOps kLinkOps;  // on the way to the actor it will lie with
    static const NewsOps kExitOps;  // on the way to the hearer
    void tell_exit(const ExitReason& why) noexcept {
        reason = why;
        send(kExitOps);
    }
};

/// The link is no more.
struct UnlinkSignal : MailNode {
    Pid sender;
    std::uint64_t number = 0;
    bool made_by_sender = false;

    static const MailOps kOps;
};

/// One actor's view of another it is linked to.
struct LinkedPeer {
    ListHook hook;
    Pid pid;
    LinkHalf* made_here = nullptr;   // of the link that this actor made, or null
    LinkHalf* made_there = nullptr;  // of the one the peer made, or null
};

/// All links of one actor.
struct Links {
    ~Links();
    LinkedPeer& at(Pid peer);
    LinkedPeer* find(Pid peer) const noexcept;
    void erase(LinkedPeer& peer) noexcept;

    /// In the order in which they were linked: in this order they hear of the end.
    IntrusiveList<LinkedPeer, &LinkedPeer::hook> peers;
    std::unordered_map<Pid, LinkedPeer*> by_pid;
    std::uint64_t made = 0;

    /// It ends because one it is linked to has ended.
    bool died_with_peer = false;

    /// An exit becomes a message; null while it does not.
    MailNode* (*make_exit)(std::ptrdiff_t offset, Exit exit) = nullptr;
    std::ptrdiff_t exit_offset = 0;  // of the method's class in the object
};

/// Tells all who are linked to an actor that it has ended, and ends the links. The actor's turn.
void tell_links(Cell& cell, const ExitReason& reason) noexcept;

}  // namespace troupe::actor_internal

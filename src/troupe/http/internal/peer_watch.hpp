#pragma once

#include <troupe/base/error.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>

#include <cstdint>
#include <map>
#include <memory>

namespace troupe::http_internal {

/// The functions of a server that write bodies without an end: events. A server that stops does not
/// wait for their peers to leave; it ends them.
///
/// Threads: any.
class EndlessBodies {
public:
    /// One of them. But for its place it is touched in the turns of its cell only, so that a stop
    /// does not reach for a scope that is going.
    struct One {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;
        std::uint64_t number = 0;
        Scope* scope = nullptr;        // null: it has ended
        MailNode* handling = nullptr;  // what that is a scope of
    };

    /// Notes one, shared with whatever will end it. False: the server stops already.
    bool add(const std::shared_ptr<One>& one) TROUPE_EXCLUDES(mutex_);
    void remove(const One& one) TROUPE_EXCLUDES(mutex_);
    /// Ends them all, in the order in which they began, each in a turn of its own cell. From now on
    /// there are none.
    void stop() TROUPE_EXCLUDES(mutex_);

private:
    // Of the same rank as the addresses: whoever has one of the two does not come to the other.
    Mutex mutex_{LockRank::http_addresses};
    std::map<std::uint64_t, std::shared_ptr<One>> all_ TROUPE_GUARDED_BY(mutex_);
    std::uint64_t numbered_ TROUPE_GUARDED_BY(mutex_) = 0;
    bool stopped_ TROUPE_GUARDED_BY(mutex_) = false;
};

/// The scope of a function that writes a body and is to end when its peer leaves or the server
/// stops, if there is one. In the turns of the actor whose handler that function runs in.
class PeerWatch {
public:
    PeerWatch() = default;
    PeerWatch(const PeerWatch&) = delete;
    PeerWatch& operator=(const PeerWatch&) = delete;
    ~PeerWatch() { end(); }

    /// Null: nobody wants to know any more. `all` outlives this.
    void set(Scope* scope, EndlessBodies& all);
    explicit operator bool() const noexcept { return one_ != nullptr; }

    /// The peer has left. True when what waits in the cell has ended by it: as an observer says it.
    bool peer_has_left(Cell& cell);

private:
    void end();

    std::shared_ptr<EndlessBodies::One> one_;  // shared with whatever ends it
    EndlessBodies* all_ = nullptr;
};

}  // namespace troupe::http_internal

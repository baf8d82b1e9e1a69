#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/http/client_options.hpp>
#include <troupe/io/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http_internal {

class ConnectionPool;

/// The right to have one connection to an origin, and the connection itself once there is one. It
/// goes back to the pool with its end, however that comes about: the request is done, failed, was
/// cancelled, or its actor was killed.
class Lease {
public:
    Lease() noexcept = default;
    /// A connection that has lain idle and may lie idle until `idle_until`; or none as yet.
    Lease(Ref<ConnectionPool> pool, std::string origin, Stream stream, Duration idle_until) noexcept
        : pool_(pool),
          origin_(std::move(origin)),
          stream_(std::move(stream)),
          reused_(stream_.is_open()),
          keep_until_(idle_until),
          held_(true) {}
    Lease(Lease&& other) noexcept
        : pool_(other.pool_),
          origin_(std::move(other.origin_)),
          stream_(std::move(other.stream_)),
          reused_(other.reused_),
          keep_until_(other.keep_until_),
          held_(std::exchange(other.held_, false)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() { give_back(); }

    /// Whether the connection has carried a request before.
    bool reused() const noexcept { return reused_; }
    Stream& stream() noexcept { return stream_; }

    /// From now on the connection is closed with the lease, unless keep_until() says otherwise.
    void use() noexcept { keep_until_ = kClose; }
    /// The connection is ready for another request; it may lie idle until then.
    void keep_until(Duration when) noexcept { keep_until_ = when; }

    void give_back();

private:
    static constexpr Duration kClose = Duration::min();

    Ref<ConnectionPool> pool_;
    std::string origin_;
    Stream stream_;
    bool reused_ = false;
    Duration keep_until_ = kClose;
    bool held_ = false;
};

/// Wakes the pool when an idle connection has been idle for long enough. An actor of its own,
/// because the pool itself waits for nothing.
class IdleClock final : public Actor {
public:
    explicit IdleClock(Ref<ConnectionPool> pool) : pool_(pool) {}
    Task<void> ring_after(Duration delay);

private:
    Ref<ConnectionPool> pool_;
};

/// Who may have a connection to which origin, and the connections that lie idle in between. It does
/// no I/O but to look whether an idle connection still is; so it always answers at once.
///
/// Who asks first is served first. Nobody holds a place in the queue beyond his deadline.
class ConnectionPool final : public Actor {
public:
    explicit ConnectionPool(const http::ClientOptions& options) : options_(options) {}

    enum class Freshness : bool { any, fresh };

    /// A lease for this origin, when there is one: at once or later, but before `deadline`.
    /// `fresh`: not one of a connection that has lain idle.
    ///
    /// Errors:  ClientErrc::too_many_waiting; closed, once the pool drains.
    Reply<Lease> lease(std::string origin, Duration deadline, Freshness freshness);

    /// A lease has ended. The connection, if it is open, may lie idle until then.
    void released(std::string origin, Stream stream, Duration idle_until);

    /// Closes what is idle, and refuses whoever waits or comes.
    void drain();
    /// Answers when no lease is out any more, which must be after drain().
    Reply<void> drained();
    /// Ends the pool as soon as no lease is out.
    void end_when_drained();

    http::ClientStats stats() const;

    void close_expired();

private:
    struct Idle {
        Stream stream;
        Duration until;
    };
    struct Waiter {
        Duration deadline;
        ReplyTo<Lease> reply;
    };
    struct Origin {
        std::size_t leased = 0;
        std::deque<Idle> idle;  // the one that came back last is behind
        std::deque<Waiter> waiting;
    };
    using Origins = std::map<std::string, Origin>;

    Task<Result<void>> on_start() override;
    Reply<Lease> wait_in_line(Origins::iterator at, Duration deadline);
    Lease grant(Origins::iterator at, Stream stream, Duration idle_until);
    Stream take_idle(Origin& origin, Duration& idle_until);
    Origins::iterator close_oldest_idle();
    void drop_expired_waiters();
    void forget_if_empty(Origins::iterator at);
    void set_clock();

    const http::ClientOptions options_;
    Origins origins_;  // ordered, so that a seed replays a run
    std::size_t leased_ = 0;
    std::size_t idle_ = 0;
    std::size_t waiting_ = 0;
    std::uint64_t reused_ = 0;
    std::uint64_t opened_ = 0;
    Ref<IdleClock> clock_;
    bool clock_runs_ = false;
    bool draining_ = false;
    bool ends_ = false;
    std::vector<ReplyTo<>> wait_for_drain_;
};

}  // namespace troupe::http_internal

#include <troupe/base/error.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/internal/connection_pool.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>

namespace troupe::http_internal {

namespace {

/// Whether nothing has come on an idle connection: not its end, and no bytes nobody asked for.
bool is_quiet(Stream& stream) {
    char byte = 0;
    const Result<std::optional<std::size_t>> read = stream.try_read(std::span<char>(&byte, 1));
    return read.has_value() && !read->has_value();
}

}  // namespace

void Lease::give_back() {
    if (!std::exchange(held_, false)) return;
    if (keep_until_ == kClose) stream_.close();
    // Nothing is left for the message to wait for: the pool's mailbox is unbounded, and when the
    // pool has ended there is nobody who counts.
    pool_.tell<&ConnectionPool::released>(std::move(origin_), std::move(stream_), keep_until_);
}

Task<void> IdleClock::ring_after(Duration delay) {
    const auto slept = co_await sleep(delay);
    if (slept) pool_.tell<&ConnectionPool::close_expired>();
}

Task<Result<void>> ConnectionPool::on_start() {
    clock_ = spawn<IdleClock>(self(this));
    return {};
}

// ---- leases -------------------------------------------------------------------------------------

Reply<Lease> ConnectionPool::lease(std::string origin, Duration deadline, Freshness freshness) {
    if (draining_) return error(Errc::closed, "the client was stopped");
    const auto at = origins_.try_emplace(std::move(origin)).first;
    Origin& entry = at->second;
    if (!entry.waiting.empty()) return wait_in_line(at, deadline);

    if (freshness == Freshness::any) {
        Duration idle_until{};
        Stream stream = take_idle(entry, idle_until);
        if (stream.is_open()) {
            ++reused_;
            return grant(at, std::move(stream), idle_until);
        }
    }
    const std::size_t connections_max = options_.connections_per_origin_max();
    if (entry.leased + entry.idle.size() >= connections_max && !entry.idle.empty()) {
        entry.idle.pop_front();  // its place is needed for a fresh one
        --idle_;
    }
    if (entry.leased + entry.idle.size() >= connections_max) return wait_in_line(at, deadline);
    ++opened_;
    return grant(at, Stream(), Duration());
}

Reply<Lease> ConnectionPool::wait_in_line(Origins::iterator at, Duration deadline) {
    if (waiting_ >= options_.waiting_max()) drop_expired_waiters();
    if (waiting_ >= options_.waiting_max()) {
        forget_if_empty(at);
        return error(http::ClientErrc::too_many_waiting,
                     std::to_string(waiting_) + " requests wait for a connection already");
    }
    ++waiting_;
    return later(at->second.waiting.emplace_back(deadline, ReplyTo<Lease>()).reply);
}

Lease ConnectionPool::grant(Origins::iterator at, Stream stream, Duration idle_until) {
    ++at->second.leased;
    ++leased_;
    return Lease(self(this), at->first, std::move(stream), idle_until);
}

/// The connection that came back last: the others may grow old enough to be closed.
Stream ConnectionPool::take_idle(Origin& origin, Duration& idle_until) {
    while (!origin.idle.empty()) {
        Idle idle = std::move(origin.idle.back());
        origin.idle.pop_back();
        --idle_;
        if (idle.until <= system().now() || !is_quiet(idle.stream)) continue;
        idle_until = idle.until;
        return std::move(idle.stream);
    }
    return Stream();
}

void ConnectionPool::released(std::string origin, Stream stream, Duration idle_until) {
    const auto at = origins_.find(origin);
    Origin& entry = at->second;
    --entry.leased;
    --leased_;
    const Duration now = system().now();
    if (idle_until <= now || draining_) stream.close();

    while (!entry.waiting.empty()) {
        Waiter first = std::move(entry.waiting.front());
        entry.waiting.pop_front();
        --waiting_;
        if (first.deadline <= now) continue;
        ++(stream.is_open() ? reused_ : opened_);
        first.reply.send(grant(at, std::move(stream), idle_until));
        return;
    }
    if (stream.is_open()) {
        entry.idle.emplace_back(std::move(stream), idle_until);
        if (++idle_ > options_.idle_max()) {
            const auto oldest = close_oldest_idle();
            if (oldest != at) forget_if_empty(oldest);
        }
        set_clock();
    }
    forget_if_empty(at);
    if (leased_ != 0 || !draining_) return;
    for (ReplyTo<>& waiter : wait_for_drain_)
        waiter.send();
    wait_for_drain_.clear();
    if (ends_) self(this).stop();
}

void ConnectionPool::drop_expired_waiters() {
    const Duration now = system().now();
    for (auto at = origins_.begin(); at != origins_.end();) {
        const auto next = std::next(at);
        waiting_ -= std::erase_if(at->second.waiting,
                                  [&](const Waiter& waiter) { return waiter.deadline <= now; });
        forget_if_empty(at);
        at = next;
    }
}

void ConnectionPool::forget_if_empty(Origins::iterator at) {
    const Origin& entry = at->second;
    if (entry.leased == 0 && entry.idle.empty() && entry.waiting.empty()) origins_.erase(at);
}

// ---- idle connections ---------------------------------------------------------------------------

ConnectionPool::Origins::iterator ConnectionPool::close_oldest_idle() {
    const auto oldest =
        std::min_element(origins_.begin(), origins_.end(), [](const auto& left, const auto& right) {
            if (left.second.idle.empty()) return false;
            return right.second.idle.empty() ||
                   left.second.idle.front().until < right.second.idle.front().until;
        });
    oldest->second.idle.pop_front();
    --idle_;
    return oldest;
}

void ConnectionPool::close_expired() {
    clock_runs_ = false;
    const Duration now = system().now();
    for (auto at = origins_.begin(); at != origins_.end();) {
        const auto next = std::next(at);
        idle_ -= std::erase_if(at->second.idle, [&](Idle& idle) {
            return idle.until <= now || !is_quiet(idle.stream);
        });
        forget_if_empty(at);
        at = next;
    }
    set_clock();
}

/// One look per idle time, and none while nothing is idle: a quiet process stays asleep.
void ConnectionPool::set_clock() {
    if (clock_runs_ || idle_ == 0) return;
    clock_runs_ = true;
    clock_.tell<&IdleClock::ring_after>(options_.idle_timeout());
}

// ---- the end ------------------------------------------------------------------------------------

void ConnectionPool::drain() {
    draining_ = true;
    for (auto at = origins_.begin(); at != origins_.end();) {
        const auto next = std::next(at);
        at->second.idle.clear();
        for (Waiter& waiter : at->second.waiting)
            waiter.reply.send(error(Errc::closed, "the client was stopped"));
        at->second.waiting.clear();
        forget_if_empty(at);
        at = next;
    }
    idle_ = 0;
    waiting_ = 0;
}

Reply<void> ConnectionPool::drained() {
    if (leased_ == 0) return Reply<void>();
    return later(wait_for_drain_.emplace_back());
}

void ConnectionPool::end_when_drained() {
    ends_ = true;
    if (leased_ == 0) self(this).stop();
}

http::ClientStats ConnectionPool::stats() const {
    http::ClientStats stats;
    stats.leased = leased_;
    stats.idle = idle_;
    stats.waiting = waiting_;
    stats.opened = opened_;
    stats.reused = reused_;
    return stats;
}

}  // namespace troupe::http_internal

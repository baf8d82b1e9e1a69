#include <troupe/actor/own_message.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/log.hpp>
#include <troupe/net/gatekeeper.hpp>

#include <algorithm>
#include <optional>

namespace troupe::net {

/// All connections are children of ours, so nobody is monitored but the acceptor.
Gatekeeper::Gatekeeper(std::size_t connections_max) : connections_max_(connections_max) {
    actor_internal::watch_children(
        *actor_internal::cell_of(*this),
        [](Actor& gatekeeper, const Pid& child, bool abnormal) noexcept {
            static_cast<Gatekeeper&>(gatekeeper).connection_ended(child, abnormal);
        });
}

void Gatekeeper::open(Listener listener) {
    acceptor_ = spawn<Acceptor>(std::move(listener), self(this));
    monitor<&Gatekeeper::acceptor_ended>(acceptor_);
    accepting_ = true;
    acceptor_.tell<&Acceptor::accept>();
}

bool Gatekeeper::admit(Stream stream) {
    if (waits_ended_) return false;
    ++accepted_;
    add(welcome(std::move(stream)));
    paused_ = draining_ || guests_.size() >= connections_max_;
    return !paused_;
}

void Gatekeeper::add(Guest guest) {
    if (guest.actor == Ref<Actor>()) return;  // not wanted, or the system ends
    if (draining_ && guest.phase) guest.phase->close();
    if (waits_ended_ && !guest.phase) guest.actor.stop();
    guest.number = numbered_++;
    const Pid pid = guest.actor.pid();
    guests_.emplace(pid, std::move(guest));
}

void Gatekeeper::connection_ended(const Pid& pid, bool abnormal) {
    if (guests_.erase(pid) == 0) return;
    if (abnormal) ++failed_;
    answer_if_empty();
    if (!paused_ || draining_) return;
    paused_ = false;
    acceptor_.tell<&Acceptor::accept>();
}

void Gatekeeper::acceptor_ended(Down) {
    accepting_ = false;
    answer_if_empty();
}

ServeStats Gatekeeper::stats() const {
    ServeStats stats;
    stats.open = guests_.size();
    stats.accepted = accepted_;
    stats.failed = failed_;
    return stats;
}

// ---- the end ------------------------------------------------------------------------------------

Reply<void> Gatekeeper::drain() {
    begin_to_drain();
    return when_empty();
}

Reply<void> Gatekeeper::end_waits() {
    begin_to_end_waits();
    return when_empty();
}

Reply<void> Gatekeeper::kill() {
    begin_to_end_waits();
    for_each_guest([](const Guest& guest) { guest.actor.stop(Stop::kill); });
    return when_empty();
}

/// In the order they came, whatever numbers their actors have: a run that is replayed does the
/// same.
template <class F>
void Gatekeeper::for_each_guest(F f) {
    std::vector<const Guest*> guests;
    guests.reserve(guests_.size());
    for (const auto& [pid, guest] : guests_)
        guests.push_back(&guest);
    std::sort(guests.begin(), guests.end(),
              [](const Guest* left, const Guest* right) { return left->number < right->number; });
    for (const Guest* guest : guests)
        f(*guest);
}

void Gatekeeper::begin_to_drain() {
    if (std::exchange(draining_, true)) return;
    acceptor_.stop();
    for_each_guest([](const Guest& guest) {
        if (guest.phase) guest.phase->close();
    });
    on_drain();
}

void Gatekeeper::begin_to_end_waits() {
    begin_to_drain();
    waits_ended_ = true;
    for_each_guest([](const Guest& guest) {
        if (!guest.phase || guest.phase->end_waits()) guest.actor.stop();
    });
}

/// The system stops. Our children are stopped after us; those that wait for a request are told so
/// by that, the others look at their phase when their response is written.
Task<void> Gatekeeper::on_stop(const ExitReason&) {
    begin_to_end_waits();
    return {};
}

Reply<void> Gatekeeper::when_empty() {
    if (empty()) return Reply<void>();
    return later(waiting_.emplace_back());
}

void Gatekeeper::answer_if_empty() {
    if (!draining_ || !empty()) return;
    for (ReplyTo<>& waiter : waiting_)
        waiter.send();
    waiting_.clear();
}

// ---- accepting ----------------------------------------------------------------------------------

Task<void> Acceptor::accept() {
    for (;;) {
        Result<Stream> stream = co_await listener_.accept();
        if (!stream && stream.error() == Errc::cancelled) {
            accept_the_last();
            co_return;
        }
        if (!stream) {
            log_error("a server cannot accept connections any more",
                      {{"reason", stream.error().text()}});
            co_return;
        }
        // As long as it takes: the gatekeeper answers at once, but for a machine that has no time
        // for it, and nobody else would begin to accept again.
        Result<bool> room = co_await gatekeeper_.ask<&Gatekeeper::admit>(std::move(*stream))
                                .within(Duration::max());
        if (!room && room.error() == Errc::actor_gone) co_return;
        if (room && !*room) co_return;
    }
}

void Acceptor::accept_the_last() {
    for (;;) {
        Result<std::optional<Stream>> stream = listener_.try_accept();
        if (!stream || !*stream) return;
        if (gatekeeper_.tell<&Gatekeeper::admit>(std::move(**stream)) != SendStatus::sent) return;
    }
}

}  // namespace troupe::net

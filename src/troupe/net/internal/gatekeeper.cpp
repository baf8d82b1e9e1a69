#include <troupe/base/error.hpp>
#include <troupe/base/log.hpp>
#include <troupe/net/internal/gatekeeper.hpp>

namespace troupe::net_internal {

void Gatekeeper::open(Listener listener) {
    acceptor_ = spawn<Acceptor>(std::move(listener), self(this));
    monitor<&Gatekeeper::acceptor_ended>(acceptor_);
    accepting_ = true;
    acceptor_.tell<&Acceptor::accept>();
}

bool Gatekeeper::admit(Stream stream) {
    if (draining_) return false;
    const std::uint64_t number = accepted_++;
    const Ref<Actor> connection = welcome(std::move(stream));
    connections_.emplace(number, connection);
    monitor<&Gatekeeper::connection_ended>(connection, number);
    paused_ = connections_.size() >= connections_max_;
    return !paused_;
}

void Gatekeeper::connection_ended(Down down, std::uint64_t number) {
    connections_.erase(number);
    if (down.reason.abnormal()) ++failed_;
    answer_if_empty();
    if (!paused_ || draining_) return;
    paused_ = false;
    acceptor_.tell<&Acceptor::accept>();
}

void Gatekeeper::acceptor_ended(Down) {
    accepting_ = false;
    answer_if_empty();
}

// ---- the end ------------------------------------------------------------------------------------

Reply<void> Gatekeeper::drain() {
    if (!std::exchange(draining_, true)) {
        acceptor_.stop();
        for (const auto& [number, connection] : connections_)
            connection.stop();
    }
    return when_empty();
}

Reply<void> Gatekeeper::kill() {
    for (const auto& [number, connection] : connections_)
        connection.stop(Stop::kill);
    return when_empty();
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

net::ServeStats Gatekeeper::stats() const {
    net::ServeStats stats;
    stats.open = connections_.size();
    stats.accepted = accepted_;
    stats.failed = failed_;
    return stats;
}

// ---- accepting ----------------------------------------------------------------------------------

Task<void> Acceptor::accept() {
    for (;;) {
        Result<Stream> stream = co_await listener_.accept();
        if (!stream && stream.error() == Errc::cancelled) co_return;
        if (!stream) {
            log_error("a server cannot accept connections any more",
                      {{"reason", stream.error().text()}});
            co_return;
        }
        Result<bool> room = co_await gatekeeper_.ask<&Gatekeeper::admit>(std::move(*stream));
        if (!room || !*room) co_return;
    }
}

}  // namespace troupe::net_internal

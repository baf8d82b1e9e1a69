#include <troupe/base/log.hpp>
#include <troupe/http/internal/gatekeeper.hpp>

#include <optional>
#include <utility>

namespace troupe::http_internal {

void Gatekeeper::open(Listener listener) {
    acceptor_ = spawn<Acceptor>(std::move(listener), self(this));
    monitor<&Gatekeeper::acceptor_ended>(acceptor_);
    accepting_ = true;
    acceptor_.tell<&Acceptor::accept>();
}

bool Gatekeeper::admit(Stream stream) {
    if (waits_ended_) return false;
    auto phase = std::make_shared<ConnectionPhase>();
    if (draining_) phase->close();
    auto connection = spawn<Connection>(server_, phase, std::move(stream));
    monitor<&Gatekeeper::connection_ended>(connection);
    connections_.insert_or_assign(connection.pid(), Entry{connection, std::move(phase)});
    connection.tell<&Connection::serve>();
    paused_ = draining_ || connections_.size() >= server_->options.connections_max();
    return !paused_;
}

void Gatekeeper::connection_ended(Down down) {
    connections_.erase(down.pid);
    if (!paused_ || draining_) return;
    paused_ = false;
    acceptor_.tell<&Acceptor::accept>();
}

void Gatekeeper::acceptor_ended(Down) {
    accepting_ = false;
}

void Gatekeeper::drain() {
    if (std::exchange(draining_, true)) return;
    acceptor_.stop();
    for (auto& [pid, entry] : connections_)
        entry.phase->close();
}

void Gatekeeper::end_waits() {
    waits_ended_ = true;
    for (auto& [pid, entry] : connections_) {
        if (entry.phase->end_waits()) entry.connection.stop();
    }
}

void Gatekeeper::kill() {
    for (auto& [pid, entry] : connections_)
        entry.connection.stop(Stop::kill);
}

/// The system stops. Our children are stopped after us; those that wait for a request are told so
/// by that, the others look at their phase when their response is written.
Task<void> Gatekeeper::on_stop(const ExitReason&) {
    draining_ = true;
    end_waits();
    return {};
}

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
        Result<bool> room = co_await gatekeeper_.ask<&Gatekeeper::admit>(std::move(*stream));
        if (!room || !*room) co_return;
    }
}

void Acceptor::accept_the_last() {
    for (;;) {
        Result<std::optional<Stream>> stream = listener_.try_accept();
        if (!stream || !*stream) return;
        if (gatekeeper_.tell<&Gatekeeper::admit>(std::move(**stream)) != SendStatus::sent) return;
    }
}

}  // namespace troupe::http_internal

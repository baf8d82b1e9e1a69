#include <troupe/actor/actor.hpp>
#include <troupe/actor/ended.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/log.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/reset.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/sim/internal/relayed_connection.hpp>
#include <troupe/sim/relay.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace troupe {

namespace sim_internal {

namespace {

class RelayAcceptor;

}  // namespace

/// Knows the state of one line, and has an actor for each connection.
class Relay final : public Actor {
public:
    Relay(Listener listener, Endpoint server, const sim::RelayOptions& options)
        : listener_(std::move(listener)), server_(std::move(server)), options_(options) {}

    void set_cut(bool to_server, bool is_cut) {
        if (std::exchange(way(to_server).cut, is_cut) == is_cut) return;
        tell_all();
        if (!faults_.whole()) return;
        for (Stream& client : std::exchange(held_, {}))
            bring(std::move(client));
    }
    void set_speed(bool to_server, LineSpeed speed) {
        if (std::exchange(way(to_server).speed, speed) == speed) return;
        tell_all();
    }
    void reset() {
        for (auto& [pid, connection] : connections_) {
            if (std::exchange(connection.broken_off, true)) continue;
            connection.ref.tell<&RelayedConnection::break_off>();
        }
        for (Stream& client : std::exchange(held_, {}))
            reset_connection(std::move(client));
        give_room();
    }

    /// The acceptor waits here until there is room for one more.
    Reply<void> room() {
        if (open() < options_.connections_max) return Reply<void>();
        return later(wants_room_);
    }
    void take(Stream client) {
        ++stats_.accepted;
        if (faults_.whole()) {
            bring(std::move(client));
        } else {
            held_.push_back(std::move(client));
        }
    }
    sim::RelayStats stats() const {
        sim::RelayStats stats = stats_;
        stats.open = open();
        return stats;
    }

private:
    Task<Result<void>> on_start() override;
    Task<void> on_stop(const ExitReason&) override {
        for (Stream& client : std::exchange(held_, {}))
            reset_connection(std::move(client));
        return {};
    }

    WayFaults& way(bool to_server) noexcept {
        return to_server ? faults_.to_server : faults_.to_client;
    }
    std::size_t open() const noexcept { return connections_.size() + held_.size(); }
    void tell_all() {
        for (const auto& [pid, connection] : connections_) {
            if (!connection.broken_off)
                connection.ref.tell<&RelayedConnection::set_faults>(faults_);
        }
    }
    void bring(Stream client) {
        auto [connection, watch] = spawn_monitored<RelayedConnection, &Relay::has_ended>(
            options().mailbox(unbounded()), std::move(client), server_, options_.connect_timeout,
            options_.buffer_bytes, faults_);
        connections_.emplace(connection.pid(), Known{connection});
    }
    void has_ended(Down down) {
        connections_.erase(down.pid);
        if (down.reason.kind() == ExitReason::Kind::shutdown_with) ++stats_.unreachable;
        give_room();
    }
    void give_room() {
        if (open() < options_.connections_max && wants_room_.pending()) wants_room_.send();
    }

    Listener listener_;
    const Endpoint server_;
    const sim::RelayOptions options_;
    LineFaults faults_;
    struct Known {
        Ref<RelayedConnection> ref;
        bool broken_off = false;  // it is about to end
    };
    std::map<Pid, Known> connections_;
    std::vector<Stream> held_;  // accepted while the line was cut
    sim::RelayStats stats_;
    ReplyTo<void> wants_room_;
};

namespace {

class RelayAcceptor final : public Actor {
public:
    RelayAcceptor(Listener listener, Ref<Relay> relay)
        : listener_(std::move(listener)), relay_(relay) {}

    Task<void> accept() {
        for (;;) {
            const Result<void> room = co_await relay_.ask<&Relay::room>().within(Duration::max());
            if (!room) co_return;
            Result<Stream> stream = co_await listener_.accept();
            if (!stream) {
                if (stream.error() == Errc::cancelled) co_return;
                log_error("a relay cannot accept connections any more",
                          {{"reason", stream.error().text()}});
                co_return;
            }
            relay_.tell<&Relay::take>(std::move(*stream));
        }
    }

private:
    Listener listener_;
    Ref<Relay> relay_;
};

}  // namespace

Task<Result<void>> Relay::on_start() {
    auto acceptor = spawn<RelayAcceptor>(std::move(listener_), Ref<Relay>(self(this)));
    acceptor.tell<&RelayAcceptor::accept>();
    return {};
}

}  // namespace sim_internal

namespace sim {

using sim_internal::Relay;

Relays::Relays(System system) noexcept : Faults(system.engine()), system_(system) {}

Relays::~Relays() {
    for (const Ref<Relay>& relay : relays_)
        relay.stop();
}

Result<Endpoint> Relays::add(Line line, Endpoint server, const RelayOptions& options) {
    for (const Line& known : lines()) {
        if ((known.client == line.client && known.server == line.server) ||
            (known.client == line.server && known.server == line.client)) {
            return error(Errc::already_registered,
                         "a line joins " + line.client + " and " + line.server + " already");
        }
    }
    TROUPE_TRY(Listener listener, Listener::listen(system_.engine(), options.listen));
    Endpoint where = listener.local();
    relays_.push_back(system_.spawn<Relay>(troupe::options().mailbox(unbounded()),
                                           std::move(listener), std::move(server), options));
    add_line(std::move(line));
    return where;
}

Task<Result<RelayStats>> Relays::stats(std::size_t line) const {
    if (line >= relays_.size()) {
        co_return error(Errc::not_found, "there is no line " + std::to_string(line));
    }
    const Ref<Relay> relay = relays_[line];
    co_return co_await relay.ask<&Relay::stats>();
}

Task<Result<void>> Relays::stop() {
    for (const Ref<Relay>& relay : relays_)
        relay.stop();
    for (std::size_t i = 0; i < relays_.size(); ++i) {
        const Ref<Relay> relay = relays_[i];
        const Result<ExitReason> reason = co_await ended(relay);
        if (!reason && reason.error() == Errc::cancelled) {
            co_return std::unexpected(reason.error());
        }
    }
    co_return Result<void>();
}

void Relays::set_cut(std::size_t line, Toward toward, bool is_cut) {
    relays_[line].tell<&Relay::set_cut>(toward == Toward::server, is_cut);
}

void Relays::set_speed(std::size_t line, Toward toward, const LineSpeed& speed) {
    relays_[line].tell<&Relay::set_speed>(toward == Toward::server, speed);
}

void Relays::reset_line(std::size_t line) {
    relays_[line].tell<&Relay::reset>();
}

}  // namespace sim
}  // namespace troupe

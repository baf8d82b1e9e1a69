#pragma once

/// One connection that a relay carries.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/actor_timer.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace troupe::sim_internal {

/// What may be done to one way of a line.
struct WayFaults {
    bool cut = false;
    LineSpeed speed{};
};
struct LineFaults {
    WayFaults to_server{};
    WayFaults to_client{};
    bool whole() const noexcept { return !to_server.cut && !to_client.cut; }
};

/// Each piece lies in a bounded queue with the time at which it is due; it leaves when that has
/// come, the way is not cut and the other end takes it. It ends in order when both ends have
/// finished, and with a reset of both when one of them was broken.
class RelayedConnection final : public Actor {
public:
    RelayedConnection(Stream client, Endpoint server, Duration connect_timeout,
                      std::size_t buffer_bytes, const LineFaults& faults);
    ~RelayedConnection() override;

    void set_faults(LineFaults faults);
    void break_off();

private:
    struct Piece {
        enum class Kind : std::uint8_t { bytes, end, reset } kind = Kind::bytes;
        Duration due{};
        std::string bytes;
        std::size_t sent = 0;
    };
    /// One way.
    struct Way {
        WayFaults faults{};
        std::deque<Piece> pieces;
        std::size_t waiting = 0;  // bytes in them
        Duration last_due{};
        Duration busy_until{};  // where there is a bandwidth
        bool ended = false;     // nothing more is read
        bool done = false;      // nothing more is written
        bool blocked = false;   // the receiver has no room
        bool broken = false;    // the receiver has gone
    };
    /// Hears of one of the streams.
    class Ear final : public io_internal::Observer {
    public:
        explicit Ear(RelayedConnection& owner) noexcept : owner_(owner) {}
        bool ready(Cell& cell) noexcept override;

    private:
        RelayedConnection& owner_;
    };

    Task<Result<void>> on_start() override;
    void carry();
    void wake_up();
    /// Whether anything was read; whether anything was written.
    bool take_in(Way& way, Stream& from, Way& back);
    bool pass_on(Way& way, Stream& to);
    void line_up(Way& way, Piece::Kind kind, std::string bytes = {});
    Duration due(Way& way, std::size_t bytes) const;
    void listen();
    void hear(Stream& stream, Ear& ear, const Way& from_it, const Way& to_it);
    bool has_room(const Way& way) const noexcept {
        return !way.ended && way.waiting < buffer_bytes_;
    }
    void finish(bool in_order);

    Stream client_;
    Stream server_;
    const Endpoint server_at_;
    const Duration connect_timeout_;
    const std::size_t buffer_bytes_;
    Way to_server_;
    Way to_client_;
    Ear client_ear_{*this};
    Ear server_ear_{*this};
    Timer timer_;
    bool woken_ = false;  // carry() is on its way
    bool over_ = false;
};

}  // namespace troupe::sim_internal

/// Neither end may wait for the other: one actor has both streams, tries what there is, and asks
/// to be told when more may go. A coroutine for each way would need each stream in two places.

#include <troupe/io/reset.hpp>
#include <troupe/sim/internal/relayed_connection.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace troupe::sim_internal {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{16} * 1024;
constexpr std::uint64_t kPiecesPerSecond = 20;  // of a slow way, so that it flows evenly
constexpr int kRoundsInARow = 16;               // before others have a turn

}  // namespace

RelayedConnection::RelayedConnection(Stream client, Endpoint server, Duration connect_timeout,
                                     std::size_t buffer_bytes, const LineFaults& faults)
    : client_(std::move(client)),
      server_at_(std::move(server)),
      connect_timeout_(connect_timeout),
      buffer_bytes_(buffer_bytes) {
    to_server_.faults = faults.to_server;
    to_client_.faults = faults.to_client;
}

RelayedConnection::~RelayedConnection() {
    reset_connection(std::move(client_));
    reset_connection(std::move(server_));
}

Task<Result<void>> RelayedConnection::on_start() {
    Result<Stream> server = co_await connect(system().engine(), server_at_, connect_timeout_);
    if (!server) {
        self(this).stop(Stop::stop,
                        ExitReason(ExitReason::Kind::shutdown_with, server.error().message()));
        co_return Result<void>();
    }
    server_ = std::move(*server);
    wake_up();
    co_return Result<void>();
}

bool RelayedConnection::Ear::ready(Cell&) noexcept {
    owner_.wake_up();
    return false;
}

void RelayedConnection::wake_up() {
    if (std::exchange(woken_, true)) return;
    self(this).tell<&RelayedConnection::carry>();
}

void RelayedConnection::set_faults(LineFaults faults) {
    for (Way* const way : {&to_server_, &to_client_}) {
        way->faults = way == &to_server_ ? faults.to_server : faults.to_client;
        // What waits does not wait longer than it would now.
        way->busy_until = way->last_due = Duration::zero();
        for (Piece& piece : way->pieces) {
            piece.due = std::min(piece.due, due(*way, piece.bytes.size()));
            way->last_due = piece.due;
        }
    }
    wake_up();
}

void RelayedConnection::break_off() {
    finish(false);
}

void RelayedConnection::carry() {
    woken_ = false;
    if (over_ || !server_.is_open()) return;
    for (int round = 0;; ++round) {
        if (round == kRoundsInARow) return wake_up();
        bool moved = take_in(to_server_, client_, to_client_);
        moved = take_in(to_client_, server_, to_server_) || moved;
        moved = pass_on(to_server_, server_) || moved;
        if (!over_) moved = pass_on(to_client_, client_) || moved;
        if (over_) return;
        if (to_server_.done && to_client_.done) return finish(true);
        if (!moved) break;
    }
    listen();
}

// ---- what comes ---------------------------------------------------------------------------------

bool RelayedConnection::take_in(Way& way, Stream& from, Way& back) {
    if (!has_room(way)) return false;
    std::array<char, kPieceBytes> buffer;
    std::size_t most = std::min(buffer.size(), buffer_bytes_ - way.waiting);
    if (const std::uint64_t rate = way.faults.speed.bytes_per_second; rate != 0) {
        most = std::min(most, static_cast<std::size_t>(rate / kPiecesPerSecond) + 1);
    }
    const Result<std::optional<std::size_t>> got = from.try_read(std::span(buffer.data(), most));
    if (got && !*got) return false;
    if (!got) {
        // Nobody takes what is meant for it any more.
        way.ended = back.ended = back.done = true;
        back.pieces.clear();
        back.waiting = 0;
        line_up(way, Piece::Kind::reset);
    } else if (**got == 0) {
        way.ended = true;
        line_up(way, back.broken ? Piece::Kind::reset : Piece::Kind::end);
    } else if (!way.done) {
        line_up(way, Piece::Kind::bytes, std::string(buffer.data(), **got));
    }
    return true;
}

Duration RelayedConnection::due(Way& way, std::size_t bytes) const {
    const LineSpeed& speed = way.faults.speed;
    Duration leaves = system().now();
    if (speed.bytes_per_second != 0) {
        way.busy_until = std::max(way.busy_until, leaves) +
                         Duration(static_cast<std::int64_t>(std::uint64_t{bytes} * 1'000'000'000 /
                                                            speed.bytes_per_second));
        leaves = way.busy_until;
    }
    return std::max(way.last_due, leaves + speed.delay);
}

void RelayedConnection::line_up(Way& way, Piece::Kind kind, std::string bytes) {
    way.last_due = due(way, bytes.size());
    way.waiting += bytes.size();
    way.pieces.push_back({kind, way.last_due, std::move(bytes), 0});
}

// ---- what goes ----------------------------------------------------------------------------------

bool RelayedConnection::pass_on(Way& way, Stream& to) {
    way.blocked = false;
    if (way.faults.cut || way.pieces.empty()) return false;
    Piece& piece = way.pieces.front();
    if (piece.due > system().now()) return false;
    if (piece.kind == Piece::Kind::reset) {
        finish(false);
        return true;
    }
    if (way.done) {
        way.pieces.pop_front();
        return true;
    }
    if (piece.kind == Piece::Kind::end) {
        ignore(to.shutdown_write(), "of one that is broken we hear when we read from it");
        way.done = true;
        way.pieces.pop_front();
        return true;
    }
    const Result<std::size_t> went = to.try_write(std::string_view(piece.bytes).substr(piece.sent));
    if (!went) {
        // What it had said before that still arrives, where the machine has it.
        way.done = way.broken = way.ended = true;
        way.pieces.clear();
        way.waiting = 0;
        return true;
    }
    if (*went == 0) {
        way.blocked = true;
        return false;
    }
    piece.sent += *went;
    way.waiting -= *went;
    if (piece.sent == piece.bytes.size()) way.pieces.pop_front();
    return true;
}

void RelayedConnection::finish(bool in_order) {
    if (std::exchange(over_, true)) return;
    timer_.cancel();
    if (in_order) {
        client_.close();
        server_.close();
    } else {
        reset_connection(std::move(client_));
        reset_connection(std::move(server_));
    }
    self(this).stop(Stop::stop);
}

// ---- waiting ------------------------------------------------------------------------------------

void RelayedConnection::listen() {
    hear(client_, client_ear_, to_server_, to_client_);
    hear(server_, server_ear_, to_client_, to_server_);
    Duration next = Duration::max();
    for (const Way* const way : {&to_server_, &to_client_}) {
        if (way->faults.cut || way->blocked || way->pieces.empty()) continue;
        next = std::min(next, way->pieces.front().due);
    }
    timer_.cancel();
    if (next != Duration::max()) {
        timer_ =
            after<&RelayedConnection::wake_up>(std::max(next - system().now(), Duration::zero()));
    }
}

void RelayedConnection::hear(Stream& stream, Ear& ear, const Way& from_it, const Way& to_it) {
    const bool reads = has_room(from_it);
    if (reads && to_it.blocked) {
        stream.observe(ear, io_internal::Direction::both);
    } else if (reads) {
        stream.observe(ear, io_internal::Direction::read);
    } else if (to_it.blocked) {
        stream.observe(ear, io_internal::Direction::write);
    }
}

}  // namespace troupe::sim_internal

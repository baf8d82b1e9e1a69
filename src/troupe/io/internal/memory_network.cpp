/// The network of the deterministic engine: connections are pairs of byte pipes in memory.
///
/// The problem: code that works on a quiet loopback breaks where pieces are small, late and cut
/// anywhere, where a peer goes in the middle of a write. That has to happen in tests, at once, and
/// again from the same seed.
///
/// Our answer: there is no network actor. What is written lies in the pipe with the time of its
/// arrival; a reader sees what has arrived by now and, when it waits, is woken by a timer at the
/// next arrival. The room that reading makes travels back the same way. Every latency, every place
/// where bytes are cut and every fault is one choice of the engine, and the first alternative is
/// always the plain one, so a depth-first walk begins with a quiet network.
///
/// Dropped: a cell that carries each piece (one more step for each, to be interleaved with all
/// others, without a behaviour that the arrival times do not give), and delivering by the writer
/// (then nothing is ever late). docs/design/0003-memory-network.md has the rest.

#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/io/internal/memory_network.hpp>
#include <troupe/io/internal/socket_address.hpp>
#include <troupe/io/internal/wake.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/scheduler/simulated_engine.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace troupe::io_internal {

namespace {

constexpr Duration kNever = Duration::max();
constexpr Duration kHeld = Duration::max() - Duration(1);  // it arrives once it is released

// ---- waking who waits ---------------------------------------------------------------------------

void free_wake(MailNode* node) noexcept {
    free_block(static_cast<TimerNode*>(node), sizeof(TimerNode));
}

bool wake_arrives(MailNode* node, Cell& cell) {
    const std::uint32_t number = node->tag;
    free_wake(node);
    return try_operation_again(cell, number);
}

const MailOps kWakeOps{MailKind::signal,
                       [](MailNode* node, const Error&) noexcept { free_wake(node); },
                       &wake_arrives};

/// An observer who may be gone when it is told: the timers that would tell it and the end it
/// observes hold a share each.
struct Observed {
    Observer* observer = nullptr;  // null: told already, or not to be told any more
    unsigned shares = 1;

    void let_go() noexcept {
        if (--shares == 0) delete this;
    }
};

struct ObserverWake : TimerNode {
    Observed* observed = nullptr;
};

void free_observer_wake(MailNode* node) noexcept {
    auto* const wake = static_cast<ObserverWake*>(node);
    wake->observed->let_go();
    free_block(wake, sizeof(ObserverWake));
}

bool observer_wake_arrives(MailNode* node, Cell& cell) {
    Observed* const observed = static_cast<ObserverWake*>(node)->observed;
    Observer* const observer = std::exchange(observed->observer, nullptr);
    free_observer_wake(node);
    return observer != nullptr && observer->ready(cell);
}

const MailOps kObserverWakeOps{
    MailKind::signal, [](MailNode* node, const Error&) noexcept { free_observer_wake(node); },
    &observer_wake_arrives};

/// A cell that waits for one thing, and when it will look again.
class Sleeper {
public:
    Sleeper() = default;
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    ~Sleeper() { forget_observer(); }

    void set(Cell& cell, std::uint32_t await_number) noexcept {
        forget_observer();
        cell_ = &cell;
        generation_ = cell.generation();
        number_ = await_number;
        wakes_at_ = kNever;
    }

    void set(Cell& cell, Observer& observer) {
        set(cell, 0);
        observed_ = new Observed{&observer};
    }

    void forget_observer() noexcept {
        if (observed_ == nullptr) return;
        observed_->observer = nullptr;
        std::exchange(observed_, nullptr)->let_go();
        cell_ = nullptr;
    }

    /// Wakes it at `when`, unless it looks again before that anyway.
    void wake(Engine& engine, Duration when) {
        if (cell_ == nullptr || wakes_at_ <= when) return;
        wakes_at_ = when;
        TimerNode* timer = nullptr;
        if (observed_ == nullptr) {
            timer = ::new (allocate_block(sizeof(TimerNode))) TimerNode;
            timer->ops = &kWakeOps;
        } else {
            auto* const wake = ::new (allocate_block(sizeof(ObserverWake))) ObserverWake;
            wake->observed = observed_;
            ++observed_->shares;
            wake->ops = &kObserverWakeOps;
            timer = wake;
        }
        timer->target = cell_;
        timer->generation = generation_;
        timer->tag = number_;
        timer->deadline = std::max(when, engine.now());
        engine.start_timer(timer);
    }

private:
    Cell* cell_ = nullptr;
    std::uint32_t generation_ = 0;
    std::uint32_t number_ = 0;
    Duration wakes_at_ = kNever;
    Observed* observed_ = nullptr;  // set: not the cell's await but an observer is woken
};

// ---- the network --------------------------------------------------------------------------------

class Connection;
class MemoryListener;

class MemoryNetwork final : public EngineService {
public:
    explicit MemoryNetwork(Engine& engine) noexcept : engine_(engine) {}
    ~MemoryNetwork() override;

    Engine& engine() noexcept { return engine_; }
    NetworkConditions& conditions() noexcept { return conditions_; }
    Duration now() const noexcept { return engine_.now(); }

    /// When a piece that leaves now arrives.
    Duration arrival() { return now() + latency(); }
    Duration latency();
    /// How many of `bytes` go in one piece.
    std::size_t part_of(std::size_t bytes, const char* site);
    bool fault(unsigned per_thousand, const char* site) {
        return static_cast<SimulatedEngine&>(engine_).happens(per_thousand, site);
    }

    // Machines, by their places in `hosts_`.
    std::size_t host_of(const Engine& engine) const noexcept;
    std::size_t host_at(const std::string& address, std::size_t seen_from) const noexcept;
    const std::string& address_of(std::size_t host) const noexcept { return hosts_[host].address; }
    void add_host(const Engine& engine, std::string address);
    void lose_host(std::size_t host, MachineLoss how);
    bool is_lost(std::size_t host) const noexcept { return hosts_[host].fate != Fate::up; }
    bool is_silent(std::size_t host) const noexcept { return hosts_[host].fate == Fate::silent; }
    /// Whether it was lost, and is up again in another life.
    bool has_come_back(std::size_t host) const noexcept {
        return is_lost(host) && !is_lost(host_at(hosts_[host].address, 0));
    }
    bool is_cut(std::size_t from, std::size_t to) const noexcept {
        return from != to && std::find(cuts_.begin(), cuts_.end(),
                                       Cut{address_of(from), address_of(to)}) != cuts_.end();
    }
    void cut(const std::string& from, const std::string& to) { cuts_.push_back(Cut{from, to}); }
    void mend(const std::string& from, const std::string& to);
    void slow(const std::string& from, const std::string& to, const LineSpeed& speed);
    /// Of what the one sends to the other, besides what is so of all.
    LineSpeed speed(std::size_t from, std::size_t to) const noexcept;
    void reset_between(const std::string& one, const std::string& other);

    Result<std::uint16_t> bind(std::size_t host, std::uint16_t port, MemoryListener* listener);
    void unbind(std::size_t host, std::uint16_t port, const MemoryListener* listener) noexcept;
    /// One of those that listen there, or null.
    MemoryListener* find(std::size_t host, std::uint16_t port);
    void note_use(std::uint16_t port) const noexcept {
        note_shared_use(thing_of(mix_64(kNumbering + port)));
    }

    /// The port that stands for the path of a Unix socket, which a network of ports has none for;
    /// for another endpoint its own.
    std::uint16_t port_of(const Endpoint& endpoint);

    /// Whether what this side sends over the connections of this port is held back.
    bool holds(std::uint16_t port, unsigned side) const noexcept {
        return std::find(held_.begin(), held_.end(), Held{port, side}) != held_.end();
    }
    bool holds_any(std::uint16_t port) const noexcept { return holds(port, 0) || holds(port, 1); }
    void hold(std::uint16_t port, unsigned side) {
        if (!holds(port, side)) held_.push_back({port, side});
    }
    void release(std::uint16_t port, unsigned side);

    void add(Connection& connection);
    void remove(const Connection& connection) noexcept;

    std::uint16_t next_client_port() noexcept {
        const std::uint16_t port = client_port_;
        client_port_ =
            port == kClientPortMax ? kClientPortMin : static_cast<std::uint16_t>(port + 1);
        return port;
    }

private:
    // Latencies are chosen from so many evenly spread ones: enough to reorder whatever can be, and
    // few enough for a depth-first walk.
    static constexpr std::uint64_t kLatencies = 8;
    static constexpr std::uint16_t kListenPortMin = 49152;  // where IANA's dynamic ports begin
    static constexpr std::uint16_t kClientPortMin = 32768;  // apart, so that a test can tell
    static constexpr std::uint16_t kClientPortMax = kListenPortMin - 1;

    Engine& engine_;
    NetworkConditions conditions_;
    // Several at one port share it, as they have said.
    std::map<std::pair<std::size_t, std::uint16_t>, std::vector<MemoryListener*>> listeners_;
    std::size_t dealt_out_ = 0;
    std::map<std::string, std::uint16_t> unix_ports_;
    enum class Fate : std::uint8_t { up, silent, gone };
    struct Host {
        const Engine* engine;
        std::string address;
        Fate fate = Fate::up;
    };
    std::vector<Host> hosts_{{nullptr, "10.0.0.1"}};  // the first: whoever is none of the others
    struct Cut {
        std::string from;
        std::string to;
        bool operator==(const Cut&) const = default;
    };
    std::vector<Cut> cuts_;
    std::vector<std::pair<Cut, LineSpeed>> slowed_;
    struct Held {
        std::uint16_t port;
        unsigned side;  // the sender's: 0 is the client
        bool operator==(const Held&) const = default;
    };

    // Connections are numbered as they come: the order of two that do shows.
    static constexpr std::uint64_t kNumbering = 0x6E'7477'726B;
    std::uint64_t connections_made_ = 0;
    std::vector<Connection*> connections_;
    std::vector<Held> held_;
    std::uint16_t client_port_ = kClientPortMin;
};

Duration MemoryNetwork::latency() {
    const Duration span = conditions_.latency_max - conditions_.latency_min;
    if (span <= Duration::zero()) return conditions_.latency_min;
    const std::uint64_t chosen = engine_.choose(kLatencies, ChoiceKind::delay, "network latency");
    return conditions_.latency_min +
           span * static_cast<std::int64_t>(chosen) / static_cast<std::int64_t>(kLatencies - 1);
}

std::size_t MemoryNetwork::part_of(std::size_t bytes, const char* site) {
    if (!conditions_.splits || bytes <= 1) return bytes;
    switch (engine_.choose(4, ChoiceKind::split, site)) {
        case 0:
            return bytes;
        case 1:
            return 1;
        case 2:
            return bytes / 2;
        default:
            return 1 + static_cast<std::size_t>(engine_.choose(bytes - 1, ChoiceKind::split, site));
    }
}

/// All machines of a simulation share one.
MemoryNetwork& network_of(Engine& engine) {
    return static_cast<SimulatedEngine&>(engine).home().service<MemoryNetwork>();
}

std::size_t MemoryNetwork::host_of(const Engine& engine) const noexcept {
    for (std::size_t host = hosts_.size() - 1; host != 0; --host) {
        if (hosts_[host].engine == &engine) return host;
    }
    return 0;
}

std::size_t MemoryNetwork::host_at(const std::string& address,
                                   std::size_t seen_from) const noexcept {
    if (address.starts_with("127.") || address.starts_with("unix:") || address == "::1" ||
        address == "0.0.0.0")
        return seen_from;
    for (std::size_t host = hosts_.size() - 1; host != 0; --host) {
        if (hosts_[host].address == address) return host;  // its latest life
    }
    return 0;
}

void MemoryNetwork::add_host(const Engine& engine, std::string address) {
    hosts_.push_back({&engine, std::move(address)});
}

std::uint16_t MemoryNetwork::port_of(const Endpoint& endpoint) {
    if (!endpoint.is_unix()) return endpoint.port;
    // From 1 on, where nobody listens in a test.
    const auto next = static_cast<std::uint16_t>(unix_ports_.size() + 1);
    TROUPE_ASSERT(next < kClientPortMin, "a simulated run has fewer Unix sockets");
    return unix_ports_.emplace(endpoint.host, next).first->second;
}

// ---- a connection -------------------------------------------------------------------------------

/// What one end sends to the other.
struct Pipe {
    struct Piece {
        Duration arrives{};
        std::string bytes;
        std::size_t read = 0;
    };
    struct Room {
        Duration arrives{};
        std::size_t bytes = 0;
    };

    std::deque<Piece> pieces;
    Duration last_arrival{};
    Duration busy_until{};          // where there is a bandwidth
    Duration end_arrives = kNever;  // the sender has finished; not before its last piece

    std::size_t used = 0;   // of the buffer, as the sender knows
    std::deque<Room> room;  // on its way back to the sender

    Sleeper reader;
    Sleeper writer;

    bool finished() const noexcept { return end_arrives != kNever; }
    /// Whoever waits looks again when this arrives; what is held arrives when somebody says so.
    static bool comes(Duration arrival) noexcept { return arrival != kNever && arrival != kHeld; }
    Duration in_order(Duration arrival) noexcept {
        return last_arrival = std::max(last_arrival, arrival);
    }
};

/// What one end knows of its fate.
struct End {
    Endpoint address;
    std::size_t host = 0;
    bool closed = false;
    Duration reset_at = kNever;   // kHeld: it has been sent, and is held back
    bool reset_discards = false;  // what had arrived before and was not read
};

/// Owned by its two ends: the last one that closes frees it.
class Connection {
public:
    Connection(MemoryNetwork& network, End client, End server)
        : network_(&network), ends_{std::move(client), std::move(server)} {
        network.add(*this);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// The engine has stopped: nothing arrives any more.
    void forget_network() noexcept { network_ = nullptr; }

    const Endpoint& address_of(unsigned side) const noexcept { return ends_[side].address; }

    std::size_t place = 0;     // the network's
    std::uint64_t serial = 0;  // of all it has had

    bool read(unsigned side, std::span<char> buffer, Result<std::size_t>& result);
    Result<std::size_t> write(unsigned side, std::string_view data);
    Result<void> shutdown_write(unsigned side);
    /// `number` is that of the await; with an observer there is none.
    void wait(unsigned side, Cell& cell, Direction direction, std::uint32_t number,
              Observer* observer = nullptr);
    void close(unsigned side) noexcept;
    /// What this side has sent and was held back sets out.
    void release(unsigned side);
    /// Closes without a proper end: the other one hears of a reset.
    void abort(unsigned side) noexcept;
    /// A machine has gone, and the other one of a connection hears of it.
    void lose(std::size_t host);
    /// If it is between these two, something on the way tells both ends that it is broken.
    void break_between(std::size_t one, std::size_t another);

private:
    ~Connection() {
        if (network_ != nullptr) network_->remove(*this);
    }

    static unsigned other(unsigned side) noexcept { return 1 - side; }
    void note_use() const noexcept { note_shared_use(thing_of(mix_64(serial))); }
    Pipe& sent_by(unsigned side) noexcept { return pipes_[side]; }
    Pipe& sent_to(unsigned side) noexcept { return pipes_[other(side)]; }
    bool is_reset(unsigned side) const noexcept { return network_->now() >= ends_[side].reset_at; }
    bool held(unsigned side) const noexcept {
        return network_->holds(ends_[1].address.port, side) ||
               network_->is_cut(ends_[side].host, ends_[other(side)].host);
    }
    /// When so many bytes that this side sends now arrive.
    Duration arrival_from(unsigned side, std::size_t bytes);

    std::unexpected<Error> broken(const char* doing, unsigned side) const {
        return error(Errc::closed, std::string(doing) + to_string(ends_[other(side)].address) +
                                       (network_ != nullptr ? ": the connection was reset"
                                                            : ": the engine has stopped"));
    }
    void wait_at(Sleeper& sleeper, Cell& cell, std::uint32_t number, Observer* observer,
                 Duration next);
    void finish(unsigned side);
    void reset_end(unsigned side, Duration when);
    void free_if_closed() noexcept {
        if (ends_[0].closed && ends_[1].closed) delete this;
    }

    MemoryNetwork* network_;
    std::array<Pipe, 2> pipes_;
    std::array<End, 2> ends_;
};

bool Connection::read(unsigned side, std::span<char> buffer, Result<std::size_t>& result) {
    note_use();
    if (network_ == nullptr) {
        result = broken("reading from ", side);
        return true;
    }
    const Duration now = network_->now();
    Pipe& pipe = sent_to(side);
    const bool reset = is_reset(side);
    if (reset && ends_[side].reset_discards) {
        result = broken("reading from ", side);
        return true;
    }
    std::size_t there = 0;
    for (const Pipe::Piece& piece : pipe.pieces) {
        if (piece.arrives > now || there >= buffer.size()) break;
        there += piece.bytes.size() - piece.read;
    }
    if (there == 0) {
        if (pipe.pieces.empty() && now >= pipe.end_arrives) {
            result = 0;
            return true;
        }
        if (reset) result = broken("reading from ", side);
        return reset;
    }

    const std::size_t wanted = network_->part_of(std::min(there, buffer.size()), "network read");
    std::size_t got = 0;
    while (got != wanted) {
        Pipe::Piece& piece = pipe.pieces.front();
        const std::size_t part = std::min(wanted - got, piece.bytes.size() - piece.read);
        std::memcpy(buffer.data() + got, piece.bytes.data() + piece.read, part);
        got += part;
        piece.read += part;
        if (piece.read == piece.bytes.size()) pipe.pieces.pop_front();
    }
    // The news of the room travels, too, and in order.
    Duration arrives = held(side) ? kHeld : network_->arrival();
    if (!pipe.room.empty()) arrives = std::max(arrives, pipe.room.back().arrives);
    pipe.room.push_back({arrives, got});
    if (Pipe::comes(arrives)) pipe.writer.wake(network_->engine(), arrives);
    result = got;
    return true;
}

Result<std::size_t> Connection::write(unsigned side, std::string_view data) {
    note_use();
    if (network_ == nullptr || is_reset(side)) return broken("writing to ", side);
    Pipe& pipe = sent_by(side);
    if (pipe.finished()) {
        return error(Errc::closed, "writing to " + to_string(ends_[other(side)].address) +
                                       ": shutdown_write() has said that nothing more comes");
    }
    const NetworkConditions& conditions = network_->conditions();
    if (network_->fault(conditions.resets_per_thousand, "network reset")) {
        reset_end(side, network_->now());
        reset_end(other(side), held(side) ? kHeld : network_->arrival());
        return broken("writing to ", side);
    }
    while (!pipe.room.empty() && pipe.room.front().arrives <= network_->now()) {
        pipe.used -= pipe.room.front().bytes;
        pipe.room.pop_front();
    }
    if (pipe.used >= conditions.buffer_bytes) return 0;

    const std::size_t bytes = network_->part_of(
        std::min(data.size(), conditions.buffer_bytes - pipe.used), "network write");
    data = data.substr(0, bytes);
    pipe.used += bytes;
    if (ends_[other(side)].closed || network_->has_come_back(ends_[other(side)].host)) {
        // There is nobody to take it; we learn of that when the answer has come back.
        const bool gets_there = !held(side) && !held(other(side));
        reset_end(side,
                  gets_there ? pipe.in_order(network_->arrival()) + network_->latency() : kHeld);
        return bytes;
    }
    const std::size_t first = network_->part_of(bytes, "network piece");
    for (const std::string_view part : {data.substr(0, first), data.substr(first)}) {
        if (part.empty()) continue;
        const Duration arrives = pipe.in_order(arrival_from(side, part.size()));
        pipe.pieces.push_back({arrives, std::string(part), 0});
        if (Pipe::comes(arrives)) pipe.reader.wake(network_->engine(), arrives);
    }
    return bytes;
}

void Connection::wait(unsigned side, Cell& cell, Direction direction, std::uint32_t number,
                      Observer* observer) {
    if (network_ == nullptr) return;
    // What is on its way already has started no timer for us.
    if (direction != Direction::write) {
        Pipe& pipe = sent_to(side);
        const Duration next = pipe.pieces.empty() ? pipe.end_arrives : pipe.pieces.front().arrives;
        wait_at(pipe.reader, cell, number, observer, std::min(next, ends_[side].reset_at));
    }
    if (direction != Direction::read) {
        Pipe& pipe = sent_by(side);
        const Duration next = pipe.room.empty() ? kNever : pipe.room.front().arrives;
        wait_at(pipe.writer, cell, number, observer, std::min(next, ends_[side].reset_at));
    }
}

void Connection::wait_at(Sleeper& sleeper, Cell& cell, std::uint32_t number, Observer* observer,
                         Duration next) {
    if (observer != nullptr) {
        sleeper.set(cell, *observer);
    } else {
        sleeper.set(cell, number);
    }
    if (Pipe::comes(next)) sleeper.wake(network_->engine(), next);
}

void Connection::finish(unsigned side) {
    Pipe& pipe = sent_by(side);
    if (pipe.finished()) return;
    pipe.end_arrives = pipe.in_order(arrival_from(side, 0));
    if (Pipe::comes(pipe.end_arrives)) pipe.reader.wake(network_->engine(), pipe.end_arrives);
}

Duration Connection::arrival_from(unsigned side, std::size_t bytes) {
    if (held(side)) return kHeld;
    const LineSpeed line = network_->speed(ends_[side].host, ends_[other(side)].host);
    const std::uint64_t of_all = network_->conditions().bytes_per_second;
    const std::uint64_t rate = of_all == 0 || line.bytes_per_second == 0
                                   ? std::max(of_all, line.bytes_per_second)
                                   : std::min(of_all, line.bytes_per_second);
    if (rate == 0) return network_->arrival() + line.delay;
    Pipe& pipe = sent_by(side);
    const auto takes = Duration(static_cast<std::int64_t>(bytes * 1'000'000'000 / rate));
    pipe.busy_until = std::max(pipe.busy_until, network_->now()) + takes;
    return pipe.busy_until + network_->latency() + line.delay;
}

void Connection::release(unsigned side) {
    if (held(side)) return;  // for another reason
    Pipe& pipe = sent_by(side);
    if (pipe.last_arrival == kHeld) pipe.last_arrival = network_->now();
    for (Pipe::Piece& piece : pipe.pieces) {
        if (piece.arrives == kHeld) {
            piece.arrives = pipe.in_order(arrival_from(side, piece.bytes.size()));
        }
    }
    if (pipe.end_arrives == kHeld) pipe.end_arrives = pipe.in_order(arrival_from(side, 0));
    const Duration next = pipe.pieces.empty() ? pipe.end_arrives : pipe.pieces.front().arrives;
    if (Pipe::comes(next)) pipe.reader.wake(network_->engine(), next);

    // The news of room that this side has made, and of its resets.
    Pipe& read = sent_to(side);
    for (Pipe::Room& room : read.room) {
        if (room.arrives == kHeld) room.arrives = network_->arrival();
    }
    if (!read.room.empty()) read.writer.wake(network_->engine(), read.room.front().arrives);
    if (ends_[other(side)].reset_at == kHeld) {
        ends_[other(side)].reset_at = kNever;
        reset_end(other(side), network_->arrival());
    }
}

void Connection::reset_end(unsigned side, Duration when) {
    End& end = ends_[side];
    if (end.closed || end.reset_at <= when) return;
    end.reset_at = when;
    // Machines differ in whether a reset takes away what had arrived before.
    end.reset_discards = network_->engine().choose(2, ChoiceKind::fault, "reset discards") != 0;
    if (when == kHeld) return;
    sent_to(side).reader.wake(network_->engine(), when);
    sent_by(side).writer.wake(network_->engine(), when);
}

Result<void> Connection::shutdown_write(unsigned side) {
    note_use();
    if (network_ == nullptr || is_reset(side)) return broken("ending what is sent to ", side);
    finish(side);
    return {};
}

void Connection::close(unsigned side) noexcept {
    note_use();
    ends_[side].closed = true;
    sent_to(side).reader.forget_observer();
    sent_by(side).writer.forget_observer();
    if (network_ != nullptr && !is_reset(side)) {
        // As TCP does: bytes that nobody will read are answered with a reset, in place of a proper
        // end where they are here already.
        const Pipe& unread = sent_to(side);
        if (unread.pieces.empty()) {
            finish(side);
        } else if (const Duration met = unread.pieces.front().arrives; met > network_->now()) {
            finish(side);
            reset_end(other(side), met == kHeld || held(side) ? kHeld : met + network_->latency());
        } else {
            reset_end(other(side), sent_by(side).in_order(arrival_from(side, 0)));
        }
    }
    sent_to(side).pieces.clear();
    free_if_closed();
}

void Connection::lose(std::size_t host) {
    for (const unsigned side : {0U, 1U}) {
        if (ends_[side].host != host || ends_[other(side)].host == host) continue;
        reset_end(other(side), held(side) ? kHeld : network_->arrival());
    }
}

void Connection::break_between(std::size_t one, std::size_t another) {
    const bool between = (ends_[0].host == one && ends_[1].host == another) ||
                         (ends_[0].host == another && ends_[1].host == one);
    if (!between) return;
    note_use();
    reset_end(0, network_->arrival());
    reset_end(1, network_->arrival());
}

void Connection::abort(unsigned side) noexcept {
    note_use();
    if (network_ != nullptr) reset_end(other(side), arrival_from(side, 0));
    ends_[side].closed = true;
    sent_to(side).reader.forget_observer();
    sent_by(side).writer.forget_observer();
    sent_to(side).pieces.clear();
    free_if_closed();
}

class MemoryStream final : public StreamCore {
public:
    MemoryStream(Connection& connection, unsigned side) noexcept
        : connection_(connection), side_(side) {}

    bool read(std::span<char> buffer, Result<std::size_t>& result) override {
        return connection_.read(side_, buffer, result);
    }
    Result<std::size_t> write(std::string_view data) override {
        return connection_.write(side_, data);
    }
    Result<void> shutdown_write() override { return connection_.shutdown_write(side_); }
    void wait_for(Cell& cell, Direction direction, std::uint32_t number) override {
        connection_.wait(side_, cell, direction, number);
    }
    void observe(Cell& cell, Observer& observer, Direction direction) override {
        connection_.wait(side_, cell, direction, 0, &observer);
    }
    Endpoint local() const override { return connection_.address_of(side_); }
    Endpoint peer() const override { return connection_.address_of(1 - side_); }
    void close() noexcept override {
        connection_.close(side_);
        delete this;
    }
    void abort() noexcept override {
        connection_.abort(side_);
        delete this;
    }

private:
    Connection& connection_;
    const unsigned side_;
};

// ---- listening and connecting -------------------------------------------------------------------

class MemoryListener final : public ListenerCore {
public:
    MemoryListener(MemoryNetwork& network, std::size_t host, Endpoint endpoint,
                   const ListenOptions& options)
        : network_(&network),
          host_(host),
          endpoint_(std::move(endpoint)),
          room_(static_cast<std::size_t>(std::max(options.backlog(), 1))),
          shares_port_(options.reuse_port()) {}

    /// The engine has stopped: nobody connects any more.
    void forget_network() noexcept { network_ = nullptr; }
    void set_port(std::uint16_t port) noexcept {
        port_ = port;
        if (!endpoint_.is_unix()) endpoint_.port = port;
    }
    bool shares_port() const noexcept { return shares_port_; }

    bool has_room() const noexcept { return waiting_.size() < room_; }
    void add(MemoryStream* stream) {
        waiting_.push_back(stream);
        acceptor_.wake(network_->engine(), network_->now());
    }

    Accept accept(Result<StreamCore*>& result) override {
        if (network_ == nullptr) {
            result = error(Errc::closed,
                           "accepting at " + to_string(endpoint_) + ": the engine has stopped");
            return Accept::done;
        }
        // Who connects has looked for the port, and so uses the same.
        network_->note_use(port_);
        if (waiting_.empty()) return Accept::nothing_there;
        if (network_->fault(network_->conditions().failed_accepts_per_thousand, "failed accept")) {
            return Accept::nothing_free;
        }
        result = waiting_.front();
        waiting_.pop_front();
        return Accept::done;
    }

    void wait(Cell& cell, Operation& operation) override { acceptor_.set(cell, operation.number); }
    Endpoint local() const override { return endpoint_; }

    void close() noexcept override {
        if (network_ != nullptr) network_->unbind(host_, port_, this);
        for (MemoryStream* const stream : waiting_)
            stream->abort();
        delete this;
    }

private:
    MemoryNetwork* network_;
    const std::size_t host_;
    Endpoint endpoint_;
    std::uint16_t port_ = 0;
    const std::size_t room_;
    const bool shares_port_;
    std::deque<MemoryStream*> waiting_;
    Sleeper acceptor_;
};

Result<std::uint16_t> MemoryNetwork::bind(std::size_t host, std::uint16_t port,
                                          MemoryListener* listener) {
    note_use(port);  // port 0 is whatever is free, which is another's as well
    if (port != 0) {
        std::vector<MemoryListener*>& there = listeners_[{host, port}];
        if (there.empty() || (there.front()->shares_port() && listener->shares_port())) {
            there.push_back(listener);
            return port;
        }
        return error(Errc::already_registered);
    }
    for (unsigned free = kListenPortMin; free <= 0xFFFF; ++free) {
        const auto candidate = static_cast<std::uint16_t>(free);
        std::vector<MemoryListener*>& there = listeners_[{host, candidate}];
        if (!there.empty()) continue;
        there.push_back(listener);
        return candidate;
    }
    return error(Errc::failed, "all ports are in use");
}

void MemoryNetwork::unbind(std::size_t host, std::uint16_t port,
                           const MemoryListener* listener) noexcept {
    note_use(port);
    const auto there = listeners_.find({host, port});
    if (there == listeners_.end()) return;
    std::erase(there->second, listener);
    if (there->second.empty()) listeners_.erase(there);
}

MemoryListener* MemoryNetwork::find(std::size_t host, std::uint16_t port) {
    note_use(port);
    const auto there = listeners_.find({host, port});
    if (there == listeners_.end() || there->second.empty()) return nullptr;
    const std::size_t several = there->second.size();
    if (several == 1) return there->second.front();
    // The plain alternative is to deal them out in turn.
    const std::size_t chosen =
        engine_.choose(several, ChoiceKind::random_draw, "listener at one port");
    return there->second[(++dealt_out_ + chosen) % several];
}

void MemoryNetwork::release(std::uint16_t port, unsigned side) {
    if (std::erase(held_, Held{port, side}) == 0) return;
    for (Connection* const connection : connections_) {
        if (connection->address_of(1).port == port) connection->release(side);
    }
}

void MemoryNetwork::mend(const std::string& from, const std::string& to) {
    if (std::erase(cuts_, Cut{from, to}) == 0) return;
    // Those it does not concern have nothing that is held back, or hold it for another reason.
    for (Connection* const connection : connections_) {
        connection->release(0);
        connection->release(1);
    }
}

void MemoryNetwork::slow(const std::string& from, const std::string& to, const LineSpeed& speed) {
    const Cut line{from, to};
    std::erase_if(slowed_, [&](const auto& slowed) { return slowed.first == line; });
    slowed_.emplace_back(line, speed);
}

LineSpeed MemoryNetwork::speed(std::size_t from, std::size_t to) const noexcept {
    for (const auto& [line, speed] : slowed_) {
        if (line.from == address_of(from) && line.to == address_of(to)) return speed;
    }
    return {};
}

void MemoryNetwork::reset_between(const std::string& one, const std::string& other) {
    const std::size_t first = host_at(one, 0);
    const std::size_t second = host_at(other, 0);
    for (Connection* const connection : connections_)
        connection->break_between(first, second);
}

void MemoryNetwork::lose_host(std::size_t host, MachineLoss how) {
    if (host == 0) return;
    hosts_[host].fate = how == MachineLoss::silent ? Fate::silent : Fate::gone;
    if (how == MachineLoss::silent) return;
    for (Connection* const connection : connections_)
        connection->lose(host);
}

void MemoryNetwork::add(Connection& connection) {
    note_shared_use(thing_of(mix_64(kNumbering)));
    connection.serial = ++connections_made_;
    connection.place = connections_.size();
    connections_.push_back(&connection);
}

void MemoryNetwork::remove(const Connection& connection) noexcept {
    Connection* const last = connections_.back();
    connections_[connection.place] = last;
    last->place = connection.place;
    connections_.pop_back();
}

MemoryNetwork::~MemoryNetwork() {
    for (const auto& [place, listeners] : listeners_) {
        for (MemoryListener* const listener : listeners)
            listener->forget_network();
    }
    for (Connection* const connection : connections_)
        connection->forget_network();
}

// A listener whose backlog is full does not answer, and TCP asks again after a second, and so on;
// here the pauses do not grow, and after so many it gives up.
constexpr Duration kConnectAgainAfter = std::chrono::seconds(1);
constexpr int kConnectTries = 60;

}  // namespace

Result<ListenerCore*> listen_in_memory(Engine& engine, const Endpoint& endpoint,
                                       const ListenOptions& options) {
    TROUPE_TRY(const SocketAddress address, to_address(endpoint));
    MemoryNetwork& network = network_of(engine);
    const std::size_t host = network.host_of(engine);
    auto* const listener = new MemoryListener(network, host, to_endpoint(address), options);
    const Result<std::uint16_t> port = network.bind(host, network.port_of(endpoint), listener);
    if (!port) {
        delete listener;
        return error(Errc::already_registered, to_string(endpoint) + " is in use already");
    }
    listener->set_port(*port);
    return listener;
}

namespace {

/// Sleeps for a latency, or until the deadline when that is sooner.
Task<Result<void>> travel(MemoryNetwork* network, Duration latency, Duration deadline,
                          Endpoint endpoint) {
    const Duration left = deadline - network->now();
    co_await or_return(co_await sleep(std::min(latency, left)));
    if (left < latency) {
        co_return error(Errc::timed_out, "connecting to " + to_string(endpoint));
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<Stream>> connect_in_memory(Engine* engine, Endpoint endpoint, Duration timeout) {
    const SocketAddress address = co_await or_return(to_address(endpoint));
    auto* const network = &network_of(*engine);
    const std::size_t here = network->host_of(*engine);
    const std::uint16_t port = network->port_of(endpoint);
    const Duration now = network->now();
    const Duration deadline = timeout < kNever - now ? now + timeout : kNever;

    co_await or_return(co_await travel(network, network->latency(), deadline, endpoint));
    // Who is there may change while it is tried.
    std::size_t there = 0;
    MemoryListener* listener = nullptr;
    const auto look = [&] {
        there = network->host_at(endpoint.host, here);
        listener = network->is_lost(there) ? nullptr : network->find(there, port);
    };
    const auto is_unheard = [&] {
        look();
        return network->holds_any(port) || network->is_silent(there) ||
               network->is_cut(here, there) || network->is_cut(there, here) ||
               (listener != nullptr && !listener->has_room());
    };
    for (int tries = 1; is_unheard(); ++tries) {
        if (tries == kConnectTries) {
            co_return error(Errc::timed_out, "connecting to " + to_string(endpoint));
        }
        co_await or_return(co_await travel(network, kConnectAgainAfter, deadline, endpoint));
    }
    if (listener == nullptr) {
        co_await or_return(co_await travel(network, network->latency(), deadline, endpoint));
        co_return error(Errc::unreachable,
                        "connecting to " + to_string(endpoint) + ": nobody listens there");
    }
    Endpoint from = Endpoint::unix_socket("");
    if (!endpoint.is_unix()) {
        from = Endpoint(here == there ? "127.0.0.1" : network->address_of(here),
                        network->next_client_port());
    }
    auto* const connection =
        new Connection(*network, End{std::move(from), here}, End{to_endpoint(address), there});
    Stream stream(new MemoryStream(*connection, 0));
    listener->add(new MemoryStream(*connection, 1));
    co_await or_return(co_await travel(network, network->latency(), deadline, endpoint));
    co_return stream;
}

}  // namespace troupe::io_internal

namespace troupe {

void set_network_conditions(Engine& engine, const NetworkConditions& conditions) {
    TROUPE_ASSERT(engine.deterministic(),
                  "only the network of a deterministic engine can be told what it is like");
    TROUPE_ASSERT(conditions.buffer_bytes != 0 && conditions.latency_min >= Duration::zero(),
                  "a network needs a buffer, and nothing arrives before it is sent");
    io_internal::network_of(engine).conditions() = conditions;
}

namespace {

template <class Act>
void for_each_side(Engine& engine, NetworkWay way, Act act) {
    TROUPE_ASSERT(engine.deterministic(),
                  "only the network of a deterministic engine can be partitioned");
    auto& network = io_internal::network_of(engine);
    if (way != NetworkWay::to_client) act(network, 0U);
    if (way != NetworkWay::to_server) act(network, 1U);
}

}  // namespace

void hold_network(Engine& engine, std::uint16_t port, NetworkWay way) {
    for_each_side(engine, way, [port](io_internal::MemoryNetwork& network, unsigned side) {
        network.hold(port, side);
    });
}

const NetworkConditions& io_internal::network_conditions(Engine& engine) {
    return network_of(engine).conditions();
}

void set_machine_address(Engine& engine, std::string address) {
    io_internal::network_of(engine).add_host(engine, std::move(address));
}

void lose_machine(Engine& engine, MachineLoss how) {
    auto& network = io_internal::network_of(engine);
    network.lose_host(network.host_of(engine), how);
}

void hold_between(Engine& engine, const std::string& from, const std::string& to) {
    io_internal::network_of(engine).cut(from, to);
}

void release_between(Engine& engine, const std::string& from, const std::string& to) {
    io_internal::network_of(engine).mend(from, to);
}

void slow_between(Engine& engine, const std::string& from, const std::string& to,
                  const LineSpeed& speed) {
    TROUPE_ASSERT(speed.delay >= Duration::zero(), "nothing arrives before it is sent");
    io_internal::network_of(engine).slow(from, to, speed);
}

void reset_between(Engine& engine, const std::string& one, const std::string& other) {
    io_internal::network_of(engine).reset_between(one, other);
}

void release_network(Engine& engine, std::uint16_t port, NetworkWay way) {
    for_each_side(engine, way, [port](io_internal::MemoryNetwork& network, unsigned side) {
        network.release(port, side);
    });
}

}  // namespace troupe

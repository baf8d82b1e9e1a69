#pragma once

/// One nemesis script, and a small service that it is let loose on: what it acknowledges, it has.
/// Used by tests on the simulated network, and by a soak over real sockets.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/actor_timer.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/sim/faults.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::sim_internal {

// ---- the script ---------------------------------------------------------------------------------

/// One fault of one line at a time, for a while; then all is well for a while, or not.
inline Task<Result<void>> nemesis(sim::Faults& faults, int rounds) {
    using std::chrono::milliseconds;
    for (int round = 0; round < rounds; ++round) {
        const std::uint64_t chosen = faults.choose(faults.lines().size(), "whose line");
        const sim::Line line = faults.lines()[chosen];
        switch (faults.choose(7, "which fault of the network")) {
            case 1:
                co_await or_return(faults.cut(line.client, line.server));
                break;
            case 2:
                co_await or_return(faults.cut(line.server, line.client));
                break;
            case 3:
                co_await or_return(faults.partition(line.client, line.server));
                break;
            case 4: {
                const LineSpeed there{.delay = milliseconds(70)};
                const LineSpeed back{.delay = milliseconds(50)};
                co_await or_return(faults.slow(line.client, line.server, there));
                co_await or_return(faults.slow(line.server, line.client, back));
                break;
            }
            case 5: {
                const LineSpeed thin{.bytes_per_second = 200};
                co_await or_return(faults.slow(line.client, line.server, thin));
                break;
            }
            case 6:
                co_await or_return(faults.reset(line.client, line.server));
                break;
            default:
                break;
        }
        const auto lasts = static_cast<std::int64_t>(faults.choose(6, "how long it lasts"));
        co_await or_return(co_await sleep(milliseconds(20 + 100 * lasts)));
        if (faults.choose(3, "reset after it") == 2) {
            co_await or_return(faults.reset(line.client, line.server));
        }
        if (faults.choose(3, "the next one on top") != 2) faults.heal();
        co_await or_return(co_await sleep(milliseconds(100)));
    }
    faults.heal();
    co_return Result<void>();
}

// ---- the service --------------------------------------------------------------------------------

/// Reads up to the end of a line, which it takes away. Empty: there is none.
inline Task<Result<std::string>> read_line(Stream* stream, std::string* rest, Duration patience) {
    for (;;) {
        if (const std::size_t end = rest->find('\n'); end != std::string::npos) {
            std::string line = rest->substr(0, end);
            rest->erase(0, end + 1);
            co_return line;
        }
        std::array<char, 512> buffer{};
        const Result<std::size_t> got =
            co_await stream->read_some(buffer, Interruptible::yes).within(patience);
        if (!got) co_return std::unexpected(got.error());
        if (*got == 0) co_return error(Errc::closed, "the other end has finished");
        rest->append(buffer.data(), *got);
    }
}

/// What was entered, and how often.
class Ledger final : public Actor {
public:
    void enter(std::string entry) { ++entries_[std::move(entry)]; }
    std::map<std::string, int> entries() const { return entries_; }

private:
    std::map<std::string, int> entries_;
};

/// Enters each line into the ledger, and says it back.
class LedgerSession final : public Actor {
public:
    LedgerSession(Stream stream, Ref<Ledger> ledger)
        : stream_(std::move(stream)), ledger_(ledger) {}

    Task<void> serve() {
        std::string rest;
        for (;;) {
            Result<std::string> line = co_await read_line(&stream_, &rest, std::chrono::seconds(3));
            if (!line) break;
            const Result<void> entered = co_await ledger_.ask<&Ledger::enter>(*line);
            if (!entered) break;
            const std::string answer = *line + "\n";
            const Result<void> written = co_await stream_.write_all(answer, Interruptible::yes)
                                             .within(std::chrono::seconds(3));
            if (!written) break;
        }
        stream_.close();
        self(this).stop();
    }

private:
    Stream stream_;
    Ref<Ledger> ledger_;
};

class LedgerServer final : public Actor {
public:
    LedgerServer(Listener listener, Ref<Ledger> ledger)
        : listener_(std::move(listener)), ledger_(ledger) {}

    Task<void> serve() {
        for (;;) {
            Result<Stream> stream = co_await listener_.accept();
            if (!stream) co_return;
            spawn<LedgerSession>(std::move(*stream), ledger_).tell<&LedgerSession::serve>();
        }
    }

private:
    Listener listener_;
    Ref<Ledger> ledger_;
};

/// What a client has seen.
struct Seen {
    std::vector<std::string> acknowledged;
    std::uint64_t asked = 0;
    std::uint64_t late = 0;     // no answer in time
    std::uint64_t broken = 0;   // a connection that was reset or ended
    std::uint64_t refused = 0;  // no connection came about
    std::uint64_t connected = 0;
};

/// Enters one line after the other, each until it is acknowledged.
class LedgerClient final : public Actor {
public:
    LedgerClient(std::string name, Endpoint server) : name_(std::move(name)), server_(server) {}

    const Seen& seen() const { return seen_; }
    void finish() { finished_ = true; }

private:
    Task<Result<void>> on_start() override {
        after<&LedgerClient::enter>(std::chrono::milliseconds(10));
        return {};
    }

    Task<void> enter() {
        if (finished_) co_return;
        ++seen_.asked;
        const std::string entry = name_ + " " + std::to_string(seen_.acknowledged.size());
        Result<void> done = co_await try_to_enter(entry);
        if (done) {
            seen_.acknowledged.push_back(entry);
        } else {
            stream_.close();
        }
        after<&LedgerClient::enter>(std::chrono::milliseconds(done ? 5 : 50));
    }

    Task<Result<void>> try_to_enter(std::string entry) {
        constexpr Duration kPatience = std::chrono::milliseconds(300);
        if (!stream_.is_open()) {
            rest_.clear();
            Result<Stream> stream = co_await connect(system().engine(), server_, kPatience);
            if (!stream) {
                ++seen_.refused;
                co_return std::unexpected(stream.error());
            }
            stream_ = std::move(*stream);
            ++seen_.connected;
        }
        const std::string line = entry + "\n";
        Result<void> written =
            co_await stream_.write_all(line, Interruptible::yes).within(kPatience);
        if (!written) co_return count(std::move(written).error());
        Result<std::string> answer = co_await read_line(&stream_, &rest_, kPatience);
        if (!answer) co_return count(std::move(answer).error());
        if (*answer != entry) co_return error(Errc::failed, "it has answered " + *answer);
        co_return Result<void>();
    }

    std::unexpected<Error> count(Error why) {
        ++(why == Errc::timed_out ? seen_.late : seen_.broken);
        return std::unexpected(std::move(why));
    }

    const std::string name_;
    const Endpoint server_;
    Stream stream_;
    std::string rest_;
    Seen seen_;
    bool finished_ = false;
};

/// What is missing in the ledger of what was acknowledged; empty: nothing.
inline std::string missing_of(const Seen& seen, const std::map<std::string, int>& entries) {
    for (const std::string& entry : seen.acknowledged) {
        if (!entries.contains(entry)) return entry;
    }
    return {};
}

}  // namespace troupe::sim_internal

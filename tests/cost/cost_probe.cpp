// Does one thing N times, for tests/cost/cost_test.py to count the instructions of:
// cost_probe tell|send|ask|spawn|timer|flood N
//
// All but flood run on the deterministic engine. There each turn is one message, so it does not see
// what a message to a busy actor costs: flood sends a hundred of them on threads, with one worker.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/scheduler/choice.hpp>

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Ref;
using troupe::System;
using troupe::Task;

class Server : public Actor {
public:
    void add(long n) { sum_ += n; }
    long sum() const { return sum_; }
    void leave() { self(this).stop(); }

private:
    long sum_ = 0;
};

Task<long> tell(System system, long n) {
    auto server = system.spawn<Server>();
    for (long i = 0; i < n; ++i) {
        server.tell<&Server::add>(1);
        if (i % 500 != 499) continue;
        // The mailbox holds 1000: let it run empty. Two asks in a thousand hardly show.
        auto so_far = co_await server.ask<&Server::sum>();
        if (!so_far) co_return -1;
    }
    auto sum = co_await server.ask<&Server::sum>();
    co_return sum ? *sum : -1;
}

Task<long> send(System system, long n) {
    auto server = system.spawn<Server>();
    for (long i = 0; i < n; ++i)
        troupe::ignore(co_await server.send<&Server::add>(1), "the sum tells");
    auto sum = co_await server.ask<&Server::sum>();
    co_return sum ? *sum : -1;
}

Task<long> ask(System system, long n) {
    auto server = system.spawn<Server>();
    long answers = 0;
    for (long i = 0; i < n; ++i) {
        auto sum = co_await server.ask<&Server::sum>();
        if (sum) ++answers;
    }
    co_return answers;
}

Task<long> spawn(System system, long n) {
    long ended = 0;
    for (long i = 0; i < n; ++i) {
        auto server = system.spawn<Server>();
        auto left = co_await server.ask<&Server::leave>();
        if (left) ++ended;
    }
    co_return ended;
}

Task<long> timer(System, long n) {
    long slept = 0;
    for (long i = 0; i < n; ++i) {
        auto woke = co_await troupe::sleep(1ms);
        if (woke) ++slept;
    }
    co_return slept;
}

Task<long> flood(System system, long n) {
    constexpr long kMessages = 100;
    const long sum = co_await send(system, n * kMessages);
    co_return sum / kMessages;
}

long run(troupe::OwnedSystem& system, Task<long> (*operation)(System, long), long n) {
    return system->block_on(operation(*system, n));
}

}  // namespace

/// The clock of this program, in place of the C library's: it goes as slowly as callgrind does, so
/// that what is done by the clock is done as often as without it.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    constexpr long long kSlowness = 60;
    const long failed = ::syscall(SYS_clock_gettime, clock, time);
    if (failed != 0 || (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)) {
        return static_cast<int>(failed);
    }
    const long long now = (time->tv_sec * 1'000'000'000LL + time->tv_nsec) / kSlowness;
    *time = {.tv_sec = static_cast<time_t>(now / 1'000'000'000),
             .tv_nsec = static_cast<long>(now % 1'000'000'000)};
    return 0;
}

int main(int argc, char** argv) {
    const std::string_view what = argc == 3 ? argv[1] : "";
    const long n = argc == 3 ? std::atol(argv[2]) : 0;
    Task<long> (*operation)(System, long) = what == "tell"    ? &tell
                                            : what == "send"  ? &send
                                            : what == "ask"   ? &ask
                                            : what == "spawn" ? &spawn
                                            : what == "timer" ? &timer
                                            : what == "flood" ? &flood
                                                              : nullptr;
    if (operation == nullptr || n <= 0) {
        std::fputs("usage: cost_probe tell|send|ask|spawn|timer|flood N\n", stderr);
        return 2;
    }
    if (operation == &flood) {
        troupe::ThreadedOptions options;
        options.workers = 1;
        troupe::OwnedSystem threads(troupe::make_threaded_engine(options));
        return run(threads, operation, n) == n ? 0 : 1;
    }
    troupe::RandomChooser chooser(1);
    troupe::OwnedSystem system(troupe::make_deterministic_engine(chooser));
    return run(system, operation, n) == n ? 0 : 1;
}

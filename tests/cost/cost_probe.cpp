// Does one thing N times on the deterministic engine, for tests/cost/cost_test.py to count the
// instructions of: cost_probe tell|send|ask|spawn|timer N

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/scheduler/choice.hpp>

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

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc == 3 ? argv[1] : "";
    const long n = argc == 3 ? std::atol(argv[2]) : 0;
    Task<long> (*operation)(System, long) = what == "tell"    ? &tell
                                            : what == "send"  ? &send
                                            : what == "ask"   ? &ask
                                            : what == "spawn" ? &spawn
                                            : what == "timer" ? &timer
                                                              : nullptr;
    if (operation == nullptr || n <= 0) {
        std::fputs("usage: cost_probe tell|send|ask|spawn|timer N\n", stderr);
        return 2;
    }
    troupe::RandomChooser chooser(1);
    troupe::OwnedSystem system(troupe::make_deterministic_engine(chooser));
    return system->block_on(operation(*system, n)) == n ? 0 : 1;
}

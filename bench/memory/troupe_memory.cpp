// What things weigh: troupe_memory [N] makes N of each (200,000) and prints the growth of the
// resident set, divided by N. Each row runs in a process of its own, so that none finds the memory
// that another has left.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/internal/test_memory.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::OwnedSystem;
using troupe::Ref;
using troupe::Task;
using troupe::base_internal::resident_bytes;

/// Answers nothing until the program ends.
class Silent : public Actor {
public:
    Task<int> ask_me() {
        troupe::ignore(co_await troupe::sleep(24h), "until the system ends");
        co_return 0;
    }
};

class Member : public Actor {
public:
    explicit Member(Ref<Silent> silent) : silent_(silent) {}
    void touch() {}
    Task<> wait_for_answer() {
        auto answer = silent_.ask<&Silent::ask_me>().within(Duration::max());
        troupe::ignore(co_await std::move(answer), "none comes");
    }
    Task<> wait_for_time() { troupe::ignore(co_await troupe::sleep(24h), "until the end"); }

private:
    Ref<Silent> silent_;
};

class Watcher : public Actor {
public:
    void watch(Ref<Member> member) { monitor<&Watcher::down>(member); }
    void touch() {}

private:
    void down(troupe::Down) {}
};

class Box : public Actor {
public:
    Task<> block() { troupe::ignore(co_await troupe::sleep(24h), "until the end"); }
    void take(std::int64_t) {}
};

struct Population {
    OwnedSystem system;
    Ref<Silent> silent;
    std::vector<Ref<Member>> members;

    explicit Population(std::size_t n) : silent(system->spawn<Silent>()) {
        members.reserve(n);
        for (std::size_t i = 0; i < n; ++i)
            members.push_back(system->spawn<Member>(silent));
        settle();
    }
    /// Each has handled what it was sent before.
    void settle() {
        if (!members.empty()) {
            troupe::ignore(system->block_on(members.back().ask<&Member::touch>().within(5s)),
                           "it may be waiting on purpose");
        }
        ::usleep(200'000);
    }
};

double idle_actor(std::size_t n) {
    OwnedSystem warm;
    const std::int64_t before = resident_bytes();
    const Population population(n);
    return static_cast<double>(resident_bytes() - before) -
           static_cast<double>(n * sizeof(Ref<Member>));
}

template <auto Method>
double beyond_idle(std::size_t n) {
    Population population(n);
    const std::int64_t before = resident_bytes();
    for (const Ref<Member>& member : population.members)
        member.tell<Method>();
    ::usleep(1'000'000);
    return static_cast<double>(resident_bytes() - before);
}

double monitor(std::size_t n) {
    Population population(n);
    auto watcher =
        population.system->spawn<Watcher>(troupe::options().mailbox(troupe::unbounded()));
    const std::int64_t before = resident_bytes();
    for (std::size_t i = 0; i < n; ++i) {
        watcher.tell<&Watcher::watch>(population.members[i]);
        // Few at a time: what waits in the mailbox is not what a monitor weighs.
        if (i % 1000 == 0) {
            troupe::ignore(population.system->block_on(watcher.ask<&Watcher::touch>()), "a pause");
        }
    }
    population.settle();
    return static_cast<double>(resident_bytes() - before);
}

double queued_message(std::size_t n) {
    constexpr std::size_t kInEach = 1000;
    OwnedSystem system;
    std::vector<Ref<Box>> boxes;
    for (std::size_t i = 0; i < n / kInEach; ++i) {
        boxes.push_back(system->spawn<Box>());
        boxes.back().tell<&Box::block>();
    }
    ::usleep(200'000);
    const std::int64_t before = resident_bytes();
    for (const Ref<Box>& box : boxes) {
        for (std::size_t i = 0; i + 1 < kInEach; ++i)
            box.tell<&Box::take>(1);
    }
    return static_cast<double>(resident_bytes() - before);
}

void print_row(const char* what, double (*measure)(std::size_t n), std::size_t n) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
        const double bytes = measure(n) / static_cast<double>(n);
        std::printf("%-42s %6.0f bytes\n", what, bytes);
        std::fflush(stdout);
        ::_exit(0);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) < 0 || status != 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
    print_row("an idle actor with 8 bytes of state", &idle_actor, n);
    print_row("a queued message with 8 bytes", &queued_message, n);
    print_row("a handler that waits for time", &beyond_idle<&Member::wait_for_time>, n);
    print_row("a handler that waits for an answer", &beyond_idle<&Member::wait_for_answer>, n);
    print_row("a monitor", &monitor, n);
}

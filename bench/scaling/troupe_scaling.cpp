// What more workers give: troupe_scaling [SECONDS] measures each row so long for each number of
// workers (1 second).

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using troupe::Actor;
using troupe::OwnedSystem;
using troupe::Ref;

// Set before the first message and when the time is up; every handler looks.
std::atomic<bool> g_go_on{false};

std::unique_ptr<troupe::Engine> with_workers(std::size_t workers) {
    return troupe::make_threaded_engine({.workers = workers});
}

void compute_for(Clock::duration time) {
    const Clock::time_point until = Clock::now() + time;
    while (Clock::now() < until) {
    }
}

/// Counts what it handles; read once everything is quiet.
class Counting : public Actor {
public:
    explicit Counting(std::uint64_t* handled) : handled_(handled) {}

protected:
    bool count() {
        ++*handled_;
        return g_go_on.load(std::memory_order_relaxed);
    }

private:
    std::uint64_t* handled_;
};

class Player : public Counting {
public:
    using Counting::Counting;
    void ball(Ref<Player> from) {
        if (count()) from.tell<&Player::ball>(self(this));
    }
};

class Busy : public Counting {
public:
    using Counting::Counting;
    void work(Clock::duration time) {
        compute_for(time);
        if (count()) self(this).tell<&Busy::work>(time);
    }
};

struct Rate {
    OwnedSystem system;
    std::vector<std::uint64_t> handled;

    Rate(std::size_t workers, std::size_t actors)
        : system(with_workers(workers)), handled(actors * 8) {
        g_go_on.store(true);
    }
    /// Each on a cache line of its own.
    std::uint64_t* counter(std::size_t actor) { return &handled[actor * 8]; }

    /// Messages per second, once they have been set going.
    double measure(double seconds) {
        const Clock::time_point start = Clock::now();
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
        g_go_on.store(false);
        const std::chrono::duration<double> took = Clock::now() - start;
        system.stop();
        std::uint64_t all = 0;
        for (std::size_t i = 0; i < handled.size(); i += 8)
            all += handled[i];
        return static_cast<double>(all) / took.count();
    }
};

double pairs(std::size_t workers, double seconds) {
    constexpr std::size_t kPairs = 1000;
    Rate rate(workers, 2 * kPairs);
    for (std::size_t i = 0; i < kPairs; ++i) {
        auto one = rate.system->spawn<Player>(rate.counter(2 * i));
        auto other = rate.system->spawn<Player>(rate.counter(2 * i + 1));
        one.tell<&Player::ball>(other);
    }
    return rate.measure(seconds);
}

double handlers(std::size_t workers, double seconds, Clock::duration time) {
    constexpr std::size_t kActors = 200;
    Rate rate(workers, kActors);
    for (std::size_t i = 0; i < kActors; ++i) {
        rate.system->spawn<Busy>(rate.counter(i)).tell<&Busy::work>(time);
    }
    return rate.measure(seconds);
}

/// When a message was sent, how long it waited, and whether it has arrived.
struct Wait {
    Clock::time_point sent;
    Clock::duration took{};
    troupe::Latch over;
};

class Sleeper : public Actor {
public:
    explicit Sleeper(Wait& wait) : wait_(wait) {}
    void wake() {
        wait_.took = Clock::now() - wait_.sent;
        wait_.over.open();
    }

private:
    Wait& wait_;
};

class Hog : public Actor {
public:
    explicit Hog(Wait& wait) : wait_(wait) {}
    void send_and_compute(Ref<Sleeper> sleeper) {
        wait_.sent = Clock::now();
        sleeper.tell<&Sleeper::wake>();
        compute_for(std::chrono::milliseconds(100));
    }

private:
    Wait& wait_;
};

std::vector<Clock::duration> behind_a_hog(std::size_t workers, int rounds) {
    OwnedSystem system(with_workers(workers));
    std::vector<Clock::duration> all;
    for (int i = 0; i < rounds; ++i) {
        Wait wait;
        auto sleeper = system->spawn<Sleeper>(wait);
        auto hog = system->spawn<Hog>(wait);
        hog.tell<&Hog::send_and_compute>(sleeper);
        wait.over.wait();
        all.push_back(wait.took);
        // Both are gone before what they refer to is.
        sleeper.stop();
        hog.stop();
        while (!system->actors().empty())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::ranges::sort(all);
    return all;
}

void print(const char* name, const std::vector<double>& rates) {
    std::printf("%-20s", name);
    for (const double rate : rates) {
        std::printf("%12.3f M/s (x%.2f)", rate / 1e6, rate / rates.front());
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
    if (seconds <= 0) {
        std::fprintf(stderr, "usage: troupe_scaling [SECONDS]\n");
        return 2;
    }
    const std::size_t most = std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::size_t> counts;
    for (std::size_t workers = 1; workers < most; workers *= 2)
        counts.push_back(workers);
    counts.push_back(most);

    std::printf("%-20s", "workers");
    for (const std::size_t workers : counts)
        std::printf("%12zu            ", workers);
    std::printf("\n");
    std::vector<double> rates;
    rates.reserve(counts.size());
    for (const std::size_t workers : counts)
        rates.push_back(pairs(workers, seconds));
    print("pairs", rates);
    for (const int us : {1, 5, 20}) {
        rates.clear();
        for (const std::size_t workers : counts) {
            rates.push_back(handlers(workers, seconds, std::chrono::microseconds(us)));
        }
        print(("handlers of " + std::to_string(us) + " us").c_str(), rates);
    }
    for (const std::size_t workers : counts) {
        if (workers == 1) continue;
        const auto waits = behind_a_hog(workers, 20);
        const auto in_us = [](Clock::duration time) {
            return std::chrono::duration<double, std::micro>(time).count();
        };
        std::printf("behind 100 ms, %zu workers: median %.0f us, longest of %zu %.0f us\n", workers,
                    in_us(waits[waits.size() / 2]), waits.size(), in_us(waits.back()));
    }
    return 0;
}

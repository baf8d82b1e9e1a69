/// Runs for about a minute and prints what no unit test may depend on: what a million idle actors
/// weigh, whether a million that come and go leave anything behind, how long a hundred thousand
/// take to live and to answer once, and whether a flood of millions of messages leaves memory flat
/// under every policy of a full mailbox.
///
/// Usage: actor_soak [messages of each flood, 3000000]
/// It fails when an idle actor weighs more than 192 bytes or memory grows with what has passed.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/base/internal/test_memory.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using base_internal::resident_bytes;

constexpr int kActors = 1'000'000;
constexpr double kBytesPerActorMax = 192;
// What a flood may add: caches of threads and the queue itself, which holds some thousands at most.
constexpr double kGrowthMax = 16e6;

class Idler : public Actor {
public:
    void touch() { ++touched_; }

private:
    int touched_ = 0;
};

/// True when a million of them are as light as promised.
bool measure_idle() {
    OwnedSystem system;
    std::vector<Ref<Idler>> all(kActors);  // before we begin to measure
    const std::int64_t before = resident_bytes();
    for (auto& one : all) {
        one = system->spawn<Idler>();
        one.tell<&Idler::touch>();
    }
    while (!std::ranges::all_of(system->actors(),
                                [](const ActorInfo& actor) { return actor.handled == 1; }))
        ::usleep(100'000);
    const double each = static_cast<double>(resident_bytes() - before) / kActors;
    std::printf("idle: %d actors at %.0f bytes each\n", kActors, each);
    return each <= kBytesPerActorMax;
}

/// Spawns and stops one after the other, a hundred alive at a time.
class Breeder : public Actor {
public:
    Task<int> breed(int count) {
        for (int i = 0; i < count; ++i) {
            Ref<Idler> child = system().spawn<Idler>();
            child.tell<&Idler::touch>();
            child.stop();
            if (i % 100 == 0) co_await yield();
        }
        co_return count;
    }
};

bool measure_coming_and_going() {
    OwnedSystem system;
    auto breeder = system->spawn<Breeder>();
    const auto breed = [&](int count) {
        return system->block_on(breeder.ask<&Breeder::breed>(count).within(10min)).value_or(0);
    };
    breed(kActors / 10);  // the table and the pool reach their size
    const std::int64_t before = resident_bytes();
    const Duration began = monotonic_now();
    const int bred = breed(kActors);
    const Duration took = monotonic_now() - began;
    const auto growth = static_cast<double>(resident_bytes() - before);
    std::printf("spawn and exit: %d actors, %.0f ns each, memory grew by %.0f kB\n", bred,
                static_cast<double>(took.count()) / kActors, growth / 1e3);
    return bred == kActors && growth < kGrowthMax;
}

class Squarer : public Actor {
public:
    std::int64_t square(std::int64_t number) { return number * number; }
};

/// Many actors at once, each of which answers before all of them end.
class Crowd : public Actor {
public:
    Task<int> live(int count) {
        std::vector<Ref<Squarer>> all;
        for (int i = 0; i < count; ++i)
            all.push_back(system().spawn<Squarer>());
        int right = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const auto squared = co_await all[static_cast<std::size_t>(i)].ask<&Squarer::square>(i);
            right += squared && *squared == i * i ? 1 : 0;
        }
        for (const Ref<Squarer>& one : all)
            one.stop();
        co_return right;
    }
};

bool measure_a_crowd() {
    constexpr int kCrowd = 100'000;
    OwnedSystem system;
    auto crowd = system->spawn<Crowd>();
    const Duration began = monotonic_now();
    const int right = system->block_on(crowd.ask<&Crowd::live>(kCrowd).within(10min)).value_or(0);
    while (system->actors().size() > 1)
        std::this_thread::yield();
    std::printf("spawn, ask, check and exit: %d actors in %.3f s\n", right,
                static_cast<double>((monotonic_now() - began).count()) / 1e9);
    return right == kCrowd;
}

class Target : public Actor {
public:
    void take(int n, const std::string& text) { sum_ += n + static_cast<int>(text.size()); }
    void urgent(int n) { sum_ += n; }
    long sum() const { return sum_; }

private:
    long sum_ = 0;
};

constexpr const char* kText = "some text that is kept on the heap";

/// Sends and waits for room.
class Feeder : public Actor {
public:
    Task<int> feed(Ref<Target> target, int count) {
        int sent = 0;
        for (int i = 0; i < count; ++i)
            sent += co_await target.send<&Target::take>(i, kText) ? 1 : 0;
        co_return sent;
    }
};

using MakeMailbox = MailboxOptions (*)(System system);

/// Two threads send as fast as they can, or two actors as fast as there is room.
class Flood {
public:
    Flood(MakeMailbox make_mailbox, bool waits) : make_mailbox_(make_mailbox), waits_(waits) {}

    void run(int messages) {
        auto target = spawn_target();
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i)
            threads.emplace_back(
                [=, this] { waits_ ? feed(target, messages / 2) : tell(target, messages / 2); });
        for (auto& thread : threads)
            thread.join();
        target.stop();
    }
    std::uint64_t lost() { return system_->dead_letters().total(); }

private:
    Ref<Target> spawn_target() {
        return system_->spawn<Target>(options().mailbox(make_mailbox_(*system_)));
    }
    void tell(Ref<Target> to, int messages) {
        for (int i = 0; i < messages; ++i) {
            // A mailbox that fails its actor: the flood goes on with the next one.
            if (to.tell<&Target::take>(i, kText) == SendStatus::gone) to = spawn_target();
        }
        to.stop();
    }
    void feed(Ref<Target> to, int messages) {
        auto feeder = system_->spawn<Feeder>();
        ignore(system_->block_on(feeder.ask<&Feeder::feed>(to, messages).within(10min)),
               "measured by its effect");
        feeder.stop();
    }

    OwnedSystem system_;
    MakeMailbox make_mailbox_;
    bool waits_;
};

/// True when memory stays flat.
bool measure_flood(const char* policy, MakeMailbox make_mailbox, int messages, bool waits = false) {
    Flood flood(make_mailbox, waits);
    flood.run(messages / 10);  // the pool reaches its size
    const std::int64_t before = resident_bytes();
    const Duration began = monotonic_now();
    flood.run(messages);
    const Duration took = monotonic_now() - began;
    const auto growth = static_cast<double>(resident_bytes() - before);
    std::printf("flood, %-15s %d messages, %4.0f ns each, %8llu lost, %.1f MB before, %+.0f kB\n",
                policy, messages, static_cast<double>(took.count()) / messages,
                static_cast<unsigned long long>(flood.lost()), before / 1e6, growth / 1e3);
    return growth < kGrowthMax;
}

constexpr auto kThousandItems = [](int n, const std::string&) { return n % 1000; };

}  // namespace

int main(int argc, char** argv) {
    const auto messages = static_cast<int>(
        base_internal::count_argument(argc, argv, 1, "messages of each flood", 3'000'000));
    set_log_sink([](LogLevel, std::string_view) {});
    bool fine = measure_idle();  // first: nothing of the other parts is in the way
    fine = measure_coming_and_going() && fine;
    fine = measure_a_crowd() && fine;
    const auto flood = [&](const char* policy, MakeMailbox make, bool waits = false) {
        fine = measure_flood(policy, make, messages, waits) && fine;
    };
    flood("send waits", [](System) { return bounded(1000); }, true);
    flood("suspend", [](System) { return bounded(1000); });
    flood("reject", [](System) { return bounded(1000).reject(); });
    flood("drop_newest", [](System) { return bounded(1000).drop_newest(); });
    flood("drop_oldest", [](System) { return bounded(1000).drop_oldest(); });
    flood("fail_actor", [](System) { return bounded(1000).fail_actor(); });
    flood("redirect", [](System system) { return bounded(1000).redirect(system.spawn<Target>()); });
    flood("conflate", [](System) { return bounded(1000).conflate<&Target::take>(); });
    flood("conflate by key",
          [](System) { return bounded(1000).conflate<&Target::take>(kThousandItems); });
    flood("high_priority", [](System) { return bounded(1000).high_priority<&Target::urgent>(); });
    flood("byte budget", [](System) { return bounded(1000).bytes(64 * 1024).reject(); });
    set_log_sink({});
    std::printf("%s\n", fine ? "all within bounds" : "OUT OF BOUNDS");
    return fine ? 0 : 1;
}

// Goal: nothing is lost, doubled or touched after its end when many threads spawn, ask, stop and
// kill at random. Method: more workers than cores, threads from outside, fixed numbers of steps;
// the thread sanitizer and the counts at the end are the judges.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/random.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_threads;
using actor_internal::QuietLog;

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kThreads = 3;
constexpr std::size_t kTargets = 24;

class Target;

/// The actors of the moment; anybody may replace one.
class Board {
public:
    Ref<Target> get(std::size_t i) const {
        LockGuard lock(mutex_);
        return targets_[i];
    }
    void put(std::size_t i, Ref<Target> target) {
        LockGuard lock(mutex_);
        targets_[i] = target;
    }

    // Any thread counts.
    std::atomic<std::uint64_t> told{0};
    std::atomic<std::uint64_t> handled{0};
    std::atomic<std::uint64_t> mistaken{0};

private:
    mutable Mutex mutex_{LockRank::test_outer};
    std::vector<Ref<Target>> targets_ TROUPE_GUARDED_BY(mutex_) =
        std::vector<Ref<Target>>(kTargets);
};

class Target : public Actor {
public:
    Target(Board* board, std::uint64_t seed) : board_(board), random_(seed) {}

    /// `generation`: whom it is meant for.
    void quick(std::uint32_t generation) { check(generation); }
    Task<> slow(std::uint32_t generation) {
        co_await yield();
        check(generation);
    }
    void crash(std::uint32_t generation) {
        check(generation);
        throw std::runtime_error("on purpose");
    }
    Task<int> sum(int depth) {
        if (depth == 0) co_return 1;
        const auto next = board_->get(static_cast<std::size_t>(random_.below(kTargets)));
        const auto rest = co_await next.ask<&Target::sum>(depth - 1).within(20ms);
        co_return 1 + (rest ? *rest : 0);
    }
    Task<int> nap() {
        const auto slept =
            co_await sleep(Duration(static_cast<std::int64_t>(random_.below(200'000))));
        co_return slept ? 1 : 0;
    }
    void breed() { spawn<Target>(board_, random_.next()); }
    Task<int> away() {
        auto job = [] { return 5; };
        const auto done = co_await offload(job);
        co_return done ? *done : 0;
    }

private:
    void check(std::uint32_t generation) {
        if (self(this).pid().generation != generation) {
            board_->mistaken.fetch_add(1, std::memory_order_relaxed);
        }
        board_->handled.fetch_add(1, std::memory_order_relaxed);
    }
    Board* board_;
    Random random_;
};

template <class Step>
void run_threads(Step step) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i)
        threads.emplace_back([&step, i] { step(Random(i + 1)); });
    for (auto& thread : threads)
        thread.join();
}

TEST(Stress, AskStopKillAndSpawnFromEverywhere) {
    const QuietLog quiet;
    Board board;
    on_threads(kWorkers, [&](OwnedSystem& system) {
        run_threads([&](Random random) {
            for (int i = 0; i < 10'000; ++i) {
                const auto place = static_cast<std::size_t>(random.below(kTargets));
                const auto target = board.get(place);
                const std::uint32_t generation = target.pid().generation;
                switch (random.below(12)) {
                    case 0:
                    case 1:
                        board.put(place, system->spawn<Target>(options().mailbox(bounded(4)),
                                                               &board, random.next()));
                        break;
                    case 2:
                        target.stop(Stop::stop);
                        break;
                    case 3:
                        target.stop(Stop::kill);
                        break;
                    case 4:
                        target.stop(Stop::drain);
                        break;
                    case 5:
                        target.tell<&Target::crash>(generation);
                        break;
                    case 6:
                        target.tell<&Target::breed>();
                        break;
                    case 7:
                        target.tell<&Target::nap>();
                        break;
                    case 8:
                        target.tell<&Target::away>();
                        break;
                    case 9:
                        ignore(system->block_on(target.ask<&Target::sum>(4).within(5ms)), "chaos");
                        break;
                    case 10:
                        target.tell<&Target::sum>(3);
                        break;
                    default:
                        target.tell<&Target::quick>(generation);
                        break;
                }
            }
        });
    });
    EXPECT_EQ(board.mistaken.load(), 0U) << "a message has reached another actor than meant";
}

TEST(Stress, EveryMessageIsHandledOrADeadLetter) {
    const QuietLog quiet;
    Board board;
    on_threads(kWorkers, [&](OwnedSystem& system) {
        run_threads([&](Random random) {
            std::uint64_t told = 0;
            for (int i = 0; i < 100'000; ++i) {
                const auto place = static_cast<std::size_t>(random.below(kTargets));
                const auto target = board.get(place);
                const std::uint32_t generation = target.pid().generation;
                const std::uint64_t draw = random.below(40);
                if (target == Ref<Target>() || draw == 0) {
                    board.put(place, system->spawn<Target>(options().mailbox(bounded(8)), &board,
                                                           random.next()));
                } else if (draw <= 3) {
                    target.stop(static_cast<Stop>(draw - 1));
                } else {
                    ++told;
                    if (draw == 4) {
                        target.tell<&Target::crash>(generation);
                    } else if (draw < 20) {
                        target.tell<&Target::slow>(generation);
                    } else {
                        target.tell<&Target::quick>(generation);
                    }
                }
            }
            board.told.fetch_add(told, std::memory_order_relaxed);
        });
        system.stop();
        const DeadLetters letters = system->dead_letters();
        EXPECT_EQ(board.told.load(), board.handled.load() + letters.total());
        EXPECT_GT(board.handled.load(), 1000U);
        EXPECT_GT(letters[DeadLetterReason::gone], 0U);
    });
    EXPECT_EQ(board.mistaken.load(), 0U) << "a message has reached another actor than meant";
}

/// Works for a moment, so that its queue grows old and is robbed, and hands the work on.
class Busy : public Actor {
public:
    explicit Busy(std::vector<Ref<Busy>>* all) : all_(all) {}
    void work(int hops, std::uint64_t seed) {
        Random random(seed);
        std::uint64_t sum = 0;
        for (int i = 0; i < 2000; ++i)
            sum ^= random.next();
        if (hops > 0) {
            (*all_)[static_cast<std::size_t>(sum % all_->size())].tell<&Busy::work>(hops - 1, sum);
        }
        ++worked_;
    }
    int worked() const { return worked_; }

private:
    std::vector<Ref<Busy>>* all_;
    int worked_ = 0;
};

TEST(Stress, StolenActorsAreKilledLikeAnyOther) {
    std::vector<Ref<Busy>> all(64);
    on_threads(kWorkers, [&](OwnedSystem& system) {
        for (auto& busy : all)
            busy = system->spawn<Busy>(&all);
        for (std::size_t i = 0; i < 200; ++i)
            all[i % all.size()].tell<&Busy::work>(50, i);
        for (std::size_t i = 0; i < 40; ++i) {
            // Between two questions the queues have moved on.
            ignore(system->block_on(all[63 - i % 16].ask<&Busy::worked>()), "it may be gone");
            all[i].stop(i % 2 == 0 ? Stop::kill : Stop::stop);
        }
        for (std::size_t i = 0; i < 40; ++i)
            actor_internal::wait_for_end(system, all[i]);
        for (std::size_t i = 40; i < all.size(); ++i)
            EXPECT_TRUE(system->block_on(all[i].ask<&Busy::worked>()).has_value());
        const EngineStats stats = system->engine().stats();
        std::printf("turns %llu, stolen %llu\n", static_cast<unsigned long long>(stats.turns),
                    static_cast<unsigned long long>(stats.steals));
    });
}

}  // namespace
}  // namespace troupe

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

/// Answers after a while.
class Backend : public Actor {
public:
    Task<int> slow(int n, Duration after) {
        const Result<void> slept = co_await sleep(after);
        co_return slept ? n : -1;
    }
};

using SharedGate = std::shared_ptr<Gate>;

/// Asks others while it handles the next message. Counts how many handlers it has at work.
class Front : public Actor {
public:
    explicit Front(Ref<Backend> backend = {}) : backend_(backend) {}

    Task<Result<int>> ask_it(int n, Duration after) {
        const AtWorkNow now(*this);
        co_return co_await backend_.ask<&Backend::slow>(n, after);
    }
    Task<Result<int>> impatient(int n, Duration after, Duration timeout) {
        const AtWorkNow now(*this);
        co_return co_await backend_.ask<&Backend::slow>(n, after).within(timeout);
    }
    /// 1 when it slept to the end.
    Task<int> nap(Duration time) {
        const AtWorkNow now(*this);
        const Result<void> slept = co_await sleep(time);
        co_return slept ? 1 : 0;
    }
    Task<int> busy(int steps) {
        const AtWorkNow now(*this);
        for (int i = 0; i < steps; ++i)
            co_await yield();
        co_return steps;
    }
    Task<int> wait_at(SharedGate gate) {
        const AtWorkNow now(*this);
        co_await gate->pass();
        co_return 1;
    }
    Task<void> fail_after(SharedGate gate) {
        co_await gate->pass();
        throw std::runtime_error("failed after a wait");
    }
    int fail() { throw std::runtime_error("failed"); }
    int quick(int n) const { return n; }
    int most() const { return most_; }

private:
    class AtWorkNow {
    public:
        explicit AtWorkNow(Front& front) : front_(front) {
            front_.most_ = std::max(front_.most_, ++front_.at_work_);
        }
        ~AtWorkNow() { --front_.at_work_; }
        AtWorkNow(const AtWorkNow&) = delete;
        AtWorkNow& operator=(const AtWorkNow&) = delete;

    private:
        Front& front_;
    };

    Ref<Backend> backend_;
    int at_work_ = 0;
    int most_ = 0;
};

struct Pair {
    explicit Pair(OwnedSystem& system, std::size_t handlers_max = kHandlersDefault)
        : backend(system->spawn<Backend>(options().interleaving())),
          front(system->spawn<Front>(options().interleaving(handlers_max), backend)) {}
    Ref<Backend> backend;
    Ref<Front> front;
};

using Answers = std::vector<Result<int>>;

/// Asks all at once, and does something meanwhile.
Task<Answers> answers_to(std::vector<Ask<int>> asks, std::function<Task<int>()> meanwhile = {}) {
    auto group = task_group<int>(all_settled());
    for (Ask<int>& ask : asks)
        group.add(std::move(ask));
    if (meanwhile) group.add(meanwhile);
    co_return co_await group.run();
}

std::vector<Ask<int>> asks_of(Ref<Front> front, int count, Duration step) {
    std::vector<Ask<int>> asks;
    asks.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        asks.push_back(front.ask<&Front::ask_it>(i, step * (count - i)));
    return asks;
}

Errc code_of(const Error& error) {
    for (const Errc code : {Errc::timed_out, Errc::actor_gone, Errc::cancelled}) {
        if (error == code) return code;
    }
    return Errc::failed;
}

/// "1 timed_out 3" and the like.
std::string shown(const Answers& answers) {
    std::string text;
    for (const Result<int>& answer : answers) {
        if (!text.empty()) text += " ";
        text += answer ? std::to_string(*answer) : std::string(name(code_of(answer.error())));
    }
    return text;
}

template <class... A>
std::vector<Ask<int>> list(A&&... asks) {
    std::vector<Ask<int>> all;
    all.reserve(sizeof...(asks));
    (all.push_back(std::forward<A>(asks)), ...);
    return all;
}

TEST(Interleaving, HandlesOthersWhileOneWaits) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate gate = std::make_shared<Gate>();
        const auto front = system->spawn<Front>(options().interleaving());
        front.tell<&Front::wait_at>(gate);
        gate->wait_until_reached(system);
        EXPECT_EQ(system->block_on(front.ask<&Front::quick>(7)), 7);
        gate->open();
        EXPECT_EQ(system->block_on(front.ask<&Front::most>()), 1);
    });
}

TEST(Interleaving, ResumesEachWithItsOwnAnswerInWhateverOrderTheyCome) {
    on_both_engines([](OwnedSystem& system) {
        const Pair pair(system);
        // The first asked is answered last.
        const Answers answers = system->block_on(answers_to(asks_of(pair.front, 6, 100us)));
        EXPECT_EQ(shown(answers), "0 1 2 3 4 5");
    });
}

TEST(Interleaving, TakesAsLongAsTheLongestAndNotAsAllTogether) {
    on_seeds(20, [](OwnedSystem& system) {
        const Pair pair(system);
        EXPECT_EQ(system->block_on(answers_to(asks_of(pair.front, 10, 10ms))).size(), 10U);
        EXPECT_EQ(system->now(), 100ms);
        EXPECT_EQ(system->block_on(pair.front.ask<&Front::most>()), 10);
    });
}

TEST(Interleaving, HasNoMoreHandlersAtWorkThanItMay) {
    on_both_engines([](OwnedSystem& system) {
        const Pair pair(system, 3);
        const Answers answers = system->block_on(answers_to(asks_of(pair.front, 8, 100us)));
        EXPECT_EQ(shown(answers), "0 1 2 3 4 5 6 7");
        EXPECT_LE(*system->block_on(pair.front.ask<&Front::most>()), 3);
    });
}

TEST(Interleaving, EndsEachWaitAtItsOwnDeadline) {
    on_seeds(20, [](OwnedSystem& system) {
        const Pair pair(system);
        const Answers answers = system->block_on(
            answers_to(list(pair.front.ask<&Front::impatient>(1, Duration(1s), Duration(50ms)),
                            pair.front.ask<&Front::impatient>(2, Duration(1s), Duration(80ms)),
                            pair.front.ask<&Front::impatient>(3, Duration(60ms), Duration(70ms)))));
        EXPECT_EQ(shown(answers), "timed_out timed_out 3");
        EXPECT_EQ(system->now(), 80ms);
    });
}

TEST(Interleaving, LetsOthersGoWhileSeveralYield) {
    on_both_engines([](OwnedSystem& system) {
        const auto front = system->spawn<Front>(options().interleaving());
        const Answers answers = system->block_on(answers_to(list(
            front.ask<&Front::busy>(5), front.ask<&Front::busy>(4), front.ask<&Front::quick>(3))));
        EXPECT_EQ(shown(answers), "5 4 3");
    });
}

/// Calls back whoever asks it.
class Caller : public Actor {
public:
    Task<Result<int>> call_back(Ref<Caller> whom, int depth) {
        if (depth == 0) co_return 0;
        const Result<int> deeper = co_await whom.ask<&Caller::call_back>(self(this), depth - 1);
        if (!deeper) co_return std::unexpected(deeper.error());
        co_return *deeper + 1;
    }
};

TEST(Interleaving, LetsCallsComeBackAsOftenAsItHasHandlers) {
    on_both_engines([](OwnedSystem& system) {
        const auto one = system->spawn<Caller>(options().interleaving(10));
        const auto other = system->spawn<Caller>(options().interleaving(10));
        EXPECT_EQ(system->block_on(one.ask<&Caller::call_back>(other, 12)), 12);
    });
}

TEST(Interleaving, WaitsForAllItsHandlersWhenItStops) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate gate = std::make_shared<Gate>();
        const auto front = system->spawn<Front>(options().interleaving());
        EndWatch watch(system, front);
        const Answers answers = system->block_on(
            answers_to(list(front.ask<&Front::wait_at>(gate), front.ask<&Front::wait_at>(gate),
                            front.ask<&Front::wait_at>(gate)),
                       [gate, front]() -> Task<int> {
                           while (gate->waiting() != 3)
                               co_await yield();
                           front.stop();
                           gate->open();
                           co_return 0;
                       }));
        EXPECT_EQ(shown(answers), "1 1 1 0");
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
    });
}

TEST(Interleaving, AStopEndsTheSleepsOfAll) {
    on_both_engines([](OwnedSystem& system) {
        const auto front = system->spawn<Front>(options().interleaving());
        EndWatch watch(system, front);
        const Answers answers = system->block_on(answers_to(
            list(front.ask<&Front::nap>(Duration(1h)), front.ask<&Front::nap>(Duration(1h))),
            [front]() -> Task<int> {
                Result<int> most = 0;
                while (most && *most != 2) {
                    most = co_await front.ask<&Front::most>();
                    co_await yield();
                }
                front.stop();
                co_return 2;
            }));
        EXPECT_EQ(shown(answers), "0 0 2");
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
    });
}

TEST(Interleaving, AKillLeavesNothingOfThem) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate gate = std::make_shared<Gate>();
        const auto front = system->spawn<Front>(options().interleaving(2));
        EndWatch watch(system, front);
        for (int i = 0; i < 5; ++i)  // three of them wait for a place
            front.tell<&Front::wait_at>(gate);
        gate->wait_until_reached(system);
        front.stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
        EXPECT_EQ(gate->waiting(), 0U);
    });
}

TEST(Interleaving, AFailureOfOneEndsTheOthersAndWhoeverAskedHears) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate gate = std::make_shared<Gate>();
        const auto front = system->spawn<Front>(options().interleaving());
        const Answers answers = system->block_on(
            answers_to(list(front.ask<&Front::wait_at>(gate)), [gate, front]() -> Task<int> {
                while (gate->waiting() != 1)
                    co_await yield();
                const Result<int> failed = co_await front.ask<&Front::fail>();
                EXPECT_FALSE(failed);
                co_return 0;
            }));
        EXPECT_EQ(shown(answers), "actor_gone 0");
    });
}

TEST(Interleaving, GoesOnInItsNextLifeWithWhatHadWaitedForAPlace) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate never = std::make_shared<Gate>();
        const SharedGate fails = std::make_shared<Gate>();
        Supervisor tree = supervisor("shop");
        const auto child = tree.child<Front>("front", options().interleaving(2));
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_TRUE(running);
        const Ref<Front> front = running->ref(child);
        front.tell<&Front::wait_at>(never);
        front.tell<&Front::fail_after>(fails);
        never->wait_until_reached(system);
        fails->wait_until_reached(system);
        const Answers answers =
            system->block_on(answers_to(list(front.ask<&Front::quick>(9)), [fails]() -> Task<int> {
                fails->open();
                co_return 0;
            }));
        EXPECT_EQ(shown(answers), "9 0");
        EXPECT_EQ(never->waiting(), 0U);
    });
}

TEST(Interleaving, CancelsTheHandlerWhoseAskerHasGivenUpAndNoOther) {
    on_seeds(50, [](OwnedSystem& system) {
        const auto front = system->spawn<Front>(options().interleaving());
        const Answers answers = system->block_on(
            answers_to(list(front.ask<&Front::nap>(Duration(100ms))), [front]() -> Task<int> {
                auto ask_it = [front]() -> Task<Result<int>> {
                    co_return co_await front.ask<&Front::nap>(Duration(1h));
                };
                const auto given_up = co_await within(10ms, std::move(ask_it));
                co_return given_up ? 1 : 0;
            }));
        EXPECT_EQ(shown(answers), "1 0");
        EXPECT_EQ(system->now(), 100ms);
        // The one that was given up has ended as well.
        EXPECT_EQ(system->block_on(front.ask<&Front::quick>(1)), 1);
        const auto info = system->info(front.pid());
        ASSERT_TRUE(info);
        EXPECT_EQ(info->in_hand, 0U);
    });
}

TEST(Interleaving, EndsOnlyTheHandlerThatTookTooLong) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto front =
            system->spawn<Front>(options().interleaving().handler_timeout(50ms, OnTimeout::cancel));
        const Answers answers = system->block_on(answers_to(
            list(front.ask<&Front::nap>(Duration(40ms)), front.ask<&Front::nap>(Duration(1h)))));
        EXPECT_EQ(shown(answers), "1 0");
        EXPECT_EQ(system->now(), 50ms);
    });
}

/// Ticks, and takes longer for it than the time between two.
class Ticker : public Actor {
public:
    void run(SharedGate done) {
        done_ = std::move(done);
        every<&Ticker::tick>(10ms);
    }
    int overlaps() const { return overlaps_; }

private:
    Task<void> tick() {
        if (ticking_) ++overlaps_;
        ticking_ = true;
        const Result<void> slept = co_await sleep(25ms);
        ticking_ = false;
        if (slept && ++ticks_ == 5) done_->open();
    }
    SharedGate done_;
    bool ticking_ = false;
    int overlaps_ = 0;
    int ticks_ = 0;
};

TEST(Interleaving, HandlesOneTickOfItsTimersAtATime) {
    on_seeds(20, [](OwnedSystem& system) {
        const SharedGate done = std::make_shared<Gate>();
        const auto ticker = system->spawn<Ticker>(options().interleaving());
        ticker.tell<&Ticker::run>(done);
        const auto wait = [](SharedGate gate) -> Task<void> { co_await gate->pass(); };
        system->block_on(wait(done));
        EXPECT_EQ(system->block_on(ticker.ask<&Ticker::overlaps>()), 0);
        ticker.stop();
    });
}

TEST(Interleaving, ShowsHowManyHandlersWait) {
    on_both_engines([](OwnedSystem& system) {
        const SharedGate gate = std::make_shared<Gate>();
        const auto front = system->spawn<Front>(options().interleaving());
        for (int i = 0; i < 3; ++i)
            front.tell<&Front::wait_at>(gate);
        EXPECT_EQ(system->block_on(front.ask<&Front::most>()), 3);
        const auto info = system->info(front.pid());
        ASSERT_TRUE(info);
        if (info->complete) {
            EXPECT_EQ(info->state, ActorState::suspended);
            EXPECT_EQ(info->in_hand, 3U);
            EXPECT_NE(info->method.find("Front::wait_at"), std::string::npos);
        }
        gate->open();
    });
}

// ---- const methods that overlap -----------------------------------------------------------------

/// Reads and writes take a while, and are noted.
class Book : public Actor {
public:
    explicit Book(Log log) : log_(std::move(log)) {}

    Task<int> read(SharedGate gate) const {
        log_->push_back("read");
        co_await gate->pass();
        log_->push_back("has read");
        co_return page_;
    }
    Task<void> write(int page) {
        log_->push_back("write");
        const Result<void> slept = co_await sleep(1ms);
        if (slept) page_ = page;
        log_->push_back("has written");
    }
    int page() const { return page_; }

private:
    Log log_;
    int page_ = 1;
};

TEST(Concurrent, ReadersOverlapAndAWriterWaitsForAllOfThem) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const SharedGate gate = std::make_shared<Gate>();
        const auto book =
            system->spawn<Book>(options().concurrent<&Book::read, &Book::page>(), log);
        book.tell<&Book::read>(gate);
        book.tell<&Book::read>(gate);
        // Answered while they wait.
        EXPECT_EQ(system->block_on(book.ask<&Book::page>()), 1);
        book.tell<&Book::write>(2);
        // Behind the writer: it overtakes nobody.
        const Answers answers =
            system->block_on(answers_to(list(book.ask<&Book::page>()), [gate]() -> Task<int> {
                gate->open();
                co_return 0;
            }));
        EXPECT_EQ(answers.size(), 2U);
        EXPECT_EQ(system->block_on(book.ask<&Book::page>()), 2);
        EXPECT_EQ(*log, (std::vector<std::string>{"read", "read", "has read", "has read", "write",
                                                  "has written"}));
    });
}

TEST(Concurrent, WhatWaitsForReadersIsADeadLetterWhenTheActorIsKilled) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const SharedGate gate = std::make_shared<Gate>();
        const auto book = system->spawn<Book>(options().concurrent<&Book::read>(), log);
        EndWatch watch(system, book);
        book.tell<&Book::read>(gate);
        gate->wait_until_reached(system);
        book.tell<&Book::write>(2);
        book.stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 2U);
    });
}

TEST(Concurrent, WorksWithAnyKindOfMailbox) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const SharedGate gate = std::make_shared<Gate>();
        const auto book = system->spawn<Book>(
            options().mailbox(bounded(10).reject()).concurrent<&Book::read, &Book::page>(), log);
        book.tell<&Book::read>(gate);
        EXPECT_EQ(system->block_on(book.ask<&Book::page>()), 1);
        book.tell<&Book::write>(2);
        gate->open();
        EXPECT_EQ(system->block_on(book.ask<&Book::page>()), 2);
    });
}

}  // namespace
}  // namespace troupe::actor_internal

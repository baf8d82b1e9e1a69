// Goal: actors that wait for each other in a circle hear of it, one of them and at once; and nobody
// hears of a circle that is none. Method: circles of every kind, closed one after the other and all
// at once, under every schedule where they are small; deadlines of an hour, so that a circle that
// is missed is an hour of virtual time, or a test that hangs.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/random.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::on_threads;
using actor_internal::QuietLog;
using actor_internal::wait_for_end;

/// What became of the waits in a test. Any actor of it adds, the test reads in the end.
struct Outcomes {
    std::vector<std::string> cycles;
    int fine = 0;
    int gone = 0;  // only where one of them is ended from outside
    bool some_end = false;

    template <class T>
    void add(const Result<T>& result) {
        LockGuard lock(mutex);
        if (result) {
            ++fine;
        } else if (some_end && result.error() == Errc::actor_gone) {
            ++gone;
        } else {
            EXPECT_TRUE(result.error() == Errc::call_cycle) << result.error().message();
            cycles.push_back(result.error().text());
        }
    }
    Mutex mutex{LockRank::test_outer};
};
using Shared = std::shared_ptr<Outcomes>;

/// One of several that stand in a ring and call the next.
class Member : public Actor {
public:
    void stand(Ref<Member> next, Shared outcomes) {
        next_ = next;
        outcomes_ = std::move(outcomes);
    }

    /// Asks the next to do the same, and so on.
    Task<int> around(int hops) {
        if (hops == 0) co_return 0;
        const auto rest = co_await next_.ask<&Member::around>(hops - 1).within(1h);
        outcomes_->add(rest);
        co_return rest ? *rest + 1 : -1;
    }

    /// Asks the next something simple.
    Task<> ask_next() { outcomes_->add(co_await next_.ask<&Member::answer>().within(1h)); }
    int answer() { return ++answered_; }

    /// Sends to the next until it has had to wait for room.
    Task<> send_to_next(int count) {
        for (int i = 0; i < count; ++i) {
            const auto sent = co_await next_.send<&Member::take>();
            if (!sent) {
                outcomes_->add(sent);
                co_return;
            }
        }
        outcomes_->add(Result<void>());
    }
    void take() { ++taken_; }
    int taken() const { return taken_; }

private:
    Ref<Member> next_;
    Shared outcomes_;
    int answered_ = 0;
    int taken_ = 0;
};

std::vector<Ref<Member>> ring(OwnedSystem& system, std::size_t size, const Shared& outcomes,
                              const SpawnOptions& how = options()) {
    std::vector<Ref<Member>> members;
    for (std::size_t i = 0; i < size; ++i)
        members.push_back(system->spawn<Member>(how));
    for (std::size_t i = 0; i < size; ++i)
        members[i].tell<&Member::stand>(members[(i + 1) % size], outcomes);
    return members;
}

TEST(CallCycle, OfAnyLengthIsReportedAtOnceWithTheCycle) {
    for (const std::size_t size : {2U, 3U, 10U, 100U}) {
        on_seeds(3, [=](OwnedSystem& system) {
            const Shared outcomes = std::make_shared<Outcomes>();
            const auto members = ring(system, size, outcomes);
            const int hops = static_cast<int>(size) + 5;
            EXPECT_TRUE(system->block_on(members[0].ask<&Member::around>(hops)).has_value());
            EXPECT_EQ(system->now(), 0ns);
            // The one whose call comes back hears of it, and nothing was sent.
            ASSERT_EQ(outcomes->cycles.size(), 1U);
            EXPECT_EQ(outcomes->fine, static_cast<int>(size) - 1);
            const std::string& text = outcomes->cycles[0];
            for (const auto& member : members)
                EXPECT_NE(text.find(to_string(member.pid())), std::string::npos) << text;
            EXPECT_TRUE(
                text.starts_with("actors wait for each other: " + to_string(members.back().pid())))
                << text;
            EXPECT_NE(text.find("Member::around"), std::string::npos) << text;
            EXPECT_EQ(system->dead_letters().total(), 0U);
        });
    }
}

TEST(CallCycle, OnThreadsFailsOneOfThoseWhoWait) {
    const QuietLog quiet;
    for (const std::size_t size : {2U, 3U, 25U}) {
        on_threads(4, [=](OwnedSystem& system) {
            const int hops = static_cast<int>(size) + 4;
            for (int round = 0; round < 100; ++round) {
                const Shared outcomes = std::make_shared<Outcomes>();
                const auto members = ring(system, size, outcomes);
                EXPECT_TRUE(system->block_on(members[0].ask<&Member::around>(hops)).has_value());
                EXPECT_EQ(outcomes->cycles.size(), 1U);
                for (const auto& member : members)
                    member.stop();
            }
        });
    }
}

TEST(CallCycle, ClosedByAllAtOnceFailsExactlyOne) {
    for (const std::size_t size : {2U, 3U}) {
        const auto seen = on_all_schedules(20'000, [=](OwnedSystem& system) {
            const Shared outcomes = std::make_shared<Outcomes>();
            const auto members = ring(system, size, outcomes);
            system.settle();
            for (const auto& member : members)
                member.tell<&Member::ask_next>();
            system.settle();
            EXPECT_LE(outcomes->cycles.size(), 1U);
            EXPECT_EQ(outcomes->cycles.size() + static_cast<std::size_t>(outcomes->fine), size);
            EXPECT_EQ(system->now(), 0ns);
        });
        EXPECT_GT(seen.distinct, 3U);
    }
    const QuietLog quiet;
    on_threads(4, [](OwnedSystem& system) {
        for (int round = 0; round < 200; ++round) {
            const Shared outcomes = std::make_shared<Outcomes>();
            const auto members = ring(system, 2 + static_cast<std::size_t>(round % 3), outcomes);
            for (const auto& member : members)
                member.tell<&Member::ask_next>();
            for (const auto& member : members)
                EXPECT_TRUE(system->block_on(member.ask<&Member::taken>()).has_value());
            for (const auto& member : members)
                member.stop();
            EXPECT_LE(outcomes->cycles.size(), 1U);
            EXPECT_EQ(outcomes->cycles.size() + static_cast<std::size_t>(outcomes->fine),
                      members.size());
        }
    });
}

class Killer : public Actor {
public:
    void kill(Ref<Member> member) { member.stop(Stop::kill); }
};

TEST(CallCycle, WhoseMemberIsKilledMeanwhileLeavesNobodyWaiting) {
    bool cycle_found = false;
    bool cycle_opened = false;
    const auto seen = on_all_schedules(20'000, [&](OwnedSystem& system) {
        const Shared outcomes = std::make_shared<Outcomes>();
        outcomes->some_end = true;
        const auto members = ring(system, 2, outcomes);
        system.settle();
        for (const auto& member : members)
            member.tell<&Member::ask_next>();
        system->spawn<Killer>().tell<&Killer::kill>(members[0]);
        system.settle();
        EXPECT_EQ(system->now(), 0ns);
        EXPECT_EQ(system->block_on(members[1].ask<&Member::taken>()), 0);
        cycle_found = cycle_found || !outcomes->cycles.empty();
        cycle_opened = cycle_opened || outcomes->gone != 0;
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_TRUE(cycle_found);
    EXPECT_TRUE(cycle_opened);
}

/// Each fills the other's mailbox and waits for room.
void fill_each_other(OwnedSystem& system, std::size_t size, const SpawnOptions& how) {
    const Shared outcomes = std::make_shared<Outcomes>();
    const auto members = ring(system, size, outcomes, how);
    for (const auto& member : members)
        ASSERT_TRUE(system->block_on(member.ask<&Member::taken>()).has_value());
    for (const auto& member : members) {
        // The one before may have filled its mailbox already, which it empties.
        while (member.tell<&Member::send_to_next>(5) == SendStatus::full)
            ::sched_yield();
    }
    for (const auto& member : members)  // all have sent now
        ASSERT_TRUE(system->block_on(member.ask<&Member::taken>().within(24h)).has_value());
    int taken = 0;
    for (const auto& member : members)
        taken += *system->block_on(member.ask<&Member::taken>());
    EXPECT_EQ(outcomes->cycles.size() + static_cast<std::size_t>(outcomes->fine), size);
    EXPECT_LT(outcomes->cycles.size(), size) << "all of them have failed";
    for (const auto& text : outcomes->cycles)
        EXPECT_NE(text.find("waits for room to send"), std::string::npos) << text;
    EXPECT_GE(taken, outcomes->fine * 5);
}

TEST(FullMailboxes, WhoseSendersWaitForEachOtherAreReportedAndOneFails) {
    for (const std::size_t size : {2U, 3U, 5U}) {
        on_both_engines([=](OwnedSystem& system) {
            fill_each_other(system, size, options().mailbox(bounded(2)));
        });
        // A mailbox with priorities keeps those who wait in a list of its own.
        on_both_engines([=](OwnedSystem& system) {
            fill_each_other(system, size,
                            options().mailbox(bounded(2).high_priority<&Member::answer>()));
        });
    }
    on_all_schedules(20'000, [](OwnedSystem& system) {
        fill_each_other(system, 2, options().mailbox(bounded(1)));
    });
}

/// Waits for room at another that asks it.
class Pusher : public Actor {
public:
    Task<> push(Ref<Member> to, int count, Shared outcomes) {
        for (int i = 0; i < count; ++i) {
            const auto sent = co_await to.send<&Member::take>();
            if (!sent) outcomes->add(sent);
        }
        outcomes->add(Result<void>());
    }
    int answer() { return 1; }
};
class Questioner : public Member {
public:
    Task<> ask_pusher(Ref<Pusher> pusher, Shared outcomes) {
        outcomes->add(co_await pusher.ask<&Pusher::answer>().within(1h));
    }
};

TEST(CallCycle, OfAQuestionAndAFullMailboxIsFoundToo) {
    bool found = false;
    on_all_schedules(20'000, [&](OwnedSystem& system) {
        const Shared outcomes = std::make_shared<Outcomes>();
        auto questioner = system->spawn<Questioner>(options().mailbox(bounded(1)));
        auto pusher = system->spawn<Pusher>();
        questioner.tell<&Questioner::ask_pusher>(pusher, outcomes);
        pusher.tell<&Pusher::push>(questioner, 3, outcomes);
        system.settle();
        EXPECT_GE(outcomes->fine + static_cast<int>(outcomes->cycles.size()), 2);
        found = found || !outcomes->cycles.empty();
        EXPECT_EQ(system->now(), 0ns);
    });
    EXPECT_TRUE(found);
}

// ---- who answers is not always the one who was asked --------------------------------------------

class Office : public Actor {
public:
    /// Sends the caller's question on to another, who asks the caller.
    Reply<int> through(Ref<Office> other, Ref<Office> back) {
        return other.delegate<&Office::ask_back>(back);
    }
    Task<int> ask_back(Ref<Office> back) {
        const auto answer = co_await back.ask<&Office::plain>().within(1h);
        if (!answer) {
            EXPECT_TRUE(answer.error() == Errc::call_cycle) << answer.error().message();
        }
        co_return answer ? *answer : -1;
    }
    int plain() { return 7; }

    Task<int> ask_through(Ref<Office> first, Ref<Office> second) {
        const Ref<Office> me = self(this);
        const auto answer = co_await first.ask<&Office::through>(second, me).within(1h);
        co_return answer ? *answer : -2;
    }

    Task<> answer_after(std::shared_ptr<ReplyTo<int>> token, Duration time) {
        ignore(co_await sleep(time), "a test");
        token->send(5);
    }
    /// Lends the right to answer to a clerk, who takes a second.
    Reply<int> lend(Ref<Office> clerk) {
        auto token = std::make_shared<ReplyTo<int>>();
        clerk.tell<&Office::answer_after>(token, 1s);
        return later(*token);
    }
    Task<int> ask_lender(Ref<Office> lender, Ref<Office> clerk) {
        const auto answer = co_await lender.ask<&Office::lend>(clerk).within(1h);
        co_return answer ? *answer : -2;
    }
};

TEST(CallCycle, ThroughADelegateIsFound) {
    on_all_schedules(20'000, [](OwnedSystem& system) {
        auto ann = system->spawn<Office>();
        auto bob = system->spawn<Office>();
        auto cem = system->spawn<Office>();
        EXPECT_EQ(system->block_on(ann.ask<&Office::ask_through>(bob, cem).within(24h)), -1);
        EXPECT_EQ(system->now(), 0ns);
    });
}

TEST(CallCycle, IsNotSeenWhereSomebodyElseHoldsTheAnswer) {
    on_seeds(100, [](OwnedSystem& system) {
        auto ann = system->spawn<Office>();
        auto bob = system->spawn<Office>();
        auto cem = system->spawn<Office>();
        ann.tell<&Office::ask_lender>(bob, cem);
        system.settle();
        // Ann waits for an answer that Bob was asked for and Cem has; Bob waits for Ann.
        EXPECT_EQ(system->block_on(bob.ask<&Office::ask_back>(ann).within(24h)), 7);
        EXPECT_EQ(system->now(), 1s);
    });
}

/// Whoever has answered asks its asker at once, who may not have heard yet.
class Friend : public Actor {
public:
    Task<> visit(Ref<Friend> other, int times, Shared outcomes) {
        for (int i = 0; i < times; ++i) {
            const Ref<Friend> me = self(this);
            outcomes->add(co_await other.ask<&Friend::greet>(me, outcomes).within(1h));
        }
    }
    int greet(Ref<Friend> guest, Shared outcomes) {
        self(this).tell<&Friend::greet_back>(guest, std::move(outcomes));
        return 1;
    }
    Task<> greet_back(Ref<Friend> guest, Shared outcomes) {
        outcomes->add(co_await guest.ask<&Friend::simple>().within(1h));
    }
    int simple() { return 1; }
};

TEST(CallCycle, IsNotSeenWhereAnAnswerIsOnItsWay) {
    const auto visits = [](OwnedSystem& system) {
        const Shared outcomes = std::make_shared<Outcomes>();
        auto ann = system->spawn<Friend>();
        auto bob = system->spawn<Friend>();
        ann.tell<&Friend::visit>(bob, 1, outcomes);
        system.settle();
        EXPECT_EQ(outcomes->fine, 2);
        EXPECT_TRUE(outcomes->cycles.empty());
    };
    on_all_schedules(20'000, visits);
}

/// Its start asks the one who waits for it.
class Child : public Actor {
public:
    explicit Child(Ref<Office> parent) : parent_(parent) {}

private:
    Task<Result<void>> on_start() override {
        ignore(co_await or_return(co_await parent_.ask<&Office::plain>().within(1h)), "a test");
        co_return Result<void>();
    }
    Ref<Office> parent_;
};
class Parent : public Office {
public:
    Task<std::string> start_child() {
        const Ref<Office> me = self(this);
        const auto child = co_await system().start<Child>(me);
        co_return child ? "" : child.error().message();
    }
};

TEST(CallCycle, OfAStartThatAsksTheOneWhoWaitsForItIsFound) {
    on_both_engines([](OwnedSystem& system) {
        auto parent = system->spawn<Parent>();
        const auto why = system->block_on(parent.ask<&Parent::start_child>().within(24h));
        ASSERT_TRUE(why.has_value()) << why.error().message();
        EXPECT_NE(why->find("waits for the start of"), std::string::npos) << *why;
    });
}

// ---- everybody asks everybody -------------------------------------------------------------------

/// Asks others at random, with deadlines that never come.
class Gossip : public Actor {
public:
    Gossip(std::shared_ptr<std::vector<Ref<Gossip>>> all, std::uint64_t seed)
        : all_(std::move(all)), random_(seed) {}

    Task<int> hear(int depth) {
        int heard = 1;
        for (int i = 0; depth > 0 && i < 2; ++i) {
            const auto other = (*all_)[static_cast<std::size_t>(random_.below(all_->size()))];
            if (other == self(this)) continue;
            const auto more = co_await other.ask<&Gossip::hear>(depth - 1).within(1h);
            if (!more) {
                EXPECT_TRUE(more.error() == Errc::call_cycle) << more.error().message();
            } else {
                heard += *more;
            }
        }
        co_return heard;
    }

private:
    std::shared_ptr<std::vector<Ref<Gossip>>> all_;
    Random random_;
};

void gossip(OwnedSystem& system, std::size_t size, int rounds, const SpawnOptions& how) {
    auto all = std::make_shared<std::vector<Ref<Gossip>>>(size);
    for (std::size_t i = 0; i < size; ++i)
        (*all)[i] = system->spawn<Gossip>(how, all, i + 1);
    for (int round = 0; round < rounds; ++round) {
        for (const auto& one : *all)
            one.tell<&Gossip::hear>(4);
        for (const auto& one : *all)
            EXPECT_TRUE(system->block_on(one.ask<&Gossip::hear>(0).within(24h)).has_value());
    }
}

TEST(CallCycle, AmongManyWhoAskAtRandomAllAreFound) {
    on_seeds(100, [](OwnedSystem& system) {
        gossip(system, 5, 2, options());
        EXPECT_EQ(system->now(), 0ns) << "a cycle has ended by its deadline";
    });
    const QuietLog quiet;
    on_threads(4, [](OwnedSystem& system) { gossip(system, 6, 300, options()); });
}

TEST(ReentrantCalls, AmongManyWhoAskAtRandomLeaveNobodyWaiting) {
    on_seeds(100, [](OwnedSystem& system) {
        gossip(system, 5, 2, options().reentrant_calls());
        EXPECT_EQ(system->now(), 0ns) << "a cycle has ended by its deadline";
    });
    on_threads(4, [](OwnedSystem& system) { gossip(system, 6, 300, options().reentrant_calls()); });
}

// ---- calls that come back -----------------------------------------------------------------------

class Book : public Actor {
public:
    /// Asks the other, which asks back.
    Task<std::string> open(Ref<Book> other) {
        state_ += "(";
        const Ref<Book> me = self(this);
        const auto pages = co_await other.ask<&Book::read>(me).within(1h);
        state_ += ")";
        co_return pages ? state_ + std::to_string(*pages) : pages.error().message();
    }
    Task<int> read(Ref<Book> back) {
        const auto plain = co_await back.ask<&Book::page>().within(1h);
        const auto slow = co_await back.ask<&Book::slow_page>().within(1h);
        co_return plain&& slow ? *plain + *slow : -1;
    }
    int page() {
        state_ += "p";
        return 1;
    }
    Task<int> slow_page() {
        state_ += "s";
        ignore(co_await sleep(1s), "a test");
        state_ += "S";
        co_return 2;
    }
    void note() { state_ += "n"; }
    std::string state() const { return state_; }

    Task<std::string> open_impatiently(Ref<Book> other) {
        const Ref<Book> me = self(this);
        const auto pages = co_await other.ask<&Book::read>(me).within(500ms);
        state_ += pages ? "!" : "t";
        co_return state_;
    }
    Task<int> read_and_fail(Ref<Book> back) {
        const auto answer = co_await back.ask<&Book::fail>().within(1h);
        co_return answer ? 1 : -1;
    }
    int fail() { throw std::runtime_error("on purpose"); }
    Task<int> open_to_fail(Ref<Book> other) {
        const Ref<Book> me = self(this);
        co_return *co_await other.ask<&Book::read_and_fail>(me).within(1h);
    }

private:
    std::string state_;
};

TEST(ReentrantCalls, AreHandledWhileTheHandlerWaitsAndNothingElseIs) {
    for (const bool managed : {false, true}) {
        on_both_engines([=](OwnedSystem& system) {
            auto how = options().reentrant_calls();
            if (managed) how.mailbox(bounded(10).high_priority<&Book::note>());
            auto ann = system->spawn<Book>(how);
            auto bob = system->spawn<Book>();
            const auto opened = [](Ref<Book> book, Ref<Book> other) -> Task<std::string> {
                auto asked = book.ask<&Book::open>(other).within(24h);
                book.tell<&Book::note>();
                const auto state = co_await std::move(asked);
                co_return state ? *state : state.error().message();
            };
            const std::string state = system->block_on(opened(ann, bob));
            // The note comes before or after, never in between.
            EXPECT_TRUE(state == "n(psS)3" || state == "(psS)3") << state;
        });
    }
}

TEST(ReentrantCalls, AreRefusedWithoutTheOption) {
    on_seeds(20, [](OwnedSystem& system) {
        auto ann = system->spawn<Book>();
        auto bob = system->spawn<Book>(options().reentrant_calls());
        EXPECT_EQ(system->block_on(ann.ask<&Book::open>(bob).within(24h)), "()-1");
        EXPECT_EQ(system->now(), 0ns);
    });
}

TEST(ReentrantCalls, OutliveTheDeadlineOfTheHandlerThatWaits) {
    on_seeds(20, [](OwnedSystem& system) {
        auto ann = system->spawn<Book>(options().reentrant_calls());
        auto bob = system->spawn<Book>();
        // The nested call sleeps past the deadline, which is also that of the other's ask: he
        // answers without it. It ends first, then the handler goes on.
        EXPECT_EQ(system->block_on(ann.ask<&Book::open_impatiently>(bob).within(24h)), "psS!");
        EXPECT_EQ(system->now(), 1s);
        EXPECT_EQ(system->block_on(ann.ask<&Book::state>()), "psS!");
    });
}

TEST(ReentrantCalls, EndWithTheirActorOneInsideTheOther) {
    on_both_engines([](OwnedSystem& system) {
        auto ann = system->spawn<Book>(options().reentrant_calls());
        auto bob = system->spawn<Book>();
        // Bob hears the exception, Ann's own asker that she has ended.
        const auto failed = system->block_on(ann.ask<&Book::open_to_fail>(bob));
        ASSERT_FALSE(failed.has_value());
        EXPECT_TRUE(failed.error() == Errc::actor_gone) << failed.error().message();
    });
    on_all_schedules(20'000, [](OwnedSystem& system) {
        auto ann = system->spawn<Book>(options().reentrant_calls());
        auto bob = system->spawn<Book>();
        ann.tell<&Book::open>(bob);
        system.settle();  // the slow page sleeps
        ann.stop(Stop::kill);
        wait_for_end(system, ann);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 2U);
        EXPECT_TRUE(system->block_on(bob.ask<&Book::state>()).has_value());
    });
}

}  // namespace
}  // namespace troupe

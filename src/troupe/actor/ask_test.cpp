#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::on_threads;

enum class ShopErrc { sold_out = 1 };

class Shop : public Actor {
public:
    int plain(int n) { return n + 1; }
    void nothing() { ++calls_; }
    Result<int> sell(int n) {
        if (n > 3) return error(ShopErrc::sold_out, "only three left");
        return n;
    }
    Task<int> slow(Duration duration) {
        ignore(co_await sleep(duration), "a test");
        co_return ++calls_;
    }
    Task<Result<std::unique_ptr<int>>> box(std::unique_ptr<int> n) {
        co_await yield();
        if (*n == 0) co_return error(ShopErrc::sold_out);
        co_return n;
    }
    int calls() const { return calls_; }
    Task<int> wait_at(std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        co_return 9;
    }

private:
    int calls_ = 0;
};

Task<> all_kinds(Ref<Shop> shop) {
    EXPECT_EQ(co_await shop.ask<&Shop::plain>(1), 2);
    EXPECT_TRUE((co_await shop.ask<&Shop::nothing>()).has_value());
    EXPECT_EQ(co_await shop.ask<&Shop::sell>(2), 2);
    const auto refused = co_await shop.ask<&Shop::sell>(4);
    EXPECT_FALSE(refused.has_value());
    if (!refused) {
        EXPECT_TRUE(refused.error() == ShopErrc::sold_out);
        EXPECT_EQ(refused.error().text(), "only three left");
    }
    auto five = std::make_unique<int>(5);
    const auto boxed = co_await shop.ask<&Shop::box>(std::move(five));
    EXPECT_EQ(**boxed, 5);
    auto zero = std::make_unique<int>(0);
    EXPECT_TRUE((co_await shop.ask<&Shop::box>(std::move(zero))).error() == ShopErrc::sold_out);
    EXPECT_EQ(co_await shop.ask<&Shop::slow>(10us), 2);
    // Several in one expression, and a deadline nobody needs.
    const int sum =
        *co_await shop.ask<&Shop::plain>(10) + *co_await shop.ask<&Shop::plain>(20).within(1h);
    EXPECT_EQ(sum, 32);
}

TEST(Ask, BringsValuesErrorsAndNothing) {
    on_both_engines(
        [](OwnedSystem& system) { system->block_on(all_kinds(system->spawn<Shop>())); });
}

TEST(Ask, IsNotSentUntilItIsAwaited) {
    on_both_engines([](OwnedSystem& system) {
        auto shop = system->spawn<Shop>();
        {
            auto never = shop.ask<&Shop::nothing>();
            static_cast<void>(never);
        }
        EXPECT_EQ(system->block_on(shop.ask<&Shop::calls>()), 0);
    });
}

Task<std::string> text_of_timeout(Ref<Shop> shop, System system) {
    const Duration before = system.now();
    const auto late = co_await shop.ask<&Shop::slow>(10s).within(30ms);
    EXPECT_EQ(system.now() - before, 30ms);
    co_return late ? "answered" : late.error().message();
}

TEST(Ask, TimesOutExactlyAndSaysWhatTheCalleeWasDoing) {
    on_seeds(20, [](OwnedSystem& system) {
        auto shop = system->spawn<Shop>();
        const std::string text = system->block_on(text_of_timeout(shop, *system));
        for (const char* part : {"timed_out", "Shop::slow was not answered within 30 ms by <0.",
                                 "Shop: suspended in ", "Shop::slow at ask_test.cpp:", ", sleep, ",
                                 "for 0.0 s; mailbox 1 of 1000, 0 handled"}) {
            EXPECT_NE(text.find(part), std::string::npos) << text;
        }
        // The late reply goes nowhere, and the actor is as good as before.
        EXPECT_EQ(system->block_on(shop.ask<&Shop::plain>(1).within(1h)), 2);
    });
}

/// Asks and does not get an answer in time.
class Customer : public Actor {
public:
    Task<std::string> ask_in_vain(Ref<Shop> shop, Duration within) {
        const auto late = co_await shop.ask<&Shop::plain>(1).within(within);
        co_return late ? "answered" : late.error().text();
    }
    Task<> ask_slowly(Ref<Shop> shop) {
        ignore(co_await shop.ask<&Shop::slow>(1h).within(1h), "a test");
    }
    int nothing() const { return 0; }
};

Task<std::string> text_of_ask_behind(Ref<Customer> asker, Duration within) {
    const auto late = co_await asker.ask<&Customer::nothing>().within(within);
    co_return late ? "answered" : late.error().text();
}

TEST(Ask, ATimeoutSaysWhomTheCalleeItselfHasAsked) {
    on_seeds(20, [](OwnedSystem& system) {
        auto shop = system->spawn<Shop>();
        auto customer = system->spawn<Customer>(named("ann"));
        customer.tell<&Customer::ask_slowly>(shop);
        system.advance(2s);
        const std::string text = system->block_on(text_of_ask_behind(customer, 1s));
        for (const char* part : {"Customer::nothing was not answered within 1000 ms by ",
                                 "Customer \"ann\": suspended in ", "Customer::ask_slowly at ",
                                 "Shop::slow, for 3.0 s; mailbox 2 of 1000"}) {
            EXPECT_NE(text.find(part), std::string::npos) << text;
        }
    });
}

TEST(Ask, ATimeoutSaysThatTheCalleeIsRunning) {
    // On threads: a callee that holds its worker while another one gives up waiting for it.
    on_threads(2, [](OwnedSystem& system) {
        class Hog : public Shop {
        public:
            void spin(std::shared_ptr<std::atomic<bool>> go_on) {
                while (!go_on->load()) {
                }
            }
        };
        auto go_on = std::make_shared<std::atomic<bool>>(false);  // the test writes, the hog reads
        auto hog = system->spawn<Hog>();
        hog.tell<&Hog::spin>(go_on);
        auto customer = system->spawn<Customer>();
        const auto text =
            system->block_on(customer.ask<&Customer::ask_in_vain>(Ref<Shop>(hog), Duration(5ms)));
        go_on->store(true);
        EXPECT_NE(text->find("Hog: running in "), std::string::npos) << *text;
        EXPECT_NE(text->find("Hog::spin"), std::string::npos) << *text;
        EXPECT_NE(text->find("; mailbox "), std::string::npos) << *text;
    });
}

Task<> deadlines_one_after_the_other(Ref<Shop> shop, System system) {
    // A later deadline, then a sooner one, then none needed: one timer serves them all.
    for (const Duration within : {Duration(50ms), Duration(20ms), Duration(80ms), Duration(1ms)}) {
        const Duration before = system.now();
        const auto late = co_await shop.ask<&Shop::slow>(1h).within(within);
        EXPECT_FALSE(late.has_value());
        EXPECT_EQ(system.now() - before, within);
    }
}

TEST(Ask, EachHasItsOwnDeadline) {
    on_seeds(20, [](OwnedSystem& system) {
        auto shop = system->spawn<Shop>();
        system->block_on(deadlines_one_after_the_other(shop, *system));
        shop.stop(Stop::kill);
    });
}

Task<bool> timed_out(Ref<Shop> shop, Duration within) {
    const auto answer = co_await shop.ask<&Shop::slow>(1h).within(within);
    co_return !answer && answer.error() == Errc::timed_out;
}

TEST(Ask, TimesOutOnThreadsToo) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto shop = system->spawn<Shop>();
            EXPECT_TRUE(system->block_on(timed_out(shop, 2ms)));
            EXPECT_TRUE(system->block_on(timed_out(shop, 0ms)));
            EXPECT_TRUE(system->block_on(timed_out(shop, -1s)));
            shop.stop(Stop::kill);
        },
        10);
}

TEST(Ask, PassesTheBoundOfAFullMailboxAndWaitsItsTurn) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto shop = system->spawn<Shop>(options().mailbox(bounded(2)));
        shop.tell<&Shop::wait_at>(gate);
        gate->wait_until_reached(system);
        EXPECT_EQ(shop.tell<&Shop::nothing>(), SendStatus::sent);
        EXPECT_EQ(shop.tell<&Shop::nothing>(), SendStatus::full);
        gate->open();
        EXPECT_EQ(system->block_on(shop.ask<&Shop::calls>()), 1);
    });
}

class Selfish : public Actor {
public:
    Task<Result<int>> ask_myself() {
        const Ref<Selfish> me = self(this);
        co_return co_await me.ask<&Selfish::number>();
    }
    int number() { return 1; }
};

TEST(Ask, OfOneselfIsACallCycleAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        auto selfish = system->spawn<Selfish>();
        const auto answer = system->block_on(selfish.ask<&Selfish::ask_myself>());
        ASSERT_FALSE(answer.has_value());
        EXPECT_TRUE(answer.error() == Errc::call_cycle) << answer.error().message();
        EXPECT_EQ(system->block_on(selfish.ask<&Selfish::number>()), 1);
    });
}

/// Asks along a row of actors, each of which asks the next.
class Link : public Actor {
public:
    explicit Link(Ref<Link> next) : next_(next) {}
    Task<Result<int>> length() {
        if (next_ == Ref<Link>()) co_return 1;
        co_return 1 + co_await or_return(co_await next_.ask<&Link::length>());
    }

private:
    Ref<Link> next_;
};

TEST(Ask, GoesAlongARowOfActors) {
    on_both_engines([](OwnedSystem& system) {
        Ref<Link> first;
        for (int i = 0; i < 20; ++i)
            first = system->spawn<Link>(first);
        EXPECT_EQ(system->block_on(first.ask<&Link::length>()), 20);
    });
}

/// Holds what it is asked for until it has been destroyed.
class Holder : public Actor {
public:
    Task<> hold(std::shared_ptr<int> value, std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        *value = 1;
    }
    long uses(std::shared_ptr<int> value) { return value.use_count(); }
};

class Asker : public Actor {
public:
    Task<> ask_holder(Ref<Holder> holder, std::shared_ptr<int> value, std::shared_ptr<Gate> gate) {
        ignore(co_await holder.ask<&Holder::hold>(value, gate), "a test");
        ADD_FAILURE() << "a killed asker went on";
    }
};

TEST(Ask, OfAKilledAskerIsStillHandledAndItsReplyDropped) {
    on_both_engines([](OwnedSystem& system) {
        auto value = std::make_shared<int>(0);
        auto gate = std::make_shared<Gate>();
        auto holder = system->spawn<Holder>();
        auto asker = system->spawn<Asker>();
        asker.tell<&Asker::ask_holder>(holder, value, gate);
        gate->wait_until_reached(system);
        actor_internal::EndWatch watch(system, asker);
        asker.stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
        gate->open();
        // What the request carried is freed before the next message is handled: ours and the
        // argument of this call are left, and the copy in its envelope.
        EXPECT_EQ(system->block_on(holder.ask<&Holder::uses>(value)), 2);
        EXPECT_EQ(*value, 1);
    });
}

/// Says for how long whoever asks waits for it, in minutes; -1: for ever, or nobody does.
class Patience : public Actor {
public:
    Patience() = default;
    explicit Patience(std::shared_ptr<std::int64_t> born) { *born = minutes(system()); }
    std::int64_t now() { return minutes(system()); }
    Task<std::int64_t> later() {
        ignore(co_await sleep(1us), "a test");
        co_return minutes(system());
    }
    Task<std::int64_t> after_another(Ref<Patience> other) {
        // Whoever asked for this waits for an hour only, so this waits no longer.
        EXPECT_EQ(co_await other.ask<&Patience::now>().within(90min), 60);
        EXPECT_EQ(co_await other.ask<&Patience::now>().within(20min), 20);
        co_return minutes(system());
    }
    void note(std::shared_ptr<std::int64_t> seen) { *seen = minutes(system()); }
    void give_birth(std::shared_ptr<std::int64_t> born) { system().spawn<Patience>(born).stop(); }

private:
    static std::int64_t minutes(System system) {
        const Duration deadline = asker_deadline();
        return deadline == Duration::max() ? -1 : (deadline - system.now() + 30s) / 1min;
    }
};

TEST(AskerDeadline, IsThatOfTheAskWhichTheRunningHandlerAnswers) {
    on_both_engines([](OwnedSystem& system) {
        auto patience = system->spawn<Patience>();
        auto other = system->spawn<Patience>();
        EXPECT_EQ(system->block_on(patience.ask<&Patience::now>().within(30min)), 30);
        EXPECT_EQ(system->block_on(patience.ask<&Patience::later>().within(60min)), 60);
        EXPECT_EQ(system->block_on(patience.ask<&Patience::after_another>(other).within(60min)),
                  60);
        EXPECT_EQ(system->block_on(patience.ask<&Patience::now>().within(Duration::max())), -1);
        EXPECT_EQ(asker_deadline(), Duration::max()) << "nobody asked this thread";
    });
}

TEST(AskerDeadline, IsNoneForWhoIsToldOrBornElsewhere) {
    on_both_engines([](OwnedSystem& system) {
        auto patience = system->spawn<Patience>();
        auto seen = std::make_shared<std::int64_t>(7);
        patience.tell<&Patience::note>(seen);
        EXPECT_EQ(system->block_on(patience.ask<&Patience::now>().within(30min)), 30);
        EXPECT_EQ(*seen, -1);
        system->spawn<Patience>(seen).stop();
        EXPECT_EQ(*seen, -1);
        // Whoever is made by a handler is made for whoever asked for that.
        const auto born = system->block_on(patience.ask<&Patience::give_birth>(seen).within(30min));
        EXPECT_TRUE(born.has_value());
        EXPECT_EQ(*seen, 30);
    });
}

}  // namespace
}  // namespace troupe

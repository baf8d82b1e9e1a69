#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

template <>
inline constexpr bool kSendable<Latch*> = true;

namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;
using Order = std::shared_ptr<std::vector<std::string>>;

class Worker : public Actor {
public:
    Worker(std::string name, Order order) : name_(std::move(name)), order_(std::move(order)) {}

    /// Waits in the middle, for nothing in particular.
    Task<> wait_between(int number) {
        order_->push_back("begins " + std::to_string(number));
        for (int i = 0; i < 3; ++i)
            co_await yield();
        order_->push_back("ends " + std::to_string(number));
    }
    void note() { order_->push_back(name_); }
    void note_for(Ref<Worker> other) {
        note();
        other.tell<&Worker::note>();
    }
    /// Takes longer than a turn should.
    void note_slowly() {
        const Duration until = system().now() + Duration(300us);
        while (system().now() < until) {
        }
        note();
    }
    void note_slowly_for(Ref<Worker> other) {
        order_->push_back("wakes");
        other.tell<&Worker::note>();
        note_slowly();
    }
    void go_on_for_ever() { self(this).tell<&Worker::go_on_for_ever>(); }
    void block(Latch* held, Latch* go_on) {
        held->open();
        go_on->wait();
    }
    std::size_t noted() const { return order_->size(); }

private:
    std::string name_;
    Order order_;
};

TEST(Turn, HandlesOneMessageAtATimeAlsoWhileAHandlerWaits) {
    on_both_engines([](OwnedSystem& system) {
        const Order order = std::make_shared<std::vector<std::string>>();
        auto worker = system->spawn<Worker>("worker", order);
        for (const int number : {1, 2})
            worker.tell<&Worker::wait_between>(number);
        worker.tell<&Worker::note>();
        EXPECT_EQ(system->block_on(worker.ask<&Worker::noted>()), 5U);
        EXPECT_EQ(*order,
                  (std::vector<std::string>{"begins 1", "ends 1", "begins 2", "ends 2", "worker"}));
    });
}

/// Everything on one worker, and nobody starts another when that is kept.
ThreadedOptions one_worker() {
    ThreadedOptions options;
    options.workers = 1;
    options.spare_workers_max = 0;
    return options;
}

// Goal: a flood of messages to one actor delays the others by one turn only. Method: while the only
// worker is held, one actor gets five hundred messages and then another one gets one.
TEST(Turn, LetsOthersRunAfterSixtyFourMessages) {
    OwnedSystem system(make_threaded_engine(one_worker()));
    const Order order = std::make_shared<std::vector<std::string>>();
    auto holder = system->spawn<Worker>("holder", order);
    auto flooded = system->spawn<Worker>("flooded", order);
    auto other = system->spawn<Worker>("other", order);
    Latch held;
    Latch go_on;
    holder.tell<&Worker::block>(&held, &go_on);
    held.wait();
    for (int i = 0; i < 500; ++i)
        ASSERT_EQ(flooded.tell<&Worker::note>(), SendStatus::sent);
    other.tell<&Worker::note>();
    go_on.open();
    while (*system->block_on(holder.ask<&Worker::noted>()) != 501) {
    }
    const auto place = std::ranges::find(*order, "other") - order->begin();
    EXPECT_LE(place, 64);
}

// Goal: an actor that goes on because nobody else waits stops doing so when it wakes somebody.
// Method: as above, but one of its messages in the middle makes it wake the other one.
TEST(Turn, LetsOneItWakesRunAfterSixtyFourMoreMessages) {
    constexpr int kBefore = 300;
    OwnedSystem system(make_threaded_engine(one_worker()));
    const Order order = std::make_shared<std::vector<std::string>>();
    auto holder = system->spawn<Worker>("holder", order);
    auto flooded = system->spawn<Worker>("flooded", order);
    auto other = system->spawn<Worker>("other", order);
    ASSERT_TRUE(system->block_on(other.ask<&Worker::noted>()));  // it has started
    Latch held;
    Latch go_on;
    holder.tell<&Worker::block>(&held, &go_on);
    held.wait();
    for (int i = 0; i < kBefore; ++i)
        ASSERT_EQ(flooded.tell<&Worker::note>(), SendStatus::sent);
    flooded.tell<&Worker::note_for>(other);
    for (int i = 0; i < 500; ++i)
        ASSERT_EQ(flooded.tell<&Worker::note>(), SendStatus::sent);
    go_on.open();
    while (*system->block_on(holder.ask<&Worker::noted>()) != kBefore + 502) {
    }
    const auto place = std::ranges::find(*order, "other") - order->begin();
    EXPECT_LE(place, kBefore + 1 + 64);
}

// Goal: those with slow handlers do not go before the one that one of them has woken for ever,
// though their long turns make them look like the oldest. Method: all are busy, and then one wakes
// it.
TEST(Turn, LetsOneTheyWakeRunAmongSlowHandlers) {
    for (const std::size_t slow_ones : {1U, 3U}) {
        OwnedSystem system(make_threaded_engine(one_worker()));
        const Order order = std::make_shared<std::vector<std::string>>();
        std::vector<Ref<Worker>> slow;
        while (slow.size() < slow_ones)
            slow.push_back(system->spawn<Worker>("slow", order));
        auto other = system->spawn<Worker>("other", order);
        ASSERT_TRUE(system->block_on(other.ask<&Worker::noted>()));  // it has started
        const auto give_each = [&slow](int messages) {
            for (int i = 0; i < messages; ++i)
                std::ranges::for_each(slow,
                                      [](auto& one) { one.template tell<&Worker::note_slowly>(); });
        };
        give_each(40);  // the first turns are for quick messages: more than there are in one
        slow.front().tell<&Worker::note_slowly_for>(other);
        give_each(40);
        std::ranges::for_each(slow, [&system](auto& one) {
            EXPECT_TRUE(system->block_on(one.template ask<&Worker::noted>()));
        });
        const auto woken = std::ranges::find(*order, "wakes") - order->begin();
        const auto place = std::ranges::find(*order, "other") - order->begin();
        EXPECT_LE(place - woken, static_cast<std::ptrdiff_t>(2 * slow_ones)) << slow_ones;
    }
}

TEST(Turn, LetsOutsidersInWhileTheOnlyOneWithMailIsNeverDone) {
    OwnedSystem system(make_threaded_engine(one_worker()));
    const Order order = std::make_shared<std::vector<std::string>>();
    auto busy = system->spawn<Worker>("busy", order);
    auto other = system->spawn<Worker>("other", order);
    for (int i = 0; i < 100; ++i)
        busy.tell<&Worker::go_on_for_ever>();
    EXPECT_TRUE(system->block_on(other.ask<&Worker::noted>()));
    busy.stop(Stop::kill);
}

}  // namespace
}  // namespace troupe

#include <troupe/actor/actor.hpp>
#include <troupe/actor/ended.hpp>
#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

class Clerk : public Actor {
public:
    explicit Clerk(Log log) : log_(std::move(log)) {}
    Task<void> letter() {
        ignore(co_await sleep(1ms), "a test");
        log_->push_back("letter");
    }
    void fall_ill() { throw std::runtime_error("the flu"); }

private:
    Log log_;
};

/// Waits for a clerk from within a handler.
class Boss : public Actor {
public:
    Task<Result<ExitReason>> wait_for(Ref<Clerk> clerk) { co_return co_await ended(clerk); }
};

TEST(Ended, OfOneThatDrainsComesAfterAllItWasSent) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const auto clerk = system->spawn<Clerk>(log);
        for (int i = 0; i < 3; ++i)
            clerk.tell<&Clerk::letter>();
        clerk.stop(Stop::drain);
        const auto reason = system->block_on(ended(clerk));
        ASSERT_TRUE(reason);
        // It may have ended before anybody waited.
        EXPECT_TRUE(reason->kind() == ExitReason::Kind::shutdown ||
                    reason->kind() == ExitReason::Kind::noproc);
        EXPECT_EQ(log->size(), 3U);
    });
}

TEST(Ended, SaysWhyTheActorHasFailed) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto clerk = system->spawn<Clerk>(make_log());
        const auto boss = system->spawn<Boss>();
        auto waits = [](Ref<Boss> by, Ref<Clerk> whom) -> Task<Result<ExitReason>> {
            co_return co_await by.ask<&Boss::wait_for>(whom);
        };
        auto fails = [](Ref<Clerk> whom) -> Task<void> {
            ignore(co_await sleep(1s), "a test");
            whom.tell<&Clerk::fall_ill>();
        };
        auto group = task_group<void>(all_settled());
        Result<ExitReason> reason = error(Errc::failed, "nothing was heard");
        const auto both = [&]() -> Task<void> {
            group.add(fails, clerk);
            group.add([&]() -> Task<void> { reason = co_await waits(boss, clerk); });
            co_await group.run();
        };
        system->block_on(both());
        ASSERT_TRUE(reason);
        EXPECT_EQ(reason->kind(), ExitReason::Kind::failed);
        EXPECT_NE(reason->text().find("the flu"), std::string::npos);
    });
}

TEST(Ended, OfOneThatHasEndedOrOfNobodyIsNoprocAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        const auto clerk = system->spawn<Clerk>(make_log());
        EndWatch watch(system, clerk);
        clerk.stop(Stop::kill);
        watch.wait();
        for (const Ref<Clerk>& gone : {clerk, Ref<Clerk>()}) {
            const auto reason = system->block_on(ended(gone));
            ASSERT_TRUE(reason);
            EXPECT_EQ(reason->kind(), ExitReason::Kind::noproc);
        }
    });
}

TEST(Ended, IsGivenUpWhenItIsCancelledAndLeavesNobodyListening) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto clerk = system->spawn<Clerk>(make_log());
        const auto patient = [&]() -> Task<Result<ExitReason>> {
            co_return co_await within(10s, [&] { return ended(clerk); });
        };
        const auto reason = system->block_on(patient());
        ASSERT_FALSE(reason.has_value());
        EXPECT_EQ(reason.error(), Errc::timed_out);
        system->engine().settle();
        EXPECT_EQ(system->actors().size(), 1U);
        EXPECT_EQ(system->info(clerk.pid())->monitors, 0U);
    });
}

TEST(Ended, ByOneThatIsKilledMeanwhileLeavesNobodyListening) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto clerk = system->spawn<Clerk>(make_log());
        const auto boss = system->spawn<Boss>();
        boss.tell<&Boss::wait_for>(clerk);
        system->engine().settle();
        EXPECT_EQ(system->actors().size(), 3U);
        boss.stop(Stop::kill);
        system->engine().settle();
        EXPECT_EQ(system->actors().size(), 1U);
        EXPECT_EQ(system->info(clerk.pid())->monitors, 0U);
    });
}

}  // namespace
}  // namespace troupe::actor_internal

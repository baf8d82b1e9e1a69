#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_threads;
using actor_internal::wait_for_end;

class Clerk : public Actor {
public:
    Task<> wait_at(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    int work() { return 1; }
};
struct Plain {
    int work() { return 2; }
};

TEST(Listing, ShowsTypeDepthCapacityAndHandled) {
    on_both_engines([](OwnedSystem& system) {
        EXPECT_TRUE(system->actors().empty());
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>(options().mailbox(bounded(10)));
        auto plain = system->spawn<Plain>();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_EQ(system->block_on(plain.ask<&Plain::work>()), 2);
        clerk.tell<&Clerk::wait_at>(gate);
        clerk.tell<&Clerk::work>();
        clerk.tell<&Clerk::work>();
        gate->wait_until_reached(system);
        const auto info = system->info(clerk.pid());
        ASSERT_TRUE(info.has_value());
        EXPECT_TRUE(info->type.ends_with("Clerk")) << info->type;
        EXPECT_EQ(info->pid, clerk.pid());
        EXPECT_EQ(info->state, CellState::running);
        EXPECT_EQ(info->mailbox_depth, 3U) << "the one being handled counts";
        EXPECT_EQ(info->mailbox_capacity, 10U);
        EXPECT_EQ(info->handled, 1U);
        const auto all = system->actors();
        ASSERT_EQ(all.size(), 2U);
        EXPECT_TRUE(std::ranges::is_sorted(all, {}, &ActorInfo::pid));
        gate->open();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_GE(system->info(clerk.pid())->handled, 5U);
        EXPECT_LE(system->info(clerk.pid())->mailbox_depth, 1U);
    });
}

TEST(Listing, DoesNotKnowWhoHasEnded) {
    on_both_engines([](OwnedSystem& system) {
        auto clerk = system->spawn<Clerk>();
        const Pid pid = clerk.pid();
        EXPECT_TRUE(system->info(pid).has_value());
        clerk.stop();
        wait_for_end(system, clerk);
        EXPECT_TRUE(system->info(pid).error() == Errc::not_found);
        auto next = system->spawn<Clerk>();
        EXPECT_NE(next.pid(), pid);
        EXPECT_TRUE(system->info(pid).error() == Errc::not_found);
        EXPECT_TRUE(system->info(Pid()).error() == Errc::not_found);
        EXPECT_TRUE(system->info(Pid{0, 4'000'000'000, 1}).error() == Errc::not_found);
    });
}

TEST(Listing, MayBeTakenWhileActorsComeAndGo) {
    on_threads(2, [](OwnedSystem& system) {
        std::thread lister([&] {
            for (int i = 0; i < 300; ++i) {
                for (const ActorInfo& info : system->actors())
                    static_cast<void>(system->info(info.pid));
            }
        });
        for (int i = 0; i < 1000; ++i) {
            auto clerk = system->spawn<Clerk>();
            clerk.tell<&Clerk::work>();
            clerk.stop(Stop::drain);
        }
        lister.join();
    });
}

}  // namespace
}  // namespace troupe

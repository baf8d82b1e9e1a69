#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <memory>
#include <string>

namespace troupe {
namespace {

using actor_internal::QuietLog;

/// Keeps its worker until it is told, by other means than mail, to go on.
class Hog : public Actor {
public:
    void hold(std::shared_ptr<Latch> release) {
        while (!release->is_open())
            ::sched_yield();
    }
};

struct Heard {
    Latch any;
    StallReport report;
};

class StallKeeper : public Actor {
public:
    explicit StallKeeper(Heard* heard) : heard_(heard) {}
    void stalled(StallReport report) {
        if (heard_->any.is_open()) return;
        heard_->report = std::move(report);
        heard_->any.open();
    }

private:
    Heard* heard_;
};

// Goal: with one worker, and that one stuck, an actor hears who it is and what it is at. Method:
// the hog is let go by the report.
TEST(Stalls, AreToldToActorsWithActorAndMethod) {
    const QuietLog quiet;
    for (const std::size_t workers : {1U, 2U}) {
        Heard heard;
        auto release = std::make_shared<Latch>();
        OwnedSystem system(make_threaded_engine({.workers = workers}));
        const auto keeper = system->spawn<StallKeeper>(&heard);
        system->on_stall<&StallKeeper::stalled>(keeper);
        const auto hog = system->spawn<Hog>();
        hog.tell<&Hog::hold>(release);
        EXPECT_TRUE(system->engine().run_until(heard.any));
        release->open();
        system.stop();
        EXPECT_EQ((Pid{0, heard.report.slot, heard.report.generation}), hog.pid());
        EXPECT_NE(heard.report.type.find("Hog"), std::string::npos);
        EXPECT_NE(heard.report.method.find("Hog::hold"), std::string::npos);
        EXPECT_GE(heard.report.lasted, ThreadedOptions().stall_after);
    }
}

TEST(Stalls, AreNotToldToAListenerThatHasEnded) {
    const QuietLog quiet;
    Heard heard;
    Heard later;
    auto release = std::make_shared<Latch>();
    OwnedSystem system(make_threaded_engine({.workers = 1}));
    const auto gone = system->spawn<StallKeeper>(&heard);
    system->on_stall<&StallKeeper::stalled>(gone);
    gone.stop();
    actor_internal::wait_for_end(system, gone);
    const auto keeper = system->spawn<StallKeeper>(&later);
    system->on_stall<&StallKeeper::stalled>(keeper);
    system->spawn<Hog>().tell<&Hog::hold>(release);
    EXPECT_TRUE(system->engine().run_until(later.any));
    release->open();
    system.stop();
    EXPECT_FALSE(heard.any.is_open());
}

}  // namespace
}  // namespace troupe

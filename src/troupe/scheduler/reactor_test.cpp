#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using scheduler_internal::TestCell;

std::array<int, 2> socket_pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    return ends;
}

/// Cells in one thread and a reactor that the test polls: what happens between two steps of a
/// worker can be put into any order.
class ReactorTest : public testing::Test {
protected:
    ReactorTest() : ends(socket_pair()), watch(reactor.open(ends[0]).value()) { poll(); }
    ~ReactorTest() override {
        if (watch != nullptr) watch->close();
        if (ends[1] >= 0) ::close(ends[1]);
        engine->settle();  // a closed watch may still lie in a mailbox
    }

    bool poll() { return reactor.poll(Duration::zero()); }
    void write() { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
    void close_peer() { ::close(std::exchange(ends[1], -1)); }
    void close_watch() { std::exchange(watch, nullptr)->close(); }

    /// Begins to wait in a turn of the cell; `number` is the bits.
    void wait_in_turn(TestCell& self, int number) {
        if (number == TestCell::kAwaitEnded) {
            EXPECT_EQ(self.awaiting().arrived, watch);
            heard.push_back(&self);
            return;
        }
        self.begin();
        watch->wait_for(static_cast<std::uint32_t>(number), self.cell(), try_again);
    }
    void wait(TestCell& waiting, std::uint32_t bits) {
        waiting.send(static_cast<int>(bits));
        engine->settle();
    }
    TestCell::OnMail waiter() {
        return [this](TestCell& self, int number) { wait_in_turn(self, number); };
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    Reactor reactor;
    std::array<int, 2> ends;
    IoWatch* watch;
    bool (*try_again)(Awaiting&) = nullptr;
    std::vector<TestCell*> heard;
    TestCell cell{*engine, waiter()};
    TestCell other{*engine, waiter()};
};

TEST_F(ReactorTest, RefusesWhatCannotBeWatched) {
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    const auto refused = reactor.open(file);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::failed);
    EXPECT_EQ(reactor.watches(), 1U);
    EXPECT_EQ(::close(file), 0);  // it stayed ours
}

TEST_F(ReactorTest, ClosesTheDescriptorWithTheWatch) {
    const int fd = watch->fd();
    EXPECT_EQ(fd, ends[0]);
    EXPECT_EQ(reactor.watches(), 1U);
    close_watch();
    EXPECT_EQ(reactor.watches(), 0U);
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_F(ReactorTest, TellsWhatADescriptorIsReadyFor) {
    EXPECT_TRUE(watch->is_ready(IoWatch::kWritable));
    EXPECT_FALSE(watch->is_ready(IoWatch::kReadable));
    write();
    EXPECT_TRUE(poll());
    EXPECT_TRUE(watch->is_ready(IoWatch::kReadable));
    EXPECT_FALSE(watch->is_ready(IoWatch::kPeerFinished));
}

TEST_F(ReactorTest, ForgetsABitThatTheOwnerTakes) {
    write();
    poll();
    EXPECT_TRUE(watch->take_ready(IoWatch::kReadable));
    EXPECT_FALSE(watch->take_ready(IoWatch::kReadable));
    EXPECT_TRUE(watch->is_ready(IoWatch::kWritable));
    EXPECT_FALSE(poll());  // edges only: what was reported is not reported again
    write();
    poll();
    EXPECT_TRUE(watch->take_ready(IoWatch::kReadable));
}

TEST_F(ReactorTest, KeepsTheNewsThatThePeerHasFinished) {
    ASSERT_EQ(::shutdown(ends[1], SHUT_WR), 0);
    poll();
    EXPECT_TRUE(watch->take_ready(IoWatch::kReadable));
    EXPECT_TRUE(watch->is_ready(IoWatch::kPeerFinished));
    EXPECT_FALSE(watch->is_ready(IoWatch::kReadable));
}

TEST_F(ReactorTest, KeepsTheNewsThatThePeerIsGone) {
    close_peer();
    poll();
    EXPECT_TRUE(watch->take_ready(IoWatch::kReadable));
    EXPECT_TRUE(watch->take_ready(IoWatch::kReadable)) << "would wait for a peer that is gone";
    wait(cell, IoWatch::kReadable);
    EXPECT_EQ(heard.size(), 1U);
}

TEST_F(ReactorTest, ResumesTheCellThatWaitsForABit) {
    wait(cell, IoWatch::kReadable);
    EXPECT_TRUE(heard.empty());
    write();
    poll();
    engine->settle();
    EXPECT_EQ(heard, std::vector<TestCell*>{&cell});
}

TEST_F(ReactorTest, DoesNotResumeForAnotherBit) {
    watch->take_ready(IoWatch::kWritable);
    wait(cell, IoWatch::kWritable);
    write();
    poll();
    const bool told_writable = watch->is_ready(IoWatch::kWritable);
    engine->settle();
    EXPECT_EQ(heard.size(), told_writable ? 1U : 0U);
}

TEST_F(ReactorTest, ResumesAtOnceForABitThatIsSet) {
    wait(cell, IoWatch::kWritable);
    EXPECT_EQ(heard, std::vector<TestCell*>{&cell});
}

TEST_F(ReactorTest, ResumesAWaitOnceForManyEvents) {
    wait(cell, IoWatch::kReadable);
    for (int i = 0; i < 3; ++i) {
        write();
        poll();
    }
    engine->settle();
    EXPECT_EQ(heard.size(), 1U);
    wait(cell, IoWatch::kReadable);  // the bit is still set
    EXPECT_EQ(heard.size(), 2U);
}

TEST_F(ReactorTest, GoesOnWaitingWhenTryingAgainWasInVain) {
    static int tries = 0;
    tries = 0;
    try_again = [](Awaiting&) { return ++tries == 3; };
    wait(cell, IoWatch::kReadable);
    write();
    poll();
    engine->settle();
    EXPECT_EQ(tries, 3);
    EXPECT_EQ(heard.size(), 1U);
}

TEST_F(ReactorTest, SaysNothingAfterTheWatchIsClosed) {
    wait(cell, IoWatch::kReadable);
    write();
    poll();         // queued in the mailbox
    close_watch();  // and freed by whoever takes it out: the address sanitizer looks on
    engine->settle();
    EXPECT_TRUE(heard.empty());
}

TEST_F(ReactorTest, SaysNothingToACellThatHasEnded) {
    wait(cell, IoWatch::kReadable);
    cell.close();
    write();
    poll();
    engine->settle();
    EXPECT_TRUE(heard.empty());
    EXPECT_TRUE(watch->is_ready(IoWatch::kReadable));  // for whoever waits next
    wait(other, IoWatch::kReadable);
    EXPECT_EQ(heard, std::vector<TestCell*>{&other});
}

TEST_F(ReactorTest, FollowsAWatchThatIsGivenToAnotherCell) {
    wait(cell, IoWatch::kReadable);
    wait(other, IoWatch::kReadable);
    write();
    poll();
    engine->settle();
    EXPECT_EQ(heard, std::vector<TestCell*>{&other});
}

TEST_F(ReactorTest, FreesAWatchOnceThatWasClosedByItsSecondOwner) {
    wait(cell, IoWatch::kReadable);
    other.send(static_cast<int>(IoWatch::kReadable));
    engine->settle();
    write();
    poll();
    close_watch();
    engine->settle();
    EXPECT_TRUE(heard.empty());
}

TEST_F(ReactorTest, UsesASlotAgainAndTellsItsWatchesApart) {
    write();  // reported for the slot, not yet polled
    close_watch();
    const auto next = socket_pair();
    watch = reactor.open(next[0]).value();
    poll();
    EXPECT_FALSE(watch->is_ready(IoWatch::kReadable));
    EXPECT_TRUE(watch->is_ready(IoWatch::kWritable));
    EXPECT_EQ(reactor.watches(), 1U);
    ::close(next[1]);
}

TEST_F(ReactorTest, EndsAPollWhenItIsWoken) {
    reactor.wake();
    reactor.wake();
    EXPECT_TRUE(reactor.poll(Duration::max()));
    EXPECT_FALSE(poll());  // two calls are one wake-up
    std::thread waker([&] { reactor.wake(); });
    while (!reactor.poll(std::chrono::hours(1))) {  // may end early, not without an event
    }
    waker.join();
}

TEST_F(ReactorTest, LeavesAWakeUpToTheOwnerWhenAnotherPolls) {
    reactor.wake();
    write();
    EXPECT_TRUE(reactor.poll_for_owner());  // the socket
    EXPECT_TRUE(watch->is_ready(IoWatch::kReadable));
    EXPECT_FALSE(reactor.poll_for_owner());
    EXPECT_TRUE(reactor.poll(Duration::max()));
}

TEST_F(ReactorTest, SaysThatItIsAwakeBeforeItWakesAnybody) {
    wait(cell, IoWatch::kReadable);
    write();
    bool asked = false;
    struct Seen {
        IoWatch* watch;
        bool* asked;
    } seen{watch, &asked};
    reactor.poll(
        Duration::max(),
        [](void* whom) noexcept {
            const auto* const what = static_cast<Seen*>(whom);
            *what->asked = true;
            EXPECT_FALSE(what->watch->is_ready(IoWatch::kReadable));
        },
        &seen);
    EXPECT_TRUE(asked);
    EXPECT_TRUE(watch->is_ready(IoWatch::kReadable));
}

TEST_F(ReactorTest, WaitsNoLongerThanItIsTold) {
    EXPECT_FALSE(reactor.poll(std::chrono::microseconds(10)));
    EXPECT_FALSE(reactor.poll(std::chrono::milliseconds(2)));
}

// Goal: a watch changes hands while its signal lies in the first owner's mailbox. Method: every
// order of the two turns; the second owner hears of it in each, and may close it.
TEST(Reactor, FollowsItsWatchWhicheverTurnComesFirst) {
    const Exploration all = explore_depth_first(1000, 30, [](Engine& engine) {
        Reactor reactor;
        const std::array<int, 2> ends = socket_pair();
        IoWatch* const watch = reactor.open(ends[0]).value();
        int second_heard = 0;
        const auto wait = [&](TestCell& self) {
            self.begin();
            watch->wait_for(IoWatch::kReadable, self.cell());
        };
        TestCell first(engine, [&](TestCell& self, int number) {
            if (number != TestCell::kAwaitEnded) wait(self);
        });
        TestCell second(engine, [&](TestCell& self, int number) {
            if (number != TestCell::kAwaitEnded) {
                wait(self);
                return;
            }
            ++second_heard;
            watch->close();
        });
        first.send(1);
        engine.settle();
        EXPECT_EQ(::write(ends[1], "x", 1), 1);
        reactor.poll(Duration::zero());
        second.send(1);
        engine.settle();
        EXPECT_EQ(second_heard, 1);
        EXPECT_EQ(reactor.watches(), 0U);
        ::close(ends[1]);
    });
    EXPECT_TRUE(all.exhaustive);
    EXPECT_GT(all.runs, 1U);
}

// Goal: a watch may be closed while others poll, and an event that the kernel reported before meets
// neither the closed watch nor its successor in the slot. Method: two threads that poll all the
// time, and a cell that opens, writes, waits and closes.
TEST(Reactor, ClosesWatchesWhileOthersPoll) {
    constexpr int kRounds = 2000;
    ThreadedOptions options;
    options.workers = 2;
    auto engine = make_threaded_engine(options);
    Reactor reactor;
    std::atomic<bool> over{false};
    std::vector<std::thread> pollers;
    for (int i = 0; i < 2; ++i) {
        pollers.emplace_back([&] {
            while (!over.load(std::memory_order_relaxed))
                reactor.poll_for_owner();
        });
    }
    Latch done;
    int left = kRounds;
    IoWatch* watch = nullptr;
    std::array<int, 2> ends{};
    TestCell cell(*engine, [&](TestCell& self, int) {
        if (watch != nullptr) {
            watch->close();
            ::close(ends[1]);
            watch = nullptr;
        }
        if (--left < 0) {
            if (left == -1) done.open();
            return;
        }
        ends = socket_pair();
        watch = reactor.open(ends[0]).value();
        // Some are closed while they wait, some just after, some before anything has happened.
        if (left % 3 != 0) {
            EXPECT_EQ(::write(ends[1], "x", 1), 1);
        }
        if (self.cell().awaiting_ != nullptr) self.cell().awaiting_ = nullptr;
        self.begin();
        if (left % 2 != 0) watch->wait_for(IoWatch::kReadable, self.cell());
        self.send(0);
    });
    cell.send(0);
    engine->run_until(done);
    over.store(true, std::memory_order_relaxed);
    for (std::thread& poller : pollers)
        poller.join();
    engine->stop();
    EXPECT_EQ(reactor.watches(), 0U);
}

}  // namespace
}  // namespace troupe

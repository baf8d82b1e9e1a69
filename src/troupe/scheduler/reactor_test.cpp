#include <troupe/base/block_pool.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <utility>

// The reactor is polled by hand here and its owners run on the deterministic engine, so that the
// orders of polling, turns and waits can all be walked.

namespace troupe::scheduler_internal {
namespace {

/// Both ends of a local connection; one of them is watched.
class Watched {
public:
    explicit Watched(Reactor& reactor) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        peer_ = ends[1];
        Result<IoWatch*> watch = reactor.open(ends[0]);
        EXPECT_TRUE(watch.has_value());
        watch_ = *watch;
        reactor.poll(Duration::zero());  // what is so from the beginning: there is room to write
        EXPECT_TRUE(watch_->take_ready(IoWatch::kWritable));
    }
    ~Watched() {
        if (watch_ != nullptr) watch_->close();
        ::close(peer_);
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    IoWatch& watch() noexcept { return *watch_; }
    void close_watch() noexcept { std::exchange(watch_, nullptr)->close(); }
    void send_byte() { EXPECT_EQ(::send(peer_, "x", 1, MSG_NOSIGNAL), 1); }
    void finish_sending() { EXPECT_EQ(::shutdown(peer_, SHUT_WR), 0); }

private:
    IoWatch* watch_ = nullptr;
    int peer_ = -1;
};

/// A cell that waits for the watch when it is sent a message, and counts how often that ended.
class Waiter {
public:
    Waiter(Engine& engine, IoWatch& watch, bool (*try_again)(Awaiting&) = nullptr)
        : cell_(engine, [this, &watch, try_again](TestCell& self, int number) {
              if (number == TestCell::kAwaitEnded) {
                  ++woken_;
                  return;
              }
              self.begin();
              watch.take_ready(IoWatch::kReadable);
              watch.wait_for(IoWatch::kReadable, self.cell(), try_again);
              if (waiting_) waiting_();
          }) {}

    TestCell& cell() noexcept { return cell_; }
    void wait() { EXPECT_EQ(cell_.send(1), PushResult::pushed); }
    int woken() const noexcept { return woken_; }
    /// Called in the turn that has begun to wait.
    std::function<void()> waiting_;

private:
    int woken_ = 0;
    TestCell cell_;
};

template <class Body>
void on_every_schedule(Body body) {
    const Exploration seen = explore_depth_first(10'000, 1000, [&](Engine& engine) {
        body(engine);
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(seen.exhaustive);
}

TEST(Reactor, WakesWhoWaitsForABit) {
    on_every_schedule([](Engine& engine) {
        Reactor reactor;
        Watched watched(reactor);
        Waiter waiter(engine, watched.watch());
        waiter.wait();
        engine.settle();
        EXPECT_FALSE(reactor.poll(Duration::zero()));
        EXPECT_EQ(waiter.woken(), 0);
        watched.send_byte();
        EXPECT_TRUE(reactor.poll(Duration::zero()));
        engine.settle();
        EXPECT_EQ(waiter.woken(), 1);
        EXPECT_TRUE(watched.watch().is_ready(IoWatch::kReadable));
    });
}

TEST(Reactor, ABitThatIsSetAlreadyEndsTheWait) {
    on_every_schedule([](Engine& engine) {
        Reactor reactor;
        Watched watched(reactor);
        watched.send_byte();
        reactor.poll(Duration::zero());
        TestCell late(engine, [&](TestCell& self, int number) {
            if (number == TestCell::kAwaitEnded) return;
            self.begin();
            watched.watch().wait_for(IoWatch::kReadable, self.cell());
        });
        EXPECT_EQ(late.send(1), PushResult::pushed);
        engine.settle();
        EXPECT_NE(late.awaiting().arrived, nullptr);
    });
}

// The end may come with the edge of the last bytes, so it must outlast the taking of that edge.
TEST(Reactor, RemembersThatThePeerHasFinished) {
    Reactor reactor;
    Watched watched(reactor);
    watched.send_byte();
    reactor.poll(Duration::zero());
    EXPECT_FALSE(watched.watch().is_ready(IoWatch::kPeerFinished));
    watched.finish_sending();
    reactor.poll(Duration::zero());
    EXPECT_TRUE(watched.watch().take_ready(IoWatch::kReadable));
    EXPECT_FALSE(watched.watch().is_ready(IoWatch::kReadable));
    EXPECT_TRUE(watched.watch().is_ready(IoWatch::kPeerFinished));
}

IoWatch* tried = nullptr;
int tries_left = 0;

TEST(Reactor, AWaitGoesOnUntilItsTrySucceeds) {
    on_every_schedule([](Engine& engine) {
        Reactor reactor;
        Watched watched(reactor);
        tried = &watched.watch();
        tries_left = 3;
        Waiter waiter(engine, watched.watch(), [](Awaiting&) {
            EXPECT_TRUE(tried->take_ready(IoWatch::kReadable));
            return --tries_left == 0;
        });
        waiter.wait();
        engine.settle();
        for (const int left : {2, 1, 0}) {
            watched.send_byte();
            reactor.poll(Duration::zero());
            engine.settle();
            EXPECT_EQ(tries_left, left);
            EXPECT_EQ(waiter.woken(), left == 0 ? 1 : 0);
        }
    });
}

/// An event for the first owner lies in its mailbox, unread, when the second begins to wait; then
/// there is another one. `meanwhile` is what becomes of the first.
template <class Meanwhile>
void hand_over(Engine& engine, Meanwhile meanwhile) {
    Reactor reactor;
    Watched watched(reactor);
    Waiter first(engine, watched.watch());
    Waiter second(engine, watched.watch());
    first.wait();
    engine.settle();
    watched.send_byte();
    reactor.poll(Duration::zero());
    engine.settle();
    EXPECT_EQ(first.woken(), 1);

    watched.watch().take_ready(IoWatch::kReadable);
    watched.send_byte();
    reactor.poll(Duration::zero());  // posted to the first, whose turn has not come
    second.waiting_ = [&] {
        watched.send_byte();
        reactor.poll(Duration::zero());
        meanwhile(first);
    };
    second.wait();
    engine.settle();
    EXPECT_EQ(second.woken(), 1);
    EXPECT_EQ(first.woken(), 1);
}

TEST(Reactor, AnEventInTheOldOwnersMailboxReachesTheNewOne) {
    on_every_schedule([](Engine& engine) { hand_over(engine, [](Waiter&) {}); });
}

TEST(Reactor, AnEventInTheMailboxOfAnOwnerThatEndsReachesTheNewOne) {
    on_every_schedule(
        [](Engine& engine) { hand_over(engine, [](Waiter& first) { first.cell().close(); }); });
}

TEST(Reactor, AWatchClosedWhileItLiesInAMailboxIsFreedThere) {
    on_every_schedule([](Engine& engine) {
        const std::uint64_t before = block_pool_stats().live_blocks;
        {
            Reactor reactor;
            Watched watched(reactor);
            Waiter waiter(engine, watched.watch());
            waiter.wait();
            engine.settle();
            watched.send_byte();
            reactor.poll(Duration::zero());
            watched.close_watch();
            engine.settle();
            EXPECT_EQ(waiter.woken(), 0);
            EXPECT_EQ(reactor.watches(), 0u);
        }
        EXPECT_EQ(block_pool_stats().live_blocks, before);
    });
}

TEST(Reactor, AnEventForAClosedWatchDoesNotReachTheNextInItsPlace) {
    Reactor reactor;
    Watched first(reactor);
    first.send_byte();
    first.close_watch();
    Watched second(reactor);
    reactor.poll(Duration::zero());
    EXPECT_FALSE(second.watch().is_ready(IoWatch::kReadable));
}

TEST(Reactor, AWakeEndsTheNextWait) {
    Reactor reactor;
    reactor.wake();
    EXPECT_TRUE(reactor.poll(Duration::max()));
}

TEST(Reactor, RefusesWhatCannotBeWatched) {
    Reactor reactor;
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(reactor.open(file).error(), Errc::failed);
    ::close(file);
    EXPECT_EQ(reactor.watches(), 0u);
}

}  // namespace
}  // namespace troupe::scheduler_internal

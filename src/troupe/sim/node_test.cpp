#include <troupe/actor/actor.hpp>
#include <troupe/actor/actor_timer.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/sim/node.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/test.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using sim::Node;
using sim::NodeMain;
using sim::NodeOptions;
using sim::Outage;

constexpr std::uint16_t kPort = 4000;

/// Answers each connection with how many it has had, in this life, and what its disk knows.
Task<void> counting(Node& node) {
    Engine& engine = node.system().engine();
    Result<Listener> listener = Listener::listen(engine, Endpoint("0.0.0.0", kPort));
    EXPECT_TRUE(listener.has_value());
    for (int count = 1;; ++count) {
        Result<Stream> stream = co_await listener->accept();
        if (!stream) co_return;
        const std::string line = node.name() + " " + std::to_string(count) + "\n";
        const auto written = co_await stream->write_all(line);
        ignore(written, "the peer may have gone");
    }
}

Task<std::string> ask_on(Engine* engine, std::string host) {
    const Result<std::vector<std::string>> found = co_await resolve(*engine, host);
    if (!found) co_return found.error().message();
    Result<Stream> stream = co_await connect(*engine, Endpoint(found->front(), kPort), 2s);
    if (!stream) co_return "no connection: " + stream.error().message();
    std::string text;
    for (;;) {
        std::array<char, 64> buffer{};
        const Result<std::size_t> read = co_await stream->read_some(buffer);
        if (!read) co_return text + "then " + read.error().message();
        if (*read == 0) co_return text;
        text.append(buffer.data(), *read);
    }
}

std::string ask(Sim& sim, std::string host) {
    return sim.run(ask_on(&sim.engine(), std::move(host)));
}

// ---- crash and restart --------------------------------------------------------------------------

TROUPE_SIM_TEST(Node, IsFoundByItsNameAndBeginsAnewAfterACrash) {
    Node& one = sim.node("one", counting);
    sim.node("two", counting);
    EXPECT_EQ(ask(sim, "one"), "one 1\n");
    EXPECT_EQ(ask(sim, "one"), "one 2\n");
    EXPECT_EQ(ask(sim, "two"), "two 1\n");
    one.crash();
    EXPECT_FALSE(one.up());
    one.start();
    EXPECT_EQ(one.lives(), 2U);
    EXPECT_EQ(ask(sim, "one"), "one 1\n");
    EXPECT_EQ(ask(sim, "two"), "two 2\n");
}

TROUPE_SIM_TEST(Node, ThatHasLostItsPowerIsSilentAndOneThatWasKilledRefuses) {
    Node& one = sim.node("one", counting);
    one.crash(Outage::power);
    EXPECT_NE(ask(sim, "one").find("timed_out"), std::string::npos) << ask(sim, "one");
    one.start();
    one.crash(Outage::process);
    EXPECT_NE(ask(sim, "one").find("nobody listens there"), std::string::npos);
    one.start();
    EXPECT_EQ(ask(sim, "one"), "one 1\n");
}

class Ticker : public Actor {
public:
    explicit Ticker(int* ticks) : ticks_(ticks) {
        ignore(every<&Ticker::tick>(1s), "it ticks for ever");
    }
    ~Ticker() override { ++ended; }
    Task<void> on_stop(const ExitReason&) override {
        ++stopped;
        co_return;
    }

    static inline int ended = 0;
    static inline int stopped = 0;

private:
    void tick() { ++*ticks_; }
    int* ticks_;
};

TROUPE_SIM_TEST(Node, RunsNoLineOfItsCodeAfterACrash) {
    int ticks = 0;
    Ticker::ended = 0;
    Ticker::stopped = 0;
    Node& one = sim.node("one", [&](Node& node) -> Task<void> {
        node.system().spawn<Ticker>(&ticks);
        co_return;
    });
    sim.advance(3500ms);
    EXPECT_EQ(ticks, 3);
    sim.run_steps(sim.choose(4, "when it crashes"));
    const int before = ticks;
    one.crash();
    sim.advance(10s);
    EXPECT_EQ(ticks, before);
    EXPECT_EQ(Ticker::ended + Ticker::stopped, 0);
}

TROUPE_SIM_TEST(Node, IsStoppedInOrder) {
    Ticker::ended = 0;
    int ticks = 0;
    bool finished = false;
    Node& one = sim.node("one", [&](Node& node) -> Task<void> {
        node.system().spawn<Ticker>(&ticks);
        co_await node.system().stop_requested();
        finished = true;
    });
    sim.settle();
    one.stop();
    EXPECT_TRUE(finished);
    EXPECT_EQ(Ticker::ended, 1);
}

TROUPE_SIM_TEST(Node, KeepsWhatItsDiskHasSynced) {
    int lives = 0;
    Node& one = sim.node("one", [&](Node& node) -> Task<void> {
        sim::Disk& disk = node.disk();
        if (lives++ == 0) {
            EXPECT_TRUE(disk.write("safe", 0, "kept").has_value());
            EXPECT_TRUE(disk.sync("safe").has_value());
            EXPECT_TRUE(disk.write("unsafe", 0, "perhaps").has_value());
        } else {
            EXPECT_EQ(disk.read("safe", 0, 10).value_or(""), "kept");
            sim::sometimes(!disk.read("unsafe", 0, 10).has_value(), "an unsynced file is lost");
            sim::sometimes(disk.read("unsafe", 0, 10).value_or("") == "perhaps", "or is kept");
        }
        co_return;
    });
    sim.settle();
    one.crash();
    one.start();
    sim.settle();
    EXPECT_EQ(lives, 2);
}

Task<Stream> connected(Engine* engine) {
    Result<Stream> stream = co_await connect(*engine, Endpoint("10.0.0.2", kPort), 2s);
    if (!stream) co_return Stream();
    co_return std::move(*stream);
}

Task<std::string> written_until_it_fails(Stream* stream) {
    for (;;) {
        const auto written = co_await stream->write_all("hello");
        if (!written) co_return written.error().message();
        const auto slept = co_await sleep(10ms);
        if (!slept) co_return "";
    }
}

TROUPE_SIM_TEST(Node, ThatIsBackResetsWhatItsFormerLifeHadOpen) {
    Node& one = sim.node("one", [](Node& node) -> Task<void> {
        Result<Listener> listener =
            Listener::listen(node.system().engine(), Endpoint("0.0.0.0", kPort));
        Result<Stream> stream = co_await listener->accept();
        co_await node.system().stop_requested();
    });
    Stream stream = sim.run(connected(&sim.engine()));
    ASSERT_TRUE(stream.is_open());
    one.crash();
    one.start();
    const std::string heard = sim.run(written_until_it_fails(&stream));
    EXPECT_NE(heard.find("reset"), std::string::npos) << heard;
}

// ---- partitions and names -----------------------------------------------------------------------

TROUPE_SIM_TEST(Node, CanBePartitionedFromAnotherAndNotFromTheRest) {
    std::string heard;
    sim.node("one", counting);
    sim.node("two", [&](Node& node) -> Task<void> {
        for (;;) {
            const auto slept = co_await sleep(10s);
            if (!slept) co_return;
            heard = co_await ask_on(&node.system().engine(), "one");
        }
    });
    sim.partition("one", "two");
    sim.advance(15s);
    EXPECT_NE(heard.find("timed_out"), std::string::npos) << heard;
    EXPECT_EQ(ask(sim, "one"), "one 1\n");
    sim.mend_partition("one", "two");
    sim.advance(15s);
    EXPECT_EQ(heard, "one 2\n");
    sim.cut(sim::kTestMachine, "one");
    EXPECT_NE(ask(sim, "one").find("timed_out"), std::string::npos);
}

TROUPE_SIM_TEST(Node, StandsStillAndGoesOn) {
    int ticks = 0;
    Node& one = sim.node("one", [&](Node& node) -> Task<void> {
        node.system().spawn<Ticker>(&ticks);
        co_await counting(node);
    });
    sim.settle();
    one.pause();
    EXPECT_TRUE(one.paused());
    sim.advance(10s);
    EXPECT_EQ(ticks, 0);
    one.resume();
    sim.advance(2s);
    EXPECT_GE(ticks, 1);
    EXPECT_EQ(ask(sim, "one"), "one 1\n");
}

TROUPE_SIM_TEST(Node, IsCutOffAndJoinedAgainBySwizzling) {
    int failures = 0;
    const NodeMain asking = [&](Node& node) -> Task<void> {
        for (;;) {
            const auto slept = co_await sleep(1s);
            if (!slept) co_return;
            const std::string answer = co_await ask_on(&node.system().engine(), "one");
            failures += answer.starts_with("one ") ? 0 : 1;
        }
    };
    sim.node("one", counting);
    sim.node("two", asking);
    sim.node("three", asking);
    sim.swizzle(20s);
    sim::sometimes(failures > 0, "somebody is cut off");
    sim::sometimes(failures == 0, "nobody is");
    const int before = failures;
    sim.advance(10s);
    EXPECT_LE(failures, before + 2) << "those under way";
    EXPECT_TRUE(ask(sim, "one").starts_with("one "));
}

TROUPE_SIM_TEST(Node, IsNotFoundWhenNamesFailOrChange) {
    sim.node("one", counting);
    sim.node("two", counting);
    EXPECT_NE(ask(sim, "three").find("no address is known"), std::string::npos);
    NetworkConditions conditions;
    conditions.failed_lookups_per_thousand = 1000;
    conditions.lookup_latency_max = 3s;
    set_network_conditions(sim.engine(), conditions);
    bool late = false;
    for (int i = 0; i < 3; ++i) {
        const Duration before = sim.now();
        EXPECT_NE(ask(sim, "one").find("no server has answered"), std::string::npos);
        late = late || sim.now() - before >= 1s;
    }
    sim::sometimes(late, "a look-up takes long");
    sim.heal();
    EXPECT_TRUE(ask(sim, "one").starts_with("one ")) << "a healed world has no faults";
    set_host_addresses(sim.engine(), "one", {"10.0.0.3"});
    EXPECT_TRUE(ask(sim, "one").starts_with("two "));
}

// ---- clocks -------------------------------------------------------------------------------------

TROUPE_SIM_TEST(NodeClock, DriftsAndJumpsWithoutDisturbingTheOthers) {
    Duration fired_at{};
    Node& fast = sim.node(
        "fast",
        [&](Node& node) -> Task<void> {
            const auto slept = co_await sleep(100s);
            ignore(slept, "nobody cancels it");
            fired_at = sim.now();
            co_await node.system().stop_requested();
        },
        NodeOptions{.clock = {.wall_offset = 1h, .drift_ppm = 100'000}});
    const Duration difference = fast.system().engine().wall_now() - sim.engine().wall_now();
    EXPECT_EQ(difference, Duration(1h));
    sim.advance(110s);
    // Its clock has shown 100 s a tenth earlier than ours.
    EXPECT_GE(fired_at, 90s);
    EXPECT_LT(fired_at, 91s);
    EXPECT_EQ(fast.system().engine().now(), Duration(121s));
    fast.set_drift(0);
    fast.jump_clock(-2h);
    EXPECT_EQ(fast.system().engine().wall_now() - sim.engine().wall_now(), Duration(11s - 1h));
    EXPECT_EQ(fast.system().engine().now(), Duration(121s));
    // A clock goes on over a crash, and time since the beginning does not.
    fast.crash();
    fast.start();
    EXPECT_EQ(fast.system().engine().wall_now() - sim.engine().wall_now(), Duration(11s - 1h));
    EXPECT_EQ(fast.system().engine().now(), Duration());
}

}  // namespace
}  // namespace troupe

#include <troupe/sim/programs.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/test.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using sim::ChildEnd;
using sim::Programs;
using sim::Script;

struct Seen {
    std::string output;
    ChildEnd end;
};

Task<Seen> run_to_its_end(Programs* programs, std::string name) {
    Seen seen;
    auto child = programs->start(name, {"a", "b"});
    EXPECT_TRUE(child.has_value());
    if (!child) co_return seen;
    for (;;) {
        const auto text = co_await child->read();
        EXPECT_TRUE(text.has_value());
        if (!text || text->empty()) break;
        seen.output += *text + "|";
    }
    const auto end = co_await child->wait();
    if (end) seen.end = *end;
    co_return seen;
}

TROUPE_SIM_TEST(Programs, SayWhatTheirScriptsSayInTimeAndExit) {
    Programs programs(sim);
    programs.set("convert", Script().says("one").waits(2s).says("two").waits(1s).exits(3));
    const Seen seen = sim.run(run_to_its_end(&programs, "convert"));
    EXPECT_EQ(seen.output, "one|two|");
    EXPECT_EQ(seen.end, (ChildEnd{3, 0}));
    EXPECT_EQ(sim.now(), Duration(3s));
    EXPECT_EQ(programs.started(), 1U);
    EXPECT_EQ(programs.running(), 0U);
}

TROUPE_SIM_TEST(Programs, AreWhatTheirArgumentsMakeOfThem) {
    Programs programs(sim);
    programs.set("echo", [](const std::vector<std::string>& arguments) {
        return Script().says(arguments.at(1));
    });
    EXPECT_EQ(sim.run(run_to_its_end(&programs, "echo")).output, "b|");
    const auto missing = programs.start("sed");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error(), Errc::not_found);
}

TROUPE_SIM_TEST(Programs, DieOfTheirOwnSignalAndMayTakeTheirTime) {
    Programs programs(sim);
    programs.set("crash", Script().says("so far").waits_up_to(3s).dies(SIGSEGV).says("never"));
    const Seen seen = sim.run(run_to_its_end(&programs, "crash"));
    EXPECT_EQ(seen.output, "so far|");
    EXPECT_EQ(seen.end, (ChildEnd{0, SIGSEGV}));
    sim::sometimes(sim.now() == Duration(), "at once");
    sim::sometimes(sim.now() == Duration(3s), "late");
}

Task<ChildEnd> stopped_in_time(Programs* programs, Duration patience) {
    auto child = programs->start("server");
    if (!child) co_return ChildEnd();
    child->terminate();
    const auto wait = [&child]() -> Task<Result<ChildEnd>> { co_return co_await child->wait(); };
    const auto ended = co_await within(patience, wait);
    if (ended) co_return *ended;
    child->kill();
    const auto killed = co_await child->wait();
    co_return killed.value_or(ChildEnd());
}

TROUPE_SIM_TEST(Programs, ThatHangAreTerminatedOrKilled) {
    Programs programs(sim);
    programs.set("server", Script().hangs());
    EXPECT_EQ(sim.run(stopped_in_time(&programs, 5s)), (ChildEnd{0, SIGTERM}));
    EXPECT_EQ(sim.now(), Duration());
    programs.set("server", Script().ignores_term().hangs());
    EXPECT_EQ(sim.run(stopped_in_time(&programs, 5s)), (ChildEnd{0, SIGKILL}));
    EXPECT_EQ(sim.now(), Duration(5s));
    EXPECT_EQ(programs.running(), 0U);
}

Task<void> killed_meanwhile(Programs* programs, Sim* sim) {
    auto child = programs->start("talk");
    if (!child) co_return;
    const auto first = co_await child->read();
    EXPECT_EQ(first.value_or(""), "a");
    child->kill();
    const auto rest = co_await child->read();
    EXPECT_EQ(rest.value_or("?"), "") << "what it would have said later is not said";
    EXPECT_EQ(sim->now(), Duration());
}

TROUPE_SIM_TEST(Programs, SayNothingMoreOnceKilled) {
    Programs programs(sim);
    programs.set("talk", Script().says("a").waits(1s).says("b"));
    sim.run(killed_meanwhile(&programs, &sim));
}

}  // namespace
}  // namespace troupe

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

constexpr CellType kOne;
constexpr CellType kOther;

TEST(MailStamp, SaysForHowLongToTwoMillisecondsAndNeverTooMuch) {
    for (const Duration sent : {0ms, 1ms, 999ms, 68'000ms, 3'600'000ms}) {
        for (const Duration wait : {0us, 900us, 1'100us, 5'000us, 1'000'000us, 60'000'000us}) {
            const Duration said = waited_since(mail_stamp(sent), sent + wait);
            EXPECT_LE(said, wait);
            EXPECT_GE(said + 2 * Duration(1 << 20), wait);
        }
    }
}

TEST(MailStamp, LeavesTheLowerHalfOfTheTagAlone) {
    EXPECT_EQ(mail_stamp(5s) & 0xFFFF, 0U);
    EXPECT_EQ(waited_since(mail_stamp(5s) | 0xFFFF, 7s), waited_since(mail_stamp(5s), 7s));
}

TEST(MailStamp, OfAClockThatIsAheadOrOfNobodySaysNothing) {
    EXPECT_EQ(waited_since(0, 5s), 0s);
    EXPECT_EQ(waited_since(mail_stamp(5s + 1ms), 5s), 0s);
}

TEST(MailStats, KeepTheTypesApart) {
    MailStats stats;
    stats.of(kOne)->note_depth(7);
    stats.of(kOther)->note_depth(9);
    stats.of(kOne)->note_depth(3);
    EXPECT_EQ(stats.of(kOne)->most, 7U);
    EXPECT_EQ(stats.of(kOther)->most, 9U);
    std::size_t types = 0;
    stats.for_each([&](const MailStats::OfType&) { ++types; });
    EXPECT_EQ(types, 2U);
}

TEST(MailStats, CountEveryWaitThatThreadsNoteAtTheSameTime) {
    constexpr std::size_t kThreads = 4;
    constexpr std::size_t kEach = 1'000;
    MailStats stats;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&stats] {
            for (std::size_t n = 0; n < kEach; ++n) {
                stats.of(kOne)->note_wait(n % 2 == 0 ? Duration::zero() : Duration(1ms));
                stats.of(kOne)->note_depth(n);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(stats.of(kOne)->at_once, kThreads * kEach / 2);
    EXPECT_EQ(stats.of(kOne)->waits.load()->count(), kThreads * kEach / 2);
    EXPECT_EQ(stats.of(kOne)->most, kEach - 1);
}

TEST(MailStats, MissNoHighWaterMarkOfAMailboxFromSixteenMessagesOn) {
    constexpr std::size_t kMessages = 40;
    RandomChooser chooser{1};
    const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    TestCell cell(*engine);
    for (std::size_t i = 0; i < kMessages; ++i)
        cell.send(static_cast<int>(i));
    engine->settle();
    EXPECT_EQ(engine->mail_stats().of(*cell.cell().type())->most, kMessages);
}

}  // namespace
}  // namespace troupe

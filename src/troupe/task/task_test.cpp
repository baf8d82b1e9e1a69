#include <troupe/base/block_pool.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using task_internal::on_both_engines;
using task_internal::on_one_thread;

using Log = std::vector<std::string>;

/// Says when it is destroyed.
class Mark {
public:
    Mark(Log* log, std::string name) : log_(log), name_(std::move(name)) {}
    Mark(Mark&& other) noexcept
        : log_(std::exchange(other.log_, nullptr)), name_(std::move(other.name_)) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    Mark& operator=(Mark&&) = delete;
    ~Mark() {
        if (log_ != nullptr) log_->push_back("~" + name_);
    }

private:
    Log* log_;
    std::string name_;
};

// ---- lazy ---------------------------------------------------------------------------------------

Task<int> noted(Log* log, Mark mark) {
    static_cast<void>(mark);
    log->push_back("runs");
    co_return 7;
}

TEST(Task, RunsNothingUntilItIsAwaited) {
    on_both_engines([](Engine& engine) {
        Log log;
        auto task = noted(&log, Mark(&log, "argument"));
        EXPECT_TRUE(log.empty());
        EXPECT_EQ(block_on(engine, std::move(task)), 7);
        EXPECT_EQ(log, (Log{"runs", "~argument"}));
    });
}

TEST(Task, DestroyedUnstartedRunsNothingAndFreesItsArguments) {
    const std::uint64_t live = block_pool_stats().live_blocks;
    Log log;
    {
        auto task = noted(&log, Mark(&log, "argument"));
    }
    EXPECT_EQ(log, Log{"~argument"});
    EXPECT_EQ(block_pool_stats().live_blocks, live);
}

TEST(Task, AssignedOverIsDestroyedUnstarted) {
    Log log;
    auto task = noted(&log, Mark(&log, "first"));
    task = noted(&log, Mark(&log, "second"));
    EXPECT_EQ(log, Log{"~first"});
    task = Task<int>();
    EXPECT_EQ(log, (Log{"~first", "~second"}));
    EXPECT_TRUE(task.empty());
}

// ---- results ------------------------------------------------------------------------------------

Task<int> number(int n) {
    co_return n;
}
Task<std::string> text(std::string s) {
    co_await yield();
    co_return s;
}
Task<std::unique_ptr<int>> owned(int n) {
    co_return std::make_unique<int>(n);
}
Task<> set(int* to, int n) {
    co_await yield();
    *to = n;
}
Task<std::string> all_kinds() {
    std::string out;
    out += std::to_string(co_await number(1) + co_await number(2));
    out += co_await text(" two");
    const auto pointer = co_await owned(3);
    out += std::to_string(*pointer);
    int changed = 0;
    co_await set(&changed, 4);
    out += std::to_string(changed);
    co_return out;
}

TEST(Task, GivesValuesMoveOnlyValuesAndNothing) {
    on_both_engines([](Engine& engine) { EXPECT_EQ(block_on(engine, all_kinds()), "3 two34"); });
}

Task<std::unique_ptr<int>> hand_through(std::unique_ptr<int> value, int levels) {
    if (levels == 0) {
        co_await yield();
        co_return value;
    }
    co_return co_await hand_through(std::move(value), levels - 1);
}

TEST(Task, HandsAValueThroughAThousandLevelsThatSuspendBelow) {
    on_both_engines(
        [](Engine& engine) {
            EXPECT_EQ(*block_on(engine, hand_through(std::make_unique<int>(5), 1000)), 5);
        },
        3);
}

// ---- exceptions ---------------------------------------------------------------------------------

Task<int> thrower(Log* log, bool suspends) {
    const Mark mark(log, "thrower");
    if (suspends) co_await yield();
    throw std::runtime_error("deep down");
}
Task<int> middle(Log* log, bool suspends) {
    const Mark mark(log, "middle");
    const int got = co_await thrower(log, suspends);
    log->push_back("never");
    co_return got;
}
Task<int> outer(Log* log, bool suspends) {
    const Mark mark(log, "outer");
    co_return co_await middle(log, suspends);
}
Task<int> catcher(Log* log) {
    for (const bool suspends : {false, true}) {
        try {
            co_await outer(log, suspends);
        } catch (const std::runtime_error& error) {
            log->push_back(error.what());
        }
    }
    co_return static_cast<int>(log->size());
}

TEST(Task, CarriesAnExceptionThroughLevelsAndDestroysTheirLocals) {
    on_both_engines([](Engine& engine) {
        Log log;
        block_on(engine, catcher(&log));
        EXPECT_EQ(log, (Log{"~thrower", "~middle", "~outer", "deep down",  //
                            "~thrower", "~middle", "~outer", "deep down"}));
    });
}

Task<> throws_nothing_standard() {
    co_await yield();
    throw 17;
}

TEST(BlockOn, RethrowsWhatTheTaskThrows) {
    on_both_engines([](Engine& engine) {
        Log log;
        EXPECT_THROW(block_on(engine, outer(&log, true)), std::runtime_error);
        try {
            block_on(engine, throws_nothing_standard());
            ADD_FAILURE() << "nothing was thrown";
        } catch (int thrown) {
            EXPECT_EQ(thrown, 17);
        }
    });
}

// ---- or_return ----------------------------------------------------------------------------------

enum class Refusal { no_funds = 1 };

Result<int> even(int n) {
    if (n % 2 != 0) return error(Refusal::no_funds, "odd");
    return n;
}
Task<Result<std::string>> leaves(Log* log, int n, bool suspends) {
    const Mark first(log, "first");
    if (suspends) co_await yield();
    const int got = co_await or_return(even(n));
    const Mark second(log, "second");
    co_return std::to_string(got);
}
Task<Result<>> passes_on(Log* log, int n, bool suspends) {
    const Mark mark(log, "passes_on");
    const std::string got = co_await or_return(co_await leaves(log, n, suspends));
    log->push_back("got " + got);
    co_await or_return(Result<>());
    co_return Result<>();
}
Task<> try_both(Log* log, bool suspends) {
    const auto good = co_await passes_on(log, 4, suspends);
    log->push_back(good ? "good" : "bad");
    const auto bad = co_await passes_on(log, 3, suspends);
    log->push_back(bad ? "good" : bad.error().text());
    EXPECT_TRUE(!bad && bad.error() == Refusal::no_funds);
}

TEST(OrReturn, LeavesEarlyAndDestroysLocalsBeforeTheCallersNextStatement) {
    on_both_engines([](Engine& engine) {
        for (const bool suspends : {false, true}) {
            Log log;
            block_on(engine, try_both(&log, suspends));
            EXPECT_EQ(log, (Log{"~second", "~first", "got 4", "~passes_on", "good",  //
                                "~first", "~passes_on", "odd"}));
        }
    });
}

TEST(OrReturn, LeavesARootTaskToo) {
    on_both_engines([](Engine& engine) {
        Log log;
        const auto result = block_on(engine, leaves(&log, 3, true));
        ASSERT_FALSE(result.has_value());
        EXPECT_TRUE(result.error() == Refusal::no_funds);
        EXPECT_EQ(log, Log{"~first"});
    });
}

// ---- the stack and the frames -------------------------------------------------------------------

constexpr int kMany = 3'000'000;

/// Between the lowest and the highest place of a local variable on the native stack.
struct StackSpan {
    std::uintptr_t low = UINTPTR_MAX;
    std::uintptr_t high = 0;

    [[gnu::noinline]] void note() noexcept {
        const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        low = std::min(low, here);
        high = std::max(high, here);
    }
    std::uintptr_t bytes() const noexcept { return high - low; }
};

Task<int> ready_child(StackSpan* span) {
    span->note();
    co_return 1;
}
Task<int> await_ready_ones(StackSpan* span, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i)
        sum += co_await ready_child(span);
    co_return sum;
}

TEST(Task, MillionsOfReadyAwaitsKeepTheStackFlat) {
    on_one_thread([](Engine& engine) {
        StackSpan span;
        EXPECT_EQ(block_on(engine, await_ready_ones(&span, kMany)), kMany);
        EXPECT_LT(span.bytes(), 4096U);
    });
}

Task<int> suspending_child(StackSpan* span, int i) {
    span->note();
    if (i % 2 == 0) co_await yield();
    span->note();
    co_return 1;
}
Task<int> suspending_parent(StackSpan* span, int i) {
    co_return co_await suspending_child(span, i);
}
Task<int> await_suspending_ones(StackSpan* span, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i)
        sum += co_await suspending_parent(span, i);
    co_return sum;
}

TEST(Task, MillionsOfSuspendingAwaitsKeepTheStackFlat) {
    on_one_thread([](Engine& engine) {
        StackSpan span;
        EXPECT_EQ(block_on(engine, await_suspending_ones(&span, kMany)), kMany);
        EXPECT_LT(span.bytes(), 8192U);
    });
}

TEST(Task, FramesAreRecycled) {
    on_one_thread([](Engine& engine) {
        StackSpan span;
        block_on(engine, await_suspending_ones(&span, 1000));
        const BlockPoolStats warm = block_pool_stats();
        block_on(engine, await_suspending_ones(&span, 100'000));
        const BlockPoolStats after = block_pool_stats();
        EXPECT_EQ(after.live_blocks, warm.live_blocks);
        EXPECT_EQ(after.reserved_bytes, warm.reserved_bytes);
    });
}

}  // namespace
}  // namespace troupe

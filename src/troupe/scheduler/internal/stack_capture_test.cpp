#include <troupe/scheduler/internal/stack_capture.hpp>
#include <troupe/scheduler/internal/test_sanitizer.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

/// A thread that can be asked where it stands.
class AskedThread {
public:
    template <class Body>
    explicit AskedThread(Body body)
        : thread_([this, body] {
              capture_.enter(__builtin_frame_address(0));
              ready_.open();
              body();
              StackCapture::leave();
          }) {
        ready_.wait();
    }
    ~AskedThread() { thread_.join(); }
    AskedThread(const AskedThread&) = delete;
    AskedThread& operator=(const AskedThread&) = delete;

    std::string backtrace() {
        capture_.ask(thread_.native_handle());
        while (!capture_.answered())
            ::sched_yield();
        std::string text;
        for (const std::string& line : symbolise(capture_.take()))
            text += line + "\n";
        return text;
    }

private:
    StackCapture capture_;
    Latch ready_;
    std::thread thread_;
};

// The thread sanitizer keeps signals back until a thread locks something: the latch does.
[[gnu::noinline]] void spin_in_a_named_function(const Latch& release) {
    while (!release.is_open())
        ::sched_yield();
}

std::atomic<int> spun{0};

[[gnu::noinline]] void call_the_spinner(const Latch& release) {
    spin_in_a_named_function(release);
    spun.fetch_add(1);  // no tail call
}

// Goal: the names of our functions are found, also when the thread is in the C library or the
// kernel, which keep no frame pointers. Method: asked many times, it is caught in many places.
TEST(StackCapture, NamesTheFunctionsAThreadIsIn) {
    ASSERT_TRUE(StackCapture::prepare());
    Latch release;
    {
        AskedThread thread([&] { call_the_spinner(release); });
        int named = 0;
        std::string text;
        for (int i = 0; i < 200; ++i) {
            text = thread.backtrace();
            if (text.find("call_the_spinner") != std::string::npos &&
                (kThreadSanitizer || text.find("spin_in_a_named_function") != std::string::npos)) {
                ++named;
            }
        }
        release.open();
        // Not each time: caught in its first instruction, a function hides the one that called it;
        // and what a sanitizer adds keeps no frame pointers and hides one as well.
        EXPECT_GT(named, 50) << text;
    }
}

TEST(StackCapture, AnswersFromABlockingCall) {
    ASSERT_TRUE(StackCapture::prepare());
    Latch gate;
    AskedThread thread([&] { gate.wait(); });
    const std::string text = thread.backtrace();
    gate.open();
    EXPECT_FALSE(text.empty());
}

// Goal: what is not a chain of frames is noticed and never followed out of the stack. Method: a
// thread whose stack is full of numbers that look like addresses is asked in places without frame
// pointers, again and again.
TEST(StackCapture, FollowsNothingOutOfTheStack) {
    ASSERT_TRUE(StackCapture::prepare());
    Latch enough;
    AskedThread thread([&] {
        std::uintptr_t misleading[256];
        for (std::size_t i = 0; i < 256; ++i)
            misleading[i] = reinterpret_cast<std::uintptr_t>(&misleading[(i * 7) % 256]);
        while (!enough.is_open()) {
            misleading[misleading[3] % 256] ^= 8;
            static_cast<void>(::getppid());
        }
    });
    for (int i = 0; i < 300; ++i)
        EXPECT_FALSE(thread.backtrace().empty());
    enough.open();
}

std::atomic<int> seen_by_other_handler{0};

// Run in a process of its own: a handler stays installed.
TEST(StackCaptureDeathTest, PassesSignalsOnThatNobodyOfUsAskedFor) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            std::signal(SIGURG, [](int) { seen_by_other_handler.fetch_add(1); });
            StackCapture::prepare();
            std::raise(SIGURG);
            Latch gate;
            AskedThread thread([&] { gate.wait(); });
            thread.backtrace();
            ::_exit(seen_by_other_handler.load() == 1 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

TEST(StackCapture, WritesWhatItCannotNameAsANumber) {
    EXPECT_EQ(symbolise({0x10}), std::vector<std::string>{"0x10"});
}

}  // namespace
}  // namespace troupe::scheduler_internal

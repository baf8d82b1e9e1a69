#pragma once

/// For fixtures of tests that run on threads: a test that hangs says what waits for what.
///
/// The problem: ctest ends a test that hangs after five minutes, and of what it hung in nothing is
/// left but its name. It may be the first time in a thousand runs, and the last for as many.
///
/// The answer: a thread of its own that sleeps while the test runs. When the test has run for too
/// long it prints the threads of the process, what the fixture knows of the engine, and where the
/// threads stand, if there is a debugger to ask; then it ends the process. It prints what needs
/// least first, since the rest may hang as well.

#include <troupe/base/mutex.hpp>

#include <gtest/gtest.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

namespace troupe::scheduler_internal {

class HangWatch {
public:
    /// `tell` says who waits for what; it is called on another thread, when the test hangs.
    explicit HangWatch(std::function<std::string()> tell) : tell_(std::move(tell)) {
        EXPECT_EQ(::pthread_create(&thread_, nullptr, &thread_main, this), 0);
    }
    ~HangWatch() {
        {
            const LockGuard lock(mutex_);
            over_ = true;
            changed_.notify_all();
        }
        ::pthread_join(thread_, nullptr);
    }
    HangWatch(const HangWatch&) = delete;
    HangWatch& operator=(const HangWatch&) = delete;

    /// How long a test may take, in seconds. More than any takes, also where a sanitizer slows it
    /// and others share the machine; and little enough to be told of before ctest ends the test.
    static int patience() {
        const char* const wanted = std::getenv("TROUPE_TEST_PATIENCE");
        return wanted != nullptr ? std::atoi(wanted) : 120;
    }

private:
    static void* thread_main(void* self) noexcept {
        ::pthread_setname_np(::pthread_self(), "troupe-test");
        static_cast<HangWatch*>(self)->run();
        return nullptr;
    }

    void run() noexcept {
        {
            const LockGuard lock(mutex_);
            // Second by second: while the process is stopped, or gets no core, no more than one
            // of them passes.
            for (int waited = 0; !over_ && waited < patience(); ++waited)
                changed_.wait_for(mutex_, std::chrono::seconds(1));
            if (over_) return;
        }
        std::fprintf(stderr, "This test hangs: it has run on threads for %d s.\n", patience());
        list_threads();
        std::fprintf(stderr, "%s", tell_().c_str());
        ask_debugger();
        std::abort();
    }

    static std::string line_of(const std::filesystem::path& file) {
        std::string line;
        std::getline(std::ifstream(file), line);
        return line;
    }

    /// Each thread's name, and what it is at in the kernel.
    static void list_threads() {
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            const std::string stat = line_of(task.path() / "stat");
            const std::string state = stat.substr(stat.rfind(')') + 1, 2);
            std::fprintf(stderr, "  thread %s %s:%s in %s\n", task.path().filename().c_str(),
                         line_of(task.path() / "comm").c_str(), state.c_str(),
                         line_of(task.path() / "wchan").c_str());
        }
    }

    static void ask_debugger() {
        ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // by itself it may not be one's child
        const std::string us = std::to_string(::getpid());
        const char* const command[] = {
            "gdb",  "-nx", "-p", us.c_str(), "-batch", "-ex", "thread apply all backtrace 40",
            nullptr};
        pid_t debugger = 0;
        if (::posix_spawnp(&debugger, "gdb", nullptr, nullptr, const_cast<char* const*>(command),
                           environ) == 0) {
            ::waitpid(debugger, nullptr, 0);
        }
    }

    const std::function<std::string()> tell_;
    pthread_t thread_{};
    Mutex mutex_{LockRank::test_outer};
    CondVar changed_;
    bool over_ TROUPE_GUARDED_BY(mutex_) = false;
};

}  // namespace troupe::scheduler_internal

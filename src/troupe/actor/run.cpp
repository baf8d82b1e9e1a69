#include <troupe/actor/run.hpp>
#include <troupe/base/assert.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>

namespace troupe::actor_internal {

namespace {

/// Turns SIGINT and SIGTERM into a request to stop. Its thread sleeps in the kernel: no wake-ups.
class SignalWatch {
public:
    explicit SignalWatch(System system) : system_(system) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        end_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        TROUPE_ASSERT(signal_fd_ >= 0 && end_fd_ >= 0,
                      "no descriptors left to watch for signals: raise the limit (ulimit -n)");
        thread_ = std::thread([this] { watch(); });
    }
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;
    ~SignalWatch() {
        const std::uint64_t one = 1;
        static_cast<void>(::write(end_fd_, &one, sizeof one));
        thread_.join();
        ::close(signal_fd_);
        ::close(end_fd_);
    }

    /// Before any thread starts, so that all inherit it.
    static void block_signals() noexcept {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
        // A peer that has closed its connection is an error of the write, not of the process.
        std::signal(SIGPIPE, SIG_IGN);
    }

private:
    void watch() noexcept {
        pollfd watched[2] = {{signal_fd_, POLLIN, 0}, {end_fd_, POLLIN, 0}};
        bool asked = false;
        for (;;) {
            if (::poll(watched, 2, -1) < 0 && errno != EINTR) return;
            if ((watched[1].revents & POLLIN) != 0) return;
            signalfd_siginfo info{};
            if (::read(signal_fd_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) {
                continue;
            }
            if (asked) ::_exit(128 + static_cast<int>(info.ssi_signo));
            asked = true;
            system_.request_stop();
        }
    }

    System system_;
    int signal_fd_ = -1;
    int end_fd_ = -1;
    std::thread thread_;
};

ThreadedOptions options_from_environment() {
    ThreadedOptions options;
    if (const char* const text = std::getenv("TROUPE_WORKERS")) {
        char* end = nullptr;
        const unsigned long count = std::strtoul(text, &end, 10);
        if (*text == '\0' || *end != '\0' || count < 1 || count > 64) {
            std::fprintf(stderr,
                         "troupe: TROUPE_WORKERS=%s is ignored: it is a number of 1 to 64\n", text);
        } else {
            options.workers = count;
        }
    }
    return options;
}

}  // namespace

int run_app(int, char**, Task<int> (*app)(System&)) {
    SignalWatch::block_signals();
    OwnedSystem system(make_threaded_engine(options_from_environment()));
    SignalWatch signals(*system);
    int result = 1;
    // A root task is a wall: what the app throws is the program's failure.
    try {
        result = system->block_on(app(*system));
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "troupe: the app has thrown: %s\n", exception.what());
    } catch (...) {
        std::fprintf(stderr, "troupe: the app has thrown something that is no std::exception\n");
    }
    const bool clean = system.stop();
    return result == 0 && !clean ? kExitForced : result;
}

}  // namespace troupe::actor_internal

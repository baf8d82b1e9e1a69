#pragma once

/// For soak programs: peers with blocking sockets, in a process of their own where what they cost
/// must not count, and what the machine says of this process.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/internal/test_memory.hpp>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http_internal {

using base_internal::resident_bytes;

/// What the program ends with.
inline bool good = true;

inline void expect(bool holds, const char* what) {
    if (holds) return;
    std::printf("  FAILED: %s\n", what);
    good = false;
}

/// A blocking client. It gives up after ten seconds.
class Peer {
public:
    Peer() = default;
    /// From 127.0.0.1, or an address behind it: each has only so many ports.
    explicit Peer(std::uint16_t port, std::uint32_t from = 0)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        timeval patience{10, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from);
        const bool bound =
            from == 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (!bound || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            close();
    }
    Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Peer& operator=(Peer&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Peer() { close(); }

    bool is_open() const { return fd_ >= 0; }

    bool send(std::string_view bytes) {
        return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
    }

    /// Whether the next bytes are a response with this status.
    bool receive(std::string_view status) {
        char buffer[4096];
        ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
        return got > 12 &&
               std::string_view(buffer, static_cast<std::size_t>(got)).substr(9, 3) == status;
    }

    /// What comes next, as much as is there; 0 at the end, less when it fails.
    std::ptrdiff_t receive_some(char* buffer, std::size_t size) {
        return ::recv(fd_, buffer, size, 0);
    }

    bool ask(std::string_view path, std::string_view status = "200") {
        return send("GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n") && receive(status);
    }

    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_ = -1;
};

inline std::size_t entries(const char* directory) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        static_cast<void>(entry);
        ++count;
    }
    return count;
}

inline std::size_t open_files() {
    return entries("/proc/self/fd");
}

inline Duration processor_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto of = [](const timeval& time) {
        return Duration(std::chrono::seconds(time.tv_sec)) +
               std::chrono::microseconds(time.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

inline std::size_t file_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/// Runs `body(hear, tell)` in a process of its own, whose descriptors are its own too. The body
/// says with a byte that it has done its part, and hears by one that it may go on.
class Companion {
public:
    template <class Body>
    explicit Companion(Body body) {
        int there[2];
        int back[2];
        if (::pipe(there) != 0 || ::pipe(back) != 0) std::abort();
        child_ = ::fork();
        if (child_ == 0) {
            ::close(there[1]);
            ::close(back[0]);
            body(there[0], back[1]);
            ::_exit(0);
        }
        ::close(there[0]);
        ::close(back[1]);
        tell_ = there[1];
        hear_ = back[0];
    }
    Companion(const Companion&) = delete;
    Companion& operator=(const Companion&) = delete;
    ~Companion() {
        ::close(tell_);
        ::close(hear_);
        ::waitpid(child_, nullptr, 0);
    }

    /// Waits until it has done its part. Whether it went well.
    bool wait() const { return receive(hear_); }
    void go_on() const { send(tell_, true); }

    static void send(int to, bool went_well) {
        const char byte = went_well ? 'y' : 'n';
        static_cast<void>(::write(to, &byte, 1) == 1);
    }
    static bool receive(int from) {
        char byte = 'n';
        return ::read(from, &byte, 1) == 1 && byte == 'y';
    }

private:
    pid_t child_ = -1;
    int tell_ = -1;
    int hear_ = -1;
};

/// Notes how late each of its ticks is.
class Ticker : public Actor {
public:
    static constexpr Duration kEach = std::chrono::milliseconds(10);

    Ticker() { every<&Ticker::tick>(kEach); }

    /// The latest tick since this was last asked.
    Duration latest() { return std::exchange(latest_, Duration::zero()); }

private:
    void tick() {
        const Duration now = system().now();
        if (last_ != Duration::zero()) latest_ = std::max(latest_, now - last_ - kEach);
        last_ = now;
    }

    Duration last_{};
    Duration latest_{};
};

inline void print_ticker(System system, Ref<Ticker> ticker, const char* beside) {
    const Duration latest = system.block_on(ticker.ask<&Ticker::latest>()).value_or(Duration());
    std::printf("  a tick each 10 ms %s: %.2f ms late at most\n", beside,
                static_cast<double>(latest.count()) / 1e6);
}

}  // namespace troupe::http_internal

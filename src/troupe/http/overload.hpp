#pragma once

#include <troupe/base/duration.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {

/// When a server has too much to do, and what it does then: it answers some requests with 503 and
/// Retry-After, at once and without any handler, so that the others are served in time.
///
/// Nothing of it holds unless it is said; each limit is by itself.
class OverloadOptions {
public:
    OverloadOptions() = default;

    /// While so many requests are in the hands of handlers further ones are refused, until there
    /// are a tenth less. Requests that a plain function answers at once do not count.
    OverloadOptions& requests_in_progress_max(std::size_t requests) {
        requests_in_progress_max_ = requests;
        return *this;
    }
    /// When whatever is ready to run mostly waits for a worker for longer than this, judged each
    /// tenth of a second, a growing share of the requests is refused; less and less once it waits
    /// for no more than half of it. Some 20 ms suit a service that answers people. Units: engine
    /// time, by whole milliseconds.
    OverloadOptions& run_queue_wait_max(Duration wait) {
        run_queue_wait_max_ = wait;
        return *this;
    }
    /// While the process holds more memory than this, all requests are refused, until it holds a
    /// tenth less. Not on the deterministic engine, where it would be the machine's affair.
    OverloadOptions& memory_bytes_max(std::size_t bytes) {
        memory_bytes_max_ = bytes;
        return *this;
    }
    /// What clients are told in Retry-After. Rounded up to seconds.
    OverloadOptions& retry_after(Duration wait) {
        retry_after_ = wait;
        return *this;
    }
    /// Requests for exactly this path are never refused: those that ask whether we are alive.
    OverloadOptions& exempt(std::string path) {
        exempt_.push_back(std::move(path));
        return *this;
    }

    std::size_t requests_in_progress_max() const { return requests_in_progress_max_; }
    Duration run_queue_wait_max() const { return run_queue_wait_max_; }
    std::size_t memory_bytes_max() const { return memory_bytes_max_; }
    Duration retry_after() const { return retry_after_; }
    const std::vector<std::string>& exempt() const { return exempt_; }
    /// Whether somebody has to look at the clock and at the memory.
    bool watches() const { return run_queue_wait_max_ > Duration::zero() || memory_bytes_max_ > 0; }

private:
    std::size_t requests_in_progress_max_ = 0;
    Duration run_queue_wait_max_{};
    std::size_t memory_bytes_max_ = 0;
    Duration retry_after_ = std::chrono::seconds(1);
    std::vector<std::string> exempt_;
};

/// What a server has let in and turned away, as it was a moment ago.
struct LoadStats {
    std::size_t in_progress = 0;         ///< requests in the hands of handlers
    std::uint64_t over_rate = 0;         ///< requests refused: too many, of an address or in all
    std::uint64_t shed = 0;              ///< requests refused: too much to do
    std::uint64_t crowded_out = 0;       ///< connections closed: too many of their address
    std::uint64_t handshakes_ended = 0;  ///< connections closed: too many handshakes
    double shedding = 0;                 ///< the share of requests that is refused at present
    Duration run_queue_wait{};           ///< in the middle of those of the last tenth of a second

    // By protocol, since the server began; with those that it refused, without the malformed ones.
    std::uint64_t http1_requests = 0;
    std::uint64_t http2_requests = 0;
    std::uint64_t http2_connections = 0;
    std::size_t http2_streams = 0;  ///< under way at present: requests, and WebSockets
    std::uint64_t malformed = 0;    ///< requests that were, or too large, or never became whole
};

}  // namespace troupe::http

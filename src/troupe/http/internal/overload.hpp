#pragma once

#include <troupe/base/counter.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/http/overload.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::http_internal {

/// Whether a server has too much to do, by what others measure; and who pays for it.
///
/// To refuse everything while the queue is long leaves it empty a moment later, and so the load
/// swings. So what is measured moves a share of the requests, up by a step and a part of what is
/// left, and down by a quarter: about as much is refused as is too much.
///
/// Threads: any, but for those that say so.
class Overload {
public:
    explicit Overload(const http::OverloadOptions& options) : options_(options) {}

    /// Whether to refuse a request for this path. Counts it if so.
    bool refuses(std::string_view path);

    void begin() { in_progress_.fetch_add(1, std::memory_order_relaxed); }
    void end() { in_progress_.fetch_sub(1, std::memory_order_relaxed); }

    // The probe, one at a time.

    /// Something that was ready to run has waited so long for a worker.
    void waited(Duration time) { waits_.push_back(time); }
    /// A tenth of a second is over, and the process holds so much memory.
    void judge(std::size_t memory_bytes);

    void report(http::LoadStats& stats) const;

private:
    static constexpr std::uint32_t kAll = 1024;

    bool has_no_room();
    bool is_exempt(std::string_view path) const;

    const http::OverloadOptions options_;
    std::atomic<std::size_t> in_progress_{0};  // connections count; all read
    std::atomic<bool> full_{false};            // of requests in progress; connections
    std::atomic<bool> memory_low_{false};      // the probe writes; all read
    std::atomic<std::uint32_t> share_{0};      // of kAll; the probe writes; all read
    std::atomic<std::uint32_t> due_{0};        // in parts of a request; connections
    std::atomic<std::int64_t> last_wait_{0};   // nanoseconds; the probe writes; all read
    Counter shed_;
    std::vector<Duration> waits_;  // the probe's, since it judged
};

/// A request in the hands of a handler.
class InProgress {
public:
    explicit InProgress(Overload& overload) : overload_(overload) { overload_.begin(); }
    InProgress(const InProgress&) = delete;
    InProgress& operator=(const InProgress&) = delete;
    ~InProgress() { overload_.end(); }

private:
    Overload& overload_;
};

}  // namespace troupe::http_internal

#include <troupe/http/internal/overload.hpp>

#include <algorithm>
#include <cstddef>

namespace troupe::http_internal {

bool Overload::refuses(std::string_view path) {
    bool refused = has_no_room() || memory_low_.load(std::memory_order_relaxed);
    if (!refused) {
        const std::uint32_t share = share_.load(std::memory_order_relaxed);
        if (share == 0) return false;
        // Evenly, rather than by chance: each time a whole request is due.
        const std::uint32_t before = due_.fetch_add(share, std::memory_order_relaxed);
        refused = before / kAll != (before + share) / kAll;
    }
    if (!refused || is_exempt(path)) return false;
    shed_.add();
    return true;
}

bool Overload::has_no_room() {
    const std::size_t most = options_.requests_in_progress_max();
    if (most == 0) return false;
    const std::size_t now = in_progress_.load(std::memory_order_relaxed);
    const bool full = full_.load(std::memory_order_relaxed);
    // Two that see it at once say the same, or it is the border either way.
    if (!full && now >= most) full_.store(true, std::memory_order_relaxed);
    if (full && now <= most - (most + 9) / 10) full_.store(false, std::memory_order_relaxed);
    return now >= most || full_.load(std::memory_order_relaxed);
}

bool Overload::is_exempt(std::string_view path) const {
    return std::find(options_.exempt().begin(), options_.exempt().end(), path) !=
           options_.exempt().end();
}

void Overload::judge(std::size_t memory_bytes) {
    // Somebody is let in always, or nobody would ever see that it is better.
    constexpr std::uint32_t kMost = kAll * 19 / 20;
    constexpr std::uint32_t kStep = kAll / 32;

    const Duration most = options_.run_queue_wait_max();
    if (!waits_.empty()) {
        // Not the least, as where there is one queue: one of several workers has a short one often.
        const auto middle = waits_.begin() + static_cast<std::ptrdiff_t>((waits_.size() - 1) / 2);
        std::nth_element(waits_.begin(), middle, waits_.end());
        const Duration wait = *middle;
        waits_.clear();
        last_wait_.store(wait.count(), std::memory_order_relaxed);
        std::uint32_t share = share_.load(std::memory_order_relaxed);
        if (most > Duration::zero() && wait > most) {
            share = std::min(kMost, share + kStep + (kAll - share) / 8);
        } else if (wait <= most / 2) {
            share -= std::min(share, share / 4 + kStep / 4);
        }
        share_.store(share, std::memory_order_relaxed);
    }
    const std::size_t memory_max = options_.memory_bytes_max();
    if (memory_max == 0) return;
    const bool low = memory_low_.load(std::memory_order_relaxed);
    const std::size_t border = low ? memory_max - memory_max / 10 : memory_max;
    memory_low_.store(memory_bytes > border, std::memory_order_relaxed);
}

void Overload::report(http::LoadStats& stats) const {
    stats.in_progress = in_progress_.load(std::memory_order_relaxed);
    stats.shed = shed_.value();
    stats.run_queue_wait = Duration(last_wait_.load(std::memory_order_relaxed));
    stats.shedding = static_cast<double>(share_.load(std::memory_order_relaxed)) / kAll;
    if (memory_low_.load(std::memory_order_relaxed)) stats.shedding = 1;
}

}  // namespace troupe::http_internal

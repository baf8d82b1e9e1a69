#pragma once

#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <cstdint>

namespace troupe {

/// Whom a cell's coroutine waits for: an edge of the graph in which deadlocks are cycles.
///
/// A slot has one, made with its chunk's first and kept for ever, so that any thread may follow an
/// edge without asking whether the cell's owner is still alive. Only waits for another cell have an
/// edge; it is set before the request is sent and cleared when the coroutine goes on.
///
/// An edge means something while its cell is blocked: then no answer has come. See
/// docs/design/0013-waiting-for-each-other.md.
class WaitsFor {
public:
    /// What was read at one moment: the cell waited for, whether the waiting one handles calls
    /// meanwhile, and a number for each await, so that equal readings are readings of one wait. 0:
    /// none.
    using Edge = std::uint64_t;

    static Edge edge(const Cell& target, std::uint32_t await_number, bool reentrant) noexcept {
        return reinterpret_cast<std::uint64_t>(&target) << kShift | (reentrant ? kReentrant : 0) |
               (await_number & kNumberMask);
    }
    static Cell* target_of(Edge edge) noexcept {
        return reinterpret_cast<Cell*>((edge & ~(kReentrant | kNumberMask)) >> kShift);
    }
    static bool is_reentrant(Edge edge) noexcept { return (edge & kReentrant) != 0; }
    static bool is_await(Edge edge, std::uint32_t await_number) noexcept {
        return edge != 0 && (edge & kNumberMask) == (await_number & kNumberMask);
    }

    /// The waiting cell's turn only. `request` is what it has sent, for reports; null for a start.
    void set(Edge edge, const MailOps* request) noexcept {
        request_.store(request, std::memory_order_relaxed);
        // release: whoever sees the edge sees the request; pairs with get.
        edge_.store(edge, std::memory_order_release);
    }
    void clear() noexcept { edge_.store(0, std::memory_order_relaxed); }

    // ---- any thread -------------------------------------------------------------------------

    Edge get() const noexcept {
        return edge_.load(std::memory_order_acquire);  // acquire: pairs with set
    }
    const MailOps* request() const noexcept { return request_.load(std::memory_order_relaxed); }

    /// Somebody else answers from now on (null: nobody knows who). False when the wait that was
    /// read as `seen` is over.
    bool redirect(Edge seen, const Cell* target) noexcept {
        const auto number = static_cast<std::uint32_t>(seen & kNumberMask);
        const Edge now = target == nullptr ? 0 : edge(*target, number, is_reentrant(seen));
        // acq_rel: as set and get.
        return edge_.compare_exchange_strong(seen, now, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    static WaitsFor& of(const Cell& cell);             ///< makes it on the first call
    static WaitsFor* find(const Cell& cell) noexcept;  ///< null when it was never made

private:
    // Cells lie at multiples of 128 in an address space of 48 bits: 23 bits are left.
    static constexpr unsigned kShift = 16;
    static constexpr Edge kReentrant = 1U << 22;
    static constexpr Edge kNumberMask = kReentrant - 1;

    std::atomic<Edge> edge_{0};                     // the turn writes, others redirect; any reads
    std::atomic<const MailOps*> request_{nullptr};  // the turn writes, any reads
};

}  // namespace troupe

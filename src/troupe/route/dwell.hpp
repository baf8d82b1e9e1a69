#pragma once

/// How long messages wait in the mailboxes of a pool, and what follows from it for its size.
///
/// Nothing is written down per message. Whoever keeps a pool looks now and then, and lays a message
/// of its own into each mailbox that holds something: it is handled in its turn, as any other, and
/// says how long that took. Who has no mail keeps nobody waiting, and is not asked. See
/// docs/design/0042-pools.md

#include <troupe/base/duration.hpp>
#include <troupe/route/members.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace troupe::route_internal {

/// The waits of late.
class DwellWindow {
public:
    // More would tell no more about one in twenty.
    static constexpr std::size_t kSamplesMax = 512;

    explicit DwellWindow(Duration length) noexcept : length_(length) {}

    void add(Duration now, Duration waited);
    void clear() noexcept { samples_.clear(); }
    std::size_t size(Duration now);
    /// What nineteen of twenty waited less than, or as long as. Zero when nothing is known.
    Duration p95(Duration now);

private:
    struct Sample {
        Duration at;
        Duration waited;
    };
    void forget_old(Duration now);

    const Duration length_;
    std::deque<Sample> samples_;
};

/// When a pool grows and shrinks.
struct ScaleRules {
    std::size_t min = 1;
    std::size_t max = 1;
    Duration grow_above = std::chrono::milliseconds(50);
    Duration shrink_below = std::chrono::milliseconds(5);
    Duration cooldown = std::chrono::seconds(2);
    Duration window = std::chrono::seconds(2);
};

/// Says by how many workers a pool is to change. Between `shrink_below` and `grow_above` it stays
/// as it is, and for the cooldown after each change, so that it does not swing.
class Scaler {
public:
    // Fewer say nothing about one in twenty.
    static constexpr std::size_t kSamplesMin = 8;

    Scaler(const ScaleRules& rules, Duration now) noexcept
        : rules_(rules), window_(rules.window), changed_at_(now) {}

    DwellWindow& window() noexcept { return window_; }
    /// Of `size` workers, those included that are being started. Up to what is missing to `min` at
    /// any time; else a quarter more, or one less.
    std::ptrdiff_t change(Duration now, std::size_t size);

private:
    const ScaleRules rules_;
    DwellWindow window_;
    Duration changed_at_;
};

/// How long one message waited in one mailbox. Shared by whoever asks and by that message.
class DwellProbe {
public:
    /// Lays the message into the mailbox. False when it has no room. Once at a time.
    static bool send(const std::shared_ptr<DwellProbe>& probe, const Member& to, Duration since);

    enum class State : std::uint8_t { waits, handled, lost };
    State state() const noexcept { return state_.load(std::memory_order_acquire); }
    /// Once it was handled.
    Duration waited() const noexcept { return waited_; }

private:
    struct Envelope;

    // Whoever handles or drops the message writes, whoever sent it reads.
    std::atomic<State> state_{State::handled};
    Duration since_{};
    Duration waited_{};
};

}  // namespace troupe::route_internal

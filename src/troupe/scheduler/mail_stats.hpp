#pragma once

/// How many messages wait and for how long, by the class of those they wait for.
///
/// The problem: whoever runs a system wants to know which kind of actor falls behind, and a look at
/// the clock for each message would cost as much as a short message.
///
/// The answer: a look at some. Now and then, when a worker has read its clock, the next turn of an
/// actor says for how long its oldest message has waited: since its cell was queued, and by the
/// message's own stamp, which is the sender's worker's clock, a millisecond fine. And whoever gives
/// back room in a mailbox looks how much was taken, so the high-water mark misses nothing.
///
/// Source: docs/design/0054-how-long-messages-wait.md

#include <troupe/base/counter.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/scheduler/cell.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace troupe {

// Stamps count steps of 2^20 ns, about a millisecond, and begin again after so many.
inline constexpr int kStampShift = 20;
inline constexpr std::uint32_t kStampMoments = 0xFFFF;

/// What a message sent now has in the upper half of its tag; never 0, which says nothing.
constexpr std::uint32_t mail_stamp(Duration now) noexcept {
    const auto steps = static_cast<std::uint64_t>(now.count()) >> kStampShift;
    return static_cast<std::uint32_t>(steps % kStampMoments + 1) << 16;
}

/// Says when the message was sent. A store of its own half: reading the other one first was felt.
inline void stamp(MailNode& message, std::uint32_t stamp) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const auto upper = static_cast<std::uint16_t>(stamp >> 16);
    std::memcpy(reinterpret_cast<std::byte*>(&message.tag) + sizeof upper, &upper, sizeof upper);
}

/// For how long a message with this tag has waited, at least; of more than a minute only what goes
/// beyond whole ones of 68.7 seconds. Zero when the tag does not say.
constexpr Duration waited_since(std::uint32_t tag, Duration now) noexcept {
    const std::uint32_t then = tag >> 16;
    if (then == 0) return Duration::zero();
    const std::uint32_t steps = ((mail_stamp(now) >> 16) + kStampMoments - then) % kStampMoments;
    // The sender's clock may have been about to go on; and of two workers one may be ahead.
    if (steps < 2 || steps > kStampMoments - 2) return Duration::zero();
    return Duration(static_cast<Duration::rep>(steps - 1) << kStampShift);
}

/// Of all mailboxes of one engine.
///
/// Threads: any.
class MailStats {
public:
    /// Of one class. There are as many as the program has classes of actors.
    class OfType {
    public:
        explicit OfType(const CellType& its_type) noexcept : type(its_type) {}
        OfType(const OfType&) = delete;
        OfType& operator=(const OfType&) = delete;
        ~OfType();

        void note_wait(Duration waited) noexcept;
        void note_depth(std::size_t depth) noexcept;

        const CellType& type;
        std::atomic<std::size_t> most{0};       ///< messages in one mailbox
        std::atomic<std::uint64_t> at_once{0};  ///< waits of less than a microsecond
        /// Of all others, in ns; null while there are none.
        std::atomic<Histogram*> waits{nullptr};

    private:
        friend class MailStats;
        OfType* next_ = nullptr;
    };

    MailStats() = default;
    MailStats(const MailStats&) = delete;
    MailStats& operator=(const MailStats&) = delete;
    ~MailStats();

    /// Those of this class; made when they are first asked for. Null when there is no memory.
    OfType* of(const CellType& type) noexcept;

    template <class Visit>
    void for_each(Visit visit) const {
        for (const std::atomic<OfType*>& chain : chains_) {
            // acquire: sees what its maker wrote; pairs with of.
            for (const OfType* at = chain.load(std::memory_order_acquire); at != nullptr;
                 at = at->next_)
                visit(*at);
        }
    }

private:
    static constexpr std::size_t kChains = 64;
    std::array<std::atomic<OfType*>, kChains> chains_{};  // entries are added and never taken away
};

}  // namespace troupe

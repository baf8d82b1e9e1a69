#include <troupe/actor/message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/route/dwell.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace troupe::route_internal {

// ---- the waits of late --------------------------------------------------------------------------

void DwellWindow::add(Duration now, Duration waited) {
    forget_old(now);
    if (samples_.size() == kSamplesMax) samples_.pop_front();
    samples_.push_back({now, waited});
}

void DwellWindow::forget_old(Duration now) {
    while (!samples_.empty() && now - samples_.front().at > length_)
        samples_.pop_front();
}

std::size_t DwellWindow::size(Duration now) {
    forget_old(now);
    return samples_.size();
}

Duration DwellWindow::p95(Duration now) {
    forget_old(now);
    if (samples_.empty()) return Duration::zero();
    std::vector<Duration> waits;
    waits.reserve(samples_.size());
    for (const Sample& sample : samples_)
        waits.push_back(sample.waited);
    // The smallest that 95 of 100 do not exceed.
    const auto at = static_cast<std::ptrdiff_t>((waits.size() * 95 + 99) / 100 - 1);
    std::nth_element(waits.begin(), waits.begin() + at, waits.end());
    return waits[static_cast<std::size_t>(at)];
}

// ---- what follows -------------------------------------------------------------------------------

std::ptrdiff_t Scaler::change(Duration now, std::size_t size) {
    std::ptrdiff_t by = 0;
    if (size < rules_.min) {
        by = static_cast<std::ptrdiff_t>(rules_.min - size);
    } else if (now - changed_at_ < rules_.cooldown || window_.size(now) < kSamplesMin) {
        return 0;
    } else if (size < rules_.max && window_.p95(now) > rules_.grow_above) {
        const std::size_t quarter = std::max<std::size_t>(size / 4, 1);
        by = static_cast<std::ptrdiff_t>(std::min(quarter, rules_.max - size));
    } else if (size > rules_.min && window_.p95(now) < rules_.shrink_below) {
        by = -1;
    }
    if (by == 0) return 0;
    changed_at_ = now;
    window_.clear();  // what was waited before tells of another size
    return by;
}

// ---- one wait -----------------------------------------------------------------------------------

/// Lies in the mailbox of an actor and calls none of its methods.
struct DwellProbe::Envelope : MailNode {
    explicit Envelope(std::shared_ptr<DwellProbe> of) noexcept : probe(std::move(of)) {
        ops = &kOps;
    }

    static Envelope& in(MailNode* message) noexcept { return *static_cast<Envelope*>(message); }
    void end(State state) noexcept {
        // release: publishes how long it waited; pairs with state().
        if (probe != nullptr) probe->state_.store(state, std::memory_order_release);
        probe = nullptr;
    }

    static actor_internal::Handled deliver(void*, MailNode* message) {
        DwellProbe& probe = *in(message).probe;
        probe.waited_ = current_engine()->now() - probe.since_;
        in(message).end(State::handled);
        return actor_internal::Handled::done;
    }
    static void finish(MailNode* message) noexcept {
        release_context(in(message));
        in(message).~Envelope();
        free_block_of<sizeof(Envelope)>(message);
    }
    static void drop(MailNode* message, const Error&) noexcept {
        in(message).end(State::lost);
        finish(message);
    }

    static constexpr actor_internal::MessageOps kOps{{MailKind::message, &drop, nullptr},
                                                     "a pool's look at the mailbox",
                                                     &deliver,
                                                     nullptr,
                                                     &finish};

    std::shared_ptr<DwellProbe> probe;
};

bool DwellProbe::send(const std::shared_ptr<DwellProbe>& probe, const Member& to, Duration since) {
    probe->since_ = since;
    probe->state_.store(State::waits, std::memory_order_relaxed);
    auto* const message = ::new (allocate_block_of<sizeof(Envelope)>()) Envelope(probe);
    return actor_internal::post(to.cell, to.generation, message) == SendStatus::sent;
}

}  // namespace troupe::route_internal

#include <troupe/base/atomics.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <memory>
#include <new>
#include <utility>

namespace troupe {

MailStats::OfType::~OfType() {
    delete waits.load(std::memory_order_relaxed);
}

void MailStats::OfType::note_wait(Duration waited) noexcept {
    if (waited < std::chrono::microseconds(1)) {
        at_once.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    // acquire: sees the histogram as it was made; pairs with publish_first.
    Histogram* histogram = waits.load(std::memory_order_acquire);
    if (histogram == nullptr) {
        std::unique_ptr<Histogram> made(new (std::nothrow) Histogram());
        if (made == nullptr) return;
        histogram = publish_first(waits, std::move(made));
    }
    histogram->add(static_cast<std::uint64_t>(waited.count()));
}

void MailStats::OfType::note_depth(std::size_t depth) noexcept {
    raise_to(most, depth);
}

MailStats::~MailStats() {
    for (std::atomic<OfType*>& chain : chains_) {
        OfType* next = nullptr;
        for (OfType* at = chain.load(std::memory_order_relaxed); at != nullptr; at = next) {
            next = at->next_;
            delete at;
        }
    }
}

MailStats::OfType* MailStats::of(const CellType& type) noexcept {
    // Types are constants of the program, a cache line apart or more.
    std::atomic<OfType*>& chain = chains_[(reinterpret_cast<std::uintptr_t>(&type) >> 6) % kChains];
    OfType* made = nullptr;
    // acquire: as for_each.
    OfType* first = chain.load(std::memory_order_acquire);
    for (;;) {
        for (OfType* at = first; at != nullptr; at = at->next_) {
            if (&at->type != &type) continue;
            delete made;
            return at;
        }
        if (made == nullptr) made = new (std::nothrow) OfType(type);
        if (made == nullptr) return nullptr;
        made->next_ = first;
        // release: publishes it. acquire: sees that of whoever was faster.
        if (chain.compare_exchange_weak(first, made, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
            return made;
        }
    }
}

}  // namespace troupe

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/placement.hpp>
#include <troupe/scheduler/worker_local.hpp>

#include <algorithm>
#include <atomic>

namespace troupe::scheduler_internal {

LocalValues::Entry* LocalValues::find(std::uint64_t key) noexcept {
    for (std::size_t i = entries_.size(); i > scope_begin_; --i) {
        if (entries_[i - 1].key == key) return &entries_[i - 1];
    }
    return nullptr;
}

void LocalValues::reserve(std::uint64_t key) {
    entries_.push_back({key, nullptr, nullptr});
}

void LocalValues::set(std::uint64_t key, void* value, Destroy destroy) noexcept {
    // To the end: what it needed was made meanwhile, and goes after it.
    forget(key);
    entries_.push_back({key, value, destroy});
}

void LocalValues::forget(std::uint64_t key) noexcept {
    Entry* const entry = find(key);
    if (entry != nullptr) entries_.erase(entries_.begin() + (entry - entries_.data()));
}

std::size_t LocalValues::enter_scope() noexcept {
    ++scopes_;
    return std::exchange(scope_begin_, entries_.size());
}

void LocalValues::leave_scope(std::size_t outer) noexcept {
    destroy_down_to(scope_begin_);
    scope_begin_ = outer;
    --scopes_;
}

void LocalValues::destroy_all() noexcept {
    destroy_down_to(0);
}

void LocalValues::destroy_down_to(std::size_t size) noexcept {
    while (entries_.size() > size) {
        const Entry last = entries_.back();
        entries_.pop_back();  // first: its destructor may use the others
        if (last.value != nullptr) last.destroy(last.value);
    }
}

std::uint64_t new_local_key() noexcept {
    static std::atomic<std::uint64_t> last{0};  // any thread
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Result<LocalValues*> local_values(const Engine* engine) noexcept {
    WorkerContext* const context = current_context();
    if (context == nullptr) {
        return error(WorkerLocalErrc::not_on_a_worker,
                     "a worker-local value was asked for on a thread that runs no actors");
    }
    if (engine != nullptr && context->engine != engine) {
        return error(WorkerLocalErrc::other_engine,
                     "a worker-local value of another system was asked for");
    }
    return &context->locals;
}

bool runs_pinned_cell() noexcept {
    const Cell* const cell = current_cell();
    return cell != nullptr && (cell->placed() == Placement::Kind::pinned ||
                               cell->placed() == Placement::Kind::own_thread);
}

}  // namespace troupe::scheduler_internal

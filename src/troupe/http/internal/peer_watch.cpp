#include <troupe/base/block_pool.hpp>
#include <troupe/http/internal/peer_watch.hpp>

#include <new>
#include <utility>

namespace troupe::http_internal {

namespace {

/// Cancels the scope of one, in a turn of its cell.
struct EndOfBody final : MailNode {
    explicit EndOfBody(std::shared_ptr<EndlessBodies::One> the_one) : one(std::move(the_one)) {
        ops = &kOps;
    }
    static void free(MailNode* node) noexcept {
        auto* const self = static_cast<EndOfBody*>(node);
        self->~EndOfBody();
        free_block(self, sizeof(EndOfBody));
    }
    static bool arrive(MailNode* node, Cell& cell);

    static const MailOps kOps;
    std::shared_ptr<EndlessBodies::One> one;  // shared with the watch
};

Error stopping() {
    // events.hpp tells a stop from a peer that has left by the code.
    return Error(Errc::cancelled, "the server stops");
}

bool end_scope(const EndlessBodies::One& one, Cell& cell, const Error& why) {
    if (one.scope == nullptr) return false;
    one.scope->cancel(why);
    return look_at_scope_again(cell, cell.awaiting_, one.handling);
}

bool EndOfBody::arrive(MailNode* node, Cell& cell) {
    const bool can_go_on = end_scope(*static_cast<EndOfBody*>(node)->one, cell, stopping());
    free(node);
    return can_go_on;
}

const MailOps EndOfBody::kOps{MailKind::signal,
                              [](MailNode* node, const Error&) noexcept { free(node); },
                              &EndOfBody::arrive};

}  // namespace

bool EndlessBodies::add(const std::shared_ptr<One>& one) {
    const LockGuard lock(mutex_);
    if (stopped_) return false;
    one->number = ++numbered_;
    all_.emplace(one->number, one);
    return true;
}

void EndlessBodies::remove(const One& one) {
    const LockGuard lock(mutex_);
    all_.erase(one.number);
}

void EndlessBodies::stop() {
    std::map<std::uint64_t, std::shared_ptr<One>> all;
    {
        const LockGuard lock(mutex_);
        stopped_ = true;
        all.swap(all_);
    }
    for (const auto& [number, one] : all) {
        auto* const end = ::new (allocate_block(sizeof(EndOfBody))) EndOfBody(one);
        post_signal(*one->cell, one->generation, end);
    }
}

void PeerWatch::set(Scope* scope, EndlessBodies& all) {
    end();
    if (scope == nullptr) return;
    one_ = std::make_shared<EndlessBodies::One>();
    one_->cell = current_cell();
    one_->generation = one_->cell->generation();
    one_->scope = scope;
    one_->handling = handled_now();
    all_ = &all;
    if (!all.add(one_)) scope->cancel(stopping());
}

void PeerWatch::end() {
    if (one_ == nullptr) return;
    all_->remove(*one_);
    one_->scope = nullptr;
    one_.reset();
}

bool PeerWatch::peer_has_left(Cell& cell) {
    return end_scope(*one_, cell, Error(Errc::closed, "the peer has left"));
}

}  // namespace troupe::http_internal

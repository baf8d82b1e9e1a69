#include <troupe/actor/message.hpp>
#include <troupe/sim/internal/invariants.hpp>
#include <troupe/sim/sim.hpp>

#include <string>
#include <utility>

namespace troupe::sim_internal {

namespace {

constinit thread_local Invariants* watching = nullptr;

}  // namespace

Invariants::Invariants(Sim& sim, EngineObserver* next)
    : sim_(sim), next_(next), before_(std::exchange(watching, this)) {
    watch_restarts(&Invariants::restarted);
}

Invariants::~Invariants() {
    watching = before_;
    if (before_ == nullptr) watch_restarts(nullptr);
}

void Invariants::step_begins(const EngineStep& step) {
    subject_ = step.kind == StepKind::turn ? step.subject : 0;
    if (next_ != nullptr) next_->step_begins(step);
}

void Invariants::step_ends(std::uint64_t event_hash) {
    if (next_ != nullptr) next_->step_ends(event_hash);
}

void Invariants::woke(std::uint32_t subject) {
    if (next_ != nullptr) next_->woke(subject);
}

void Invariants::sent(std::uint32_t to, const MailNode* mail, bool urgent) {
    if (urgent || subject_ == 0) {
        under_way_.erase(mail);  // its address may have been that of another
    } else {
        const std::uint64_t pair = std::uint64_t{subject_} << 32 | to;
        under_way_.insert_or_assign(mail, Sent{pair, ++pairs_[pair].sent});
    }
    if (next_ != nullptr) next_->sent(to, mail, urgent);
}

void Invariants::handling(const std::string_view& method, const MailNode* message) {
    if (next_ != nullptr) next_->handling(method, message);
    const auto known = under_way_.find(message);
    if (known == under_way_.end()) return;
    const Sent sent = known->second;
    under_way_.erase(known);
    // An ask may be one of a chain of calls that its receiver waits for.
    if ((sent.pair & 0xFFFF'FFFF) != subject_ || actor_internal::ops_of(message).asked) return;
    Pair& pair = pairs_[sent.pair];
    if (sent.number < pair.handled) {
        sim_.fail("messages of one actor to another are handled out of order: " +
                  std::string(method) + " was sent before what was handled before it");
    }
    pair.handled = sent.number;
}

void Invariants::touched(const void* thing) {
    if (next_ != nullptr) next_->touched(thing);
}

void Invariants::restarted(const RestartNews& news) noexcept {
    if (watching == nullptr) return;
    auto& times = watching->restarts_[news.supervisor];
    while (!times.empty() && news.time - times.front() > news.window)
        times.pop_front();
    times.push_back(news.time);
    if (times.size() <= news.max) return;
    watching->sim_.fail("a supervisor restarts more often than it may: " +
                        std::to_string(times.size()) + " times within " + shown(news.window) +
                        ", and " + std::to_string(news.max) + " are allowed");
}

}  // namespace troupe::sim_internal

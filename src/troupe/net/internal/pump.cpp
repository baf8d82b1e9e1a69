#include <troupe/actor/spawn.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/net/internal/feed.hpp>
#include <troupe/net/internal/pump.hpp>
#include <troupe/scheduler/cell.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace troupe::net_internal {

namespace {

// Large enough that a system call is small beside the copy, small enough to be held by many.
constexpr std::size_t kReadBytes = 16 * 1024;

// With so much gathered, the messages behind it wait in the mailbox, where they are counted.
constexpr std::size_t kOutputBytesMax = 64 * 1024;

// ---- the nudge ----------------------------------------------------------------------------------

void free_nudge(MailNode* node) noexcept {
    free_block(node, sizeof(MailNode));
}

bool nudge_arrives(MailNode* node, Cell& cell) {
    free_nudge(node);
    // It was posted to a pump, and what is left for an earlier owner of a slot does not arrive.
    const auto& type = static_cast<const actor_internal::ActorType&>(*cell.type());
    return static_cast<Pump*>(actor_internal::object_of(cell, type))->nudge(cell);
}

const MailOps kNudgeOps{MailKind::signal,
                        [](MailNode* node, const Error&) noexcept { free_nudge(node); },
                        &nudge_arrives};

/// To be called behind every message to a pump.
void post_nudge(const Ref<Pump>& pump) {
    Cell* const cell = actor_internal::RefAccess::cell(pump);
    if (cell == nullptr) return;
    auto* const node = ::new (allocate_block(sizeof(MailNode))) MailNode;
    node->ops = &kNudgeOps;
    post_signal(*cell, actor_internal::RefAccess::generation(pump), node);
}

}  // namespace

bool Pump::nudge(Cell& cell) noexcept {
    nudged_ = true;
    Awaiting* const record = cell.awaiting_;
    if (record == nullptr || !record->interruptible || record->arrived != nullptr) return false;
    record->cancelled = true;  // what has come meanwhile is not lost: it is read again
    return true;
}

// ---- its messages -------------------------------------------------------------------------------

Task<void> Pump::write(std::string bytes) {
    if (!stream_.is_open()) return run();  // sent behind the end
    if (output_.empty()) written_at_ = system().now();
    output_ += bytes;
    return run();
}

Task<void> Pump::more() {
    demand_ = true;
    heard_at_ = system().now();
    return run();
}

Task<void> Pump::finish() {
    finishing_ = true;
    if (!stream_.is_open()) outcome_ = error(Errc::closed, "the connection has ended before");
    while (!output_.empty() && stream_.is_open()) {
        nudged_ = false;
        outcome_ = co_await transfer(false);
        const bool only_nudged = !outcome_ && outcome_.error() == Errc::cancelled && nudged_;
        if (!outcome_ && !only_nudged) break;
    }
    end(outcome_ ? Error(Errc::closed, "the connection was closed here") : outcome_.error());
}

Result<void> Pump::finished() {
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
    return outcome_;
}

/// Moves what can be moved, until there is nothing to be moved or a message waits.
Task<void> Pump::run() {
    while (stream_.is_open()) {
        const bool reads = demand_ && !ended_;
        if (!reads && output_.empty()) co_return;
        if (make_way()) co_return;
        Result<void> moved = co_await transfer(reads);
        if (moved || (moved.error() == Errc::cancelled && nudged_)) continue;
        if (moved.error() == Errc::cancelled) co_return;  // a stop: the turn knows
        end(moved.error());
    }
}

/// True when messages wait that should be handled before the peer is waited for: what they bring
/// leaves together. One of them runs us again.
bool Pump::make_way() {
    if (output_.size() >= kOutputBytesMax) {
        nudged_ = false;
        return false;
    }
    if (current_cell()->batch_ != nullptr) return true;
    if (!std::exchange(nudged_, false)) return false;
    // The message behind the nudge may have been handled already. A full mailbox does not matter:
    // then there is one.
    self(this).tell<&Pump::go_on>();
    return true;
}

/// Waits for the peer to send or take something, and passes on what came.
Task<Result<void>> Pump::transfer(bool reads) {
    std::span<char> room;
    if (reads) {
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
        room = std::span<char>(buffer_.get(), kReadBytes);
    }
    Result<Transferred> moved =
        co_await stream_.transfer(room, output_, Interruptible::yes).within(time_left(reads));
    if (!moved && moved.error() == Errc::timed_out) {
        co_return std::unexpected(timeout_error(reads));
    }
    if (!moved) co_return std::unexpected(std::move(moved).error());

    const Duration now = system().now();
    if (moved->written > 0) {
        output_.erase(0, moved->written);
        written_at_ = now;
    }
    if (moved->read > 0) {
        heard_at_ = now;
        demand_ = false;
        feed_.tell<&Feed::bytes>(std::string(buffer_.get(), moved->read));
    } else if (moved->ended) {
        ended_ = true;
        feed_.tell<&Feed::ended>(Result<void>());
    }
    co_return Result<void>();
}

Duration Pump::time_left(bool reads) const {
    const Duration now = system().now();
    Duration left = Duration::max();
    const auto bound = [&](Duration since, Duration timeout) {
        if (timeout < Duration::max() - since) left = std::min(left, since + timeout - now);
    };
    if (reads) bound(heard_at_, limits_.idle_timeout);
    if (!output_.empty()) bound(written_at_, limits_.write_timeout);
    return std::max(left, Duration::zero());
}

Error Pump::timeout_error(bool reads) const {
    const Duration now = system().now();
    const bool silent = reads && limits_.idle_timeout <= now - heard_at_;
    const Duration limit = silent ? limits_.idle_timeout : limits_.write_timeout;
    return Error(Errc::timed_out,
                 to_string(stream_.peer()) +
                     (silent ? " has sent nothing for " : " has taken nothing for ") +
                     std::to_string(limit.count() / 1'000'000) + " ms");
}

/// The connection is no more. That this actor ends as `normal` says that it has told its feed.
void Pump::end(const Error& why) {
    stream_.close();
    output_.clear();
    if (!std::exchange(ended_, true)) feed_.tell<&Feed::ended>(std::unexpected(why));
    if (!finishing_) self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

// ---- for handles --------------------------------------------------------------------------------

Task<Result<void>> write_to(Ref<Pump> pump, Result<void> encoded, std::string bytes) {
    co_await or_return(std::move(encoded));
    Result<void> sent = co_await pump.send<&Pump::write>(std::move(bytes));
    if (sent) post_nudge(pump);
    co_return sent;
}

Result<void> try_write_to(Ref<Pump> pump, std::string bytes) {
    switch (pump.tell<&Pump::write>(std::move(bytes))) {
        case SendStatus::sent:
            post_nudge(pump);
            return {};
        case SendStatus::full:
            return error(Errc::mailbox_full, "too many frames wait to be sent already");
        case SendStatus::gone:
            break;
    }
    return error(Errc::actor_gone, "the connection is closed");
}

Task<Result<void>> close_after_writing(Ref<Pump> pump) {
    co_await or_return(co_await pump.send<&Pump::finish>());
    post_nudge(pump);
    co_return co_await pump.ask<&Pump::finished>().within(Duration::max());
}

}  // namespace troupe::net_internal

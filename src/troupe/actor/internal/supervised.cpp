#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/internal/system_core.hpp>

#include <utility>

namespace troupe {

const char* name(Restart restart) noexcept {
    switch (restart) {
        case Restart::permanent:
            return "permanent";
        case Restart::transient:
            return "transient";
        case Restart::temporary:
            return "temporary";
    }
    return "unknown";
}

namespace actor_internal {

namespace {

void free_news(StartedNews* news) noexcept {
    if (news == nullptr) return;
    free_node(news);
}

void free_order(StartOrder* order) noexcept {
    free_news(order->started);
    free_node(order);
}

}  // namespace

Keeper* keeper_at(Cell& cell) noexcept {
    if ((cell.flags_ & kVacant) != 0) return nullptr;
    const ActorType& type = *static_cast<const ActorType*>(cell.type());
    return static_cast<Keeper*>(type.as_actor(object_of(cell, type)));
}

const MailOps StartedNews::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_news(static_cast<StartedNews*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const news = static_cast<StartedNews*>(node);
        Keeper* const keeper = keeper_at(cell);
        const bool can_go_on = keeper != nullptr && keeper->child_started(*news);
        free_news(news);
        return can_go_on;
    }};

const MailOps StartOrder::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept {
        static_cast<StartOrder*>(node)->come_back(ExitReason(ExitReason::Kind::noproc), true);
    },
    [](MailNode* node, Cell& cell) {
        Supervised& supervised = *supervised_of(cell);
        // The order of a keeper that was killed before it was carried out; nobody waits for it.
        if (supervised.next != nullptr) {
            supervised.next->come_back(ExitReason(ExitReason::Kind::shutdown), false);
        }
        supervised.next = static_cast<StartOrder*>(node);
        return false;
    }};

const MailOps StartOrder::kEndedOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_order(static_cast<StartOrder*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const news = static_cast<StartOrder*>(node);
        Keeper* const keeper = keeper_at(cell);
        const bool can_go_on = keeper != nullptr && keeper->child_ended(*news);
        free_order(news);
        return can_go_on;
    }};

void StartOrder::report_started() noexcept {
    was_started = true;
    StartedNews* const news = std::exchange(started, nullptr);
    post_signal(*keeper, keeper_generation, news);
}

void StartOrder::come_back(ExitReason why, bool address_is_gone) noexcept {
    reason = std::move(why);
    address_ended = address_is_gone;
    ops = &kEndedOps;
    post_signal(*keeper, keeper_generation, this);
}

void Supervised::decide(After decision) noexcept {
    if (decision == After::keep && !outlives_keeper) decision = After::end;
    if (decision > after) after = decision;
}

void Supervised::report_end(const ExitReason& reason, bool address_stays) noexcept {
    if (current != nullptr) std::exchange(current, nullptr)->come_back(reason, !address_stays);
    if (next != nullptr && !address_stays) std::exchange(next, nullptr)->come_back(reason, true);
}

bool Supervised::address_stays(const ExitReason& reason) const noexcept {
    switch (after) {
        case After::end:
            return false;
        case After::keep:
            return true;
        case After::policy:
            break;
    }
    return restart == Restart::permanent || (restart == Restart::transient && reason.abnormal());
}

bool Supervised::stop_nobody(After decision, const ExitReason& reason) noexcept {
    decide(decision);
    if (!address_stays(reason)) return true;
    after = After::policy;
    // Somebody may have been about to come.
    if (next != nullptr) std::exchange(next, nullptr)->come_back(reason, false);
    return false;
}

Supervised::Fate Supervised::judge(MailNode* message, std::uint32_t handled) noexcept {
    if (poison_after <= 1 || !ops_of(message).repeatable) return Fate::fails;
    // It is the first that an incarnation handles; any other would have been counted since.
    const bool again = ends_by_suspect != 0 && handled == handled_before_suspect;
    ends_by_suspect = again ? ends_by_suspect + 1 : 1;
    handled_before_suspect = handled;
    if (ends_by_suspect < poison_after) {
        suspect = message;
        message->next = nullptr;
        return Fate::is_tried_again;
    }
    ends_by_suspect = 0;
    return Fate::is_poison;
}

bool address_stays(Cell& cell, const ExitReason& reason) noexcept {
    const Supervised* const supervised = supervised_of(cell);
    return supervised != nullptr && supervised->address_stays(reason);
}

std::uint32_t incarnation_of(Cell& cell) noexcept {
    const Supervised* const supervised = supervised_of(cell);
    return supervised != nullptr ? supervised->incarnation : 1;
}

Result<Cell*> take_address(Cell& keeper, const ActorType& type, const SpawnSettings& settings,
                           SeenAs seen_as, std::unique_ptr<Supervised> supervised) {
    const SpawnLeave leave(SystemCore::of(keeper));
    Cell* const cell = take_cell(leave, keeper.engine(), &keeper, type, &settings);
    if (cell == nullptr) return error(Errc::closed, "the system is stopping");
    cell->flags_ = kVacant;
    cell->state_.store(CellState::restarting, std::memory_order_relaxed);
    cell->incarnation_.store(0, std::memory_order_relaxed);
    standing_of(*cell).supervised = std::move(supervised);
    if (settings.has_name) {
        Result<void> registered = register_name(*cell, settings, seen_as);
        if (!registered) {
            refuse_spawn(*cell, registered.error());
            return std::unexpected(std::move(registered).error());
        }
    }
    return cell;
}

void open_address(Cell& cell) noexcept {
    // As a cell whose handler waits: signals wake it, messages do not.
    cell.open_mailbox(Cell::kBlocked);
}

std::uint64_t post_start_order(Cell& cell, std::uint32_t generation, std::uint32_t child) {
    Cell& keeper = *current_cell();
    const std::uint64_t number = ++standing_of(keeper).orders_made;
    auto* const news = make_node<StartedNews>();
    news->ops = &StartedNews::kOps;
    news->child = child;
    news->number = number;
    auto* const order = make_node<StartOrder>();
    order->ops = &StartOrder::kOps;
    order->keeper = &keeper;
    order->keeper_generation = keeper.generation();
    order->child = child;
    order->number = number;
    order->started = news;
    post_signal(cell, generation, order);
    return number;
}

}  // namespace actor_internal
}  // namespace troupe

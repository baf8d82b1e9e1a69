#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/ending.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/group_table.hpp>
#include <troupe/actor/internal/links.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/pipes.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/internal/timers.hpp>
#include <troupe/actor/spawn.hpp>

#include <exception>
#include <utility>

namespace troupe::actor_internal {

Error gone(const Cell& cell, const ExitReason& reason) {
    return Error(Errc::actor_gone, "the actor " + to_string(pid_of(&cell, cell.generation())) +
                                       " (" + std::string(cell.type()->name) +
                                       ") has ended: " + reason.text());
}

namespace {

/// Whoever waits for the start hears when nothing of the actor is left.
AskEnvelope<void>* take_starter(Cell& cell, const ExitReason& reason) noexcept {
    Hooks* const hooks = existing_hooks(cell);
    if (hooks == nullptr) return nullptr;
    AskEnvelope<void>* const starter = std::exchange(hooks->start_outcome, nullptr);
    if (starter != nullptr && !starter->reply) {
        starter->reply.emplace(std::unexpect, Errc::start_failed, reason.text());
    }
    return starter;
}

/// A monitor or a link that had arrived and not been looked at is told what the others are told.
bool tell_newcomer(Cell& cell, MailNode* mail, const ExitReason& reason) noexcept {
    if (mail->ops == &MonitorNews::kOps) {
        static_cast<MonitorNews*>(mail)->tell_down(reason, incarnation_of(cell));
    } else if (mail->ops == &LinkHalf::kLinkOps) {
        static_cast<LinkHalf*>(mail)->tell_exit(reason);
    } else {
        return false;
    }
    return true;
}

/// Whether anybody would miss it: a tick, a component's chore or the order to drain, nobody.
bool is_somebodys(const MailNode* mail) noexcept {
    if (mail->ops == &OwnMail::kOps) return static_cast<const OwnMail*>(mail)->counted;
    return mail->ops->kind == MailKind::message && mail->ops != &StopSignal::kDrainOps &&
           mail->ops != &ActorTimer::kTickOps;
}

void drop_mail(Cell& cell, MailNode* mail, const ExitReason& reason) noexcept {
    if (mail == nullptr) return;
    const Error why = gone(cell, reason);
    SystemCore& core = SystemCore::of(cell);
    while (mail != nullptr) {
        MailNode* const next = mail->next;
        const bool stale = mail->generation != cell.generation();
        if (stale || !tell_newcomer(cell, mail, reason)) {
            if (is_somebodys(mail)) {
                core.note_lost(&cell, stale ? DeadLetterReason::stale : DeadLetterReason::stopped,
                               mail);
            }
            mail->ops->drop(mail, why);
        }
        mail = next;
    }
}

/// A message that was to be tried again and is not.
MailNode* take_suspect(Cell& cell) noexcept {
    Supervised* const supervised = supervised_of(cell);
    return supervised != nullptr ? std::exchange(supervised->suspect, nullptr) : nullptr;
}

void tell_supervisor(Cell& cell, const ExitReason& reason, bool address_stays) noexcept {
    Supervised* const supervised = supervised_of(cell);
    if (supervised != nullptr) supervised->report_end(reason, address_stays);
}

void stop_children(Cell& cell, After after) noexcept {
    const Ties* const ties = existing_ties(cell);
    if (ties == nullptr) return;
    for (const auto& [slot, child] : ties->children) {
        post_stop(child.first, child.second, Stop::stop, ExitReason(ExitReason::Kind::shutdown),
                  after);
    }
}

/// All hear who have to do with the actor itself.
void tell_relatives(Cell& cell, const ExitReason& reason, bool address_stays) noexcept {
    end_pipes(cell);
    end_watching(cell);
    tell_supervisor(cell, reason, address_stays);
    tell_links(cell, reason);
    tell_monitors(cell, reason);
    if (Ties* const ties = existing_ties(cell)) ties->child_ended = nullptr;  // nobody to be told
    stop_children(cell, address_stays ? After::keep : After::end);
}

void tell_parent(Cell& cell, const ExitReason& reason) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr || extension->to_parent == nullptr) return;
    ChildEnded* const news = std::exchange(extension->to_parent, nullptr);
    news->slot = cell.slot();
    news->child_generation = cell.generation();
    news->abnormal = reason.abnormal();
    post_signal(*news->parent, news->parent_generation, news);
}

}  // namespace

void finish_incarnation(Cell& cell, const ExitReason& reason) noexcept {
    leave_groups(cell);
    end_timers(cell);
    if (Arena* const arena = existing_standing(cell)->arena.get()) arena->release();
    tell_relatives(cell, reason, true);
}

namespace {

/// From here on nobody reaches it. Gives what it has not handled.
MailNode* take_last_mail(Cell& cell, MailNode* handled_in_place) noexcept {
    MailNode* const mail = close_all_mail(cell, handled_in_place);
    if (handled_in_place != nullptr) ops_of(handled_in_place).finish(handled_in_place);
    return mail;
}

void give_back(Cell& cell) noexcept {
    cell.flags_ = 0;
    cell.engine().release_cell(cell);
}

}  // namespace

void finish_end(Cell& cell, MailNode* handled_in_place, const ExitReason& reason) noexcept {
    if (SystemCore::counting_messages()) SystemCore::of(cell).count_handled(cell.handled());
    if (cell.extension_ == nullptr) {
        // Nobody has to do with it but those who sent to it.
        MailNode* const mail = take_last_mail(cell, handled_in_place);
        if (mail != nullptr) drop_mail(cell, mail, reason);
        return give_back(cell);
    }
    AskEnvelope<void>* const starter = take_starter(cell, reason);
    unregister_name(cell);
    leave_groups(cell);
    end_timers(cell);
    MailNode* const mail = take_last_mail(cell, handled_in_place);
    drop_mail(cell, take_suspect(cell), reason);
    drop_mail(cell, mail, reason);
    tell_relatives(cell, reason, false);
    tell_parent(cell, reason);
    free_extension(cell);
    give_back(cell);
    if (starter != nullptr) starter->post_reply();
}

}  // namespace troupe::actor_internal

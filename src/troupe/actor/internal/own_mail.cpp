#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/system_core.hpp>

#include <utility>

namespace troupe::actor_internal {

namespace {

OwnMail* wrap(Cell& cell, MailNode* message) {
    auto* const mail = make_node<OwnMail>();
    mail->ops = &OwnMail::kOps;
    mail->generation = cell.generation();
    message->generation = cell.generation();
    message->next = nullptr;
    mail->message = message;
    return mail;
}

/// Links a node behind `before` in the batch, which is a ring that points to its youngest.
void link_behind(Cell& cell, MailNode* before, MailNode* node) noexcept {
    node->next = before->next;
    before->next = node;
    if (before == cell.batch_) cell.batch_ = node;
}

void link_first(Cell& cell, MailNode* node) noexcept {
    if (cell.batch_ == nullptr) {
        node->next = node;
        cell.batch_ = node;
    } else {
        node->next = cell.batch_->next;
        cell.batch_->next = node;
    }
}

}  // namespace

const MessageOps OwnMail::kOps{{MailKind::message,
                                [](MailNode* node, const Error& why) noexcept {
                                    MailNode* const message = unwrap(static_cast<OwnMail*>(node));
                                    message->ops->drop(message, why);
                                },
                                nullptr},
                               "own",
                               nullptr,
                               nullptr,
                               nullptr,
                               nullptr};

MailNode* OwnMail::unwrap(OwnMail* mail) noexcept {
    MailNode* const message = std::exchange(mail->message, nullptr);
    free_node(mail);
    return message;
}

void put_first(Cell& cell, MailNode* message) {
    OwnMail* const mail = wrap(cell, message);
    const Ties* const ties = existing_ties(cell);
    MailNode* const event = ties != nullptr ? ties->last_event : nullptr;
    if (event == nullptr) {
        link_first(cell, mail);
    } else {
        link_behind(cell, event, mail);
    }
}

void put_event(Cell& cell, MailNode* message) {
    if (SystemCore::counting_messages()) SystemCore::of(cell).count_accepted();
    MailNode*& last = ties_of(cell).last_event;
    OwnMail* const mail = wrap(cell, message);
    if (last == nullptr) {
        link_first(cell, mail);
    } else {
        link_behind(cell, last, mail);
    }
    last = mail;
}

void put_chore(Cell& cell, MailNode* message, bool before_all) {
    OwnMail* const mail = wrap(cell, message);
    mail->counted = false;
    if (before_all) {
        link_first(cell, mail);
    } else {
        put_last(cell, mail);
    }
}

void put_last(Cell& cell, MailNode* node) noexcept {
    if (cell.batch_ == nullptr) {
        link_first(cell, node);
    } else {
        link_behind(cell, cell.batch_, node);
    }
}

}  // namespace troupe::actor_internal

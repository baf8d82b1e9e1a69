#pragma once

/// How long mail has waited, without a stamp in any message.
///
/// The problem: how old its oldest message is says best whether an actor keeps up, but a look at
/// the clock in each send would cost as much as a short message.
///
/// The answer: whoever finds mail waiting, and knows how much, leaves a mark: the moment, and how
/// many messages the cell will have handled when all of these are. Until then the oldest one has
/// waited since the mark at least. A turn that ends and leaves mail behind marks it, and so does
/// anybody who looks into a cell at rest; so one who looks again knows more. What leaves a mailbox
/// unhandled takes the mark along, so the age is never too high by more than the coarse clock's
/// step. The marks of a chunk of cells are made when the first of them is needed.

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstdint>

namespace troupe {

/// Marks the messages of which `unhandled` are left, the one in hand included, unless an older mark
/// still stands. Threads: the cell's turn, or whoever holds the cell.
void mark_mail(Cell& cell, std::uint64_t unhandled) noexcept;

/// A turn has yielded: marks what it has left behind. Whoever ran it.
inline void mark_mail_left_behind(Cell& cell) noexcept {
    if (cell.awaiting_ == nullptr) mark_mail(cell, Cell::count_of(cell.word()));
}

/// For how long the oldest message behind the `in_hand` being handled has waited, at least; zero
/// when nobody has marked it. Threads: any.
Duration marked_mail_age(const Cell& cell, std::uint32_t in_hand) noexcept;

/// A message has left unhandled, or the cell has a new owner: the mark means nothing any more.
/// Threads: any.
void forget_mail_mark(Cell& cell) noexcept;

}  // namespace troupe

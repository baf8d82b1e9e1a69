#pragma once

/// An address whose actor is built anew when it has ended.
///
/// The problem: a reference to a supervised actor must stay good over its restarts, and its mail
/// must wait meanwhile; but a cell belongs to one actor, and ends with it.
///
/// The answer: an *incarnation* of the actor may end without its address. The address is *vacant*
/// then: it takes mail, handles none, and hears only of orders and stops. A supervisor takes the
/// addresses of all its children first, vacant, so that each child can be given the Ref of another;
/// a first start and a restart are the same thing. A `StartOrder` travels to the address, has the
/// actor built there, stays with it, and comes back as the news of its end: so the news needs no
/// memory when there may be none, and cannot be lost.
///
/// Which of the two ends, the incarnation or the address, is decided where it happens and at once,
/// by what its supervisor has said beforehand: a name of an actor that is gone for good must be
/// free before anybody hears of its end.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/child_policy.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstdint>
#include <memory>

namespace troupe::actor_internal {

/// News for a keeper: a child's on_start has finished.
struct StartedNews : MailNode {
    std::uint32_t child = 0;
    std::uint64_t number = 0;

    static const MailOps kOps;
};

/// On its way to an address: build the actor. On its way back: it has ended.
struct StartOrder : MailNode {
    Cell* keeper = nullptr;
    std::uint32_t keeper_generation = 0;
    std::uint32_t child = 0;         // which of the keeper's
    std::uint64_t number = 0;        // of the order: tells old news from new
    StartedNews* started = nullptr;  // made with the order; null once it is under way

    // The news:
    ExitReason reason;
    Duration ended_at{};
    bool was_started = false;    // on_start had finished
    bool was_healthy = false;    // it has said so itself
    bool address_ended = false;  // nothing is left to order anything from

    static const MailOps kOps;
    static const MailOps kEndedOps;

    void report_started() noexcept;
    void come_back(ExitReason why, bool address_is_gone) noexcept;
};

/// An actor that has others started and hears how they fare.
class Keeper : public Actor {
public:
    /// In this actor's turn, between two handlers or while one waits. True when that one can go on.
    virtual bool child_started(const StartedNews& news) = 0;
    virtual bool child_ended(const StartOrder& news) = 0;
};

/// The keeper that lives at its address, or null between two incarnations: the next one starts its
/// children afresh, and old news is none to it.
Keeper* keeper_at(Cell& cell) noexcept;

/// What a supervised address has besides. Its turn only.
struct Supervised {
    // Shared by all addresses of a tree, any of which may be the last to build.
    std::shared_ptr<const Blueprint> blueprint;
    Restart restart = Restart::permanent;
    bool outlives_keeper = false;  // stays, vacant, when its keeper is built anew
    After after = After::policy;   // what its keeper has said about the next end
    std::uint32_t incarnation = 0;
    StartOrder* next = nullptr;     // has come and is not begun
    StartOrder* current = nullptr;  // of the actor that lives

    // A message that has ended an incarnation and is tried again by the next, and what tells later
    // that it is the same one.
    unsigned poison_after = 1;
    MailNode* suspect = nullptr;
    unsigned ends_by_suspect = 0;
    std::uint32_t handled_before_suspect = 0;

    /// Its keeper has decided about the next end; of two decisions the harder one counts.
    void decide(After decision) noexcept;
    void report_end(const ExitReason& reason, bool address_stays) noexcept;
    /// Somebody wants the actor stopped while there is none. True when the address ends by it.
    bool stop_nobody(After decision, const ExitReason& reason) noexcept;
    /// The handler of `message` has thrown, as the cell's next message to be counted. Whether it is
    /// tried again; if not, whether it has been before.
    enum class Fate : std::uint8_t { fails, is_tried_again, is_poison };
    Fate judge(MailNode* message, std::uint32_t handled) noexcept;
    /// Whether the address stays when its actor ends for this reason.
    bool address_stays(const ExitReason& reason) const noexcept;
};

/// Whether the address stays when its actor ends for this reason.
bool address_stays(Cell& cell, const ExitReason& reason) noexcept;
/// Which of its lives the actor is in, or was in last.
std::uint32_t incarnation_of(Cell& cell) noexcept;

/// Takes an address for an actor of that type, a child of `keeper`: closed, so that whoever comes
/// by the address is refused until it is opened. In the keeper's turn, or before its own address is
/// opened.
///
/// Errors:  closed, when the system is stopping; already_registered.
Result<Cell*> take_address(Cell& keeper, const ActorType& type, const SpawnSettings& settings,
                           SeenAs seen_as, std::unique_ptr<Supervised> supervised);
/// From now on mail for it waits.
void open_address(Cell& cell) noexcept;

/// Has the next incarnation built, as soon as the last one has ended. Gives the order's number,
/// which comes back with the news, as `child` does. The news comes in any case, also when there is
/// no such address any more. In the keeper's turn.
std::uint64_t post_start_order(Cell& cell, std::uint32_t generation, std::uint32_t child);

}  // namespace troupe::actor_internal

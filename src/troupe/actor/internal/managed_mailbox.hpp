#pragma once

/// The mailbox of an actor that asked for more than a plain bound: a policy, priorities,
/// conflation, a byte budget.
///
/// The plain mailbox is a stack in one word: cheap, but nobody can take the oldest message out of
/// it, or look for one. So these mailboxes are queues under a lock, and the word only carries a
/// doorbell, a signal that says that there is something in the queue. That bounds `drop_oldest`
/// also while the handler is suspended or wedged, since it is the sender who drops.
///
/// Senders on other threads reach it through an address that may have a new owner by now. So a slot
/// keeps its managed mailbox for ever, as the table keeps the slot, and every use checks under the
/// lock whom it serves.

#include <troupe/actor/ask.hpp>
#include <troupe/actor/dead_letters.hpp>
#include <troupe/actor/internal/mail_lane.hpp>
#include <troupe/actor/mailbox.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

class ManagedMailbox;

/// What a sender is ready for.
enum class Sender : std::uint8_t {
    tells,   ///< does not wait
    sends,   ///< waits, and has brought a WaitingSend
    asks,    ///< waits for the reply anyway
    forces,  ///< the system's own mail: never refused
};

/// What became of the message.
enum class Admission : std::uint8_t {
    admitted,    ///< it is in the queue, or waits at its door
    full,        ///< refused: it is still the caller's
    too_many,    ///< the same: more have come than its rate allows
    dropped,     ///< lost by policy: it is the caller's to drop, its sender goes on
    failing,     ///< the same, and the caller is to make the actor fail
    gone,        ///< so it is, the actor has ended
    redirected,  ///< it has gone to the other actor
};

/// A message that lost its place, why, and who told it if an actor did.
struct LostMessage {
    MailNode* message;
    DeadLetterReason reason;
    Pid sender;
};

/// The signal in the mailbox word while there is something in the queue.
struct Doorbell : MailNode {
    ManagedMailbox* mailbox = nullptr;
    static const MailOps kOps;
};

/// Puts a message into the mailbox of an actor, of whatever kind. What others lose by it is made a
/// dead letter here; what is not admitted, dropped or redirected is still the caller's.
Admission admit(Cell* cell, std::uint32_t generation, MailNode* message, Sender sender) noexcept;

/// What an asker is told of that; `sent` when the request is on its way, or has been answered.
AskStatus why_refused(Admission admission) noexcept;

/// Tells an actor of something it listens to; what it does not take, it does not hear.
void tell_listener(Cell* cell, std::uint32_t generation, MailNode* message) noexcept;

/// As admit, for the system's own mail. False when there is no such actor any more.
bool force(Cell& cell, std::uint32_t generation, MailNode* message) noexcept;

/// How many messages wait in the mailbox of an actor, of whatever kind. Any thread.
std::size_t mailbox_depth(const Cell& cell);

/// Drops a message that was refused, counts it and tells those who listen.
void dead_letter(Cell* cell, DeadLetterReason reason, MailNode* message) noexcept;
/// The same for one that was accepted and will not be handled after all.
void lose_accepted(Cell* cell, DeadLetterReason reason, MailNode* message,
                   Pid sender = Pid()) noexcept;

/// Whether this message is the request that `asker` waits for in that await.
bool is_request_of(const MailNode* message, const Cell* asker, std::uint32_t await_number) noexcept;

class ManagedMailbox {
public:
    /// The slot's managed mailbox, which serves its new owner from now on. Before the cell opens.
    static ManagedMailbox& open(Cell& cell, const MailboxSettings& settings);
    /// The slot's, whoever it serves; null when it never had one. Any thread.
    static ManagedMailbox* find(const Cell& cell) noexcept {
        return static_cast<ManagedMailbox*>(cell.attachment());
    }

    /// Any thread. Messages that had to make room come back in `lost`, to be dropped by the caller
    /// outside the lock.
    Admission admit(std::uint32_t generation, MailNode* message, Sender sender,
                    std::vector<LostMessage>& lost);

    /// The next message, by priority. The owner's turn.
    MailNode* pop();

    /// The request that this asker waits for, out of its order; null when it is not here. The
    /// owner's turn.
    MailNode* take_request(const Cell* asker, std::uint32_t await_number);

    /// A kill has reached the owner: another overflow is another failure. The owner's turn.
    void kill_heard();

    /// Refuses everything from now on and gives all that waited, oldest first. The owner's turn.
    std::vector<MailNode*> close();

    std::size_t depth() const;
    /// How long the oldest message has waited; zero when there is none.
    Duration age() const;
    MailboxSettings settings() const;

private:
    explicit ManagedMailbox(Cell& cell) : cell_(cell) {}

    /// Where a call that can be conflated lies.
    struct Place {
        bool high;
        std::uint64_t number;
    };

    /// What became of others when a message was taken.
    struct Relief {
        std::vector<MailNode*> admitted;  // the sends of those who have waited at the door
        std::vector<LostMessage> lost;
    };

    Admission admit_locked(MailNode* message, Sender sender, std::vector<LostMessage>& lost)
        TROUPE_REQUIRES(mutex_);
    Admission admit_in_time(MailNode* message, Sender sender, std::vector<LostMessage>& lost)
        TROUPE_REQUIRES(mutex_);
    std::size_t bytes_of(const MailNode* call) const TROUPE_REQUIRES(mutex_);
    bool has_room(std::size_t bytes) const TROUPE_REQUIRES(mutex_);
    std::size_t* counter_of(const MailNode* call) TROUPE_REQUIRES(mutex_);
    bool within_limit(const MailNode* call) TROUPE_REQUIRES(mutex_);
    bool others_were_first(const MailNode* call, std::size_t bytes) TROUPE_REQUIRES(mutex_);
    bool within_rates(const MailNode* call, Duration now) TROUPE_REQUIRES(mutex_);
    void count_towards_rates(const MailNode* call, Duration now) TROUPE_REQUIRES(mutex_);
    void put(MailNode* message, std::size_t bytes, bool system, Pid sender) TROUPE_REQUIRES(mutex_);
    MailNode* take(MailLane& lane, std::uint64_t number) TROUPE_REQUIRES(mutex_);
    const ConflatedMethod* conflated(const MailNode* call) const TROUPE_REQUIRES(mutex_);
    std::size_t key_hash(const ConflatedMethod& method, const MailNode* call) const
        TROUPE_REQUIRES(mutex_);
    bool conflate(MailNode* message, std::size_t bytes, Pid sender, std::vector<LostMessage>& lost)
        TROUPE_REQUIRES(mutex_);
    bool drop_oldest(const void* method, std::vector<LostMessage>& lost) TROUPE_REQUIRES(mutex_);
    Relief admit_waiting() TROUPE_REQUIRES(mutex_);
    void report(const Relief& relief) noexcept;
    void doorbell_heard() noexcept;
    void doorbell_dropped() noexcept;

    friend struct Doorbell;

    mutable Mutex mutex_{LockRank::mailbox};
    Cell& cell_;
    std::uint32_t generation_ TROUPE_GUARDED_BY(mutex_) = 0;  // of the owner; 0: closed
    MailboxSettings settings_ TROUPE_GUARDED_BY(mutex_);
    MailStats::OfType* stats_ = nullptr;  // of the owner's class, or null; set before it opens
    MailLane high_ TROUPE_GUARDED_BY(mutex_);
    MailLane normal_ TROUPE_GUARDED_BY(mutex_);
    std::size_t system_ TROUPE_GUARDED_BY(mutex_) = 0;  // entries that take no room
    // By the hash of its key, each call that can be conflated: a push finds the older one at once.
    std::unordered_multimap<std::size_t, Place> places_ TROUPE_GUARDED_BY(mutex_);
    std::deque<MailNode*> waiting_ TROUPE_GUARDED_BY(mutex_);  // first come, first served
    std::size_t bytes_ TROUPE_GUARDED_BY(mutex_) = 0;
    unsigned high_streak_ TROUPE_GUARDED_BY(mutex_) = 0;
    // As settings_.limits and settings_.rates: how many wait, and when the next one is due.
    std::vector<std::size_t> waiting_by_method_ TROUPE_GUARDED_BY(mutex_);
    std::vector<Duration> next_due_ TROUPE_GUARDED_BY(mutex_);
    bool failing_ TROUPE_GUARDED_BY(mutex_) = false;     // a kill for an overflow is on its way
    bool rung_ TROUPE_GUARDED_BY(mutex_) = false;        // the owner knows that there is something
    bool in_mailbox_ TROUPE_GUARDED_BY(mutex_) = false;  // the doorbell lies in the word
    Doorbell doorbell_;
};

}  // namespace troupe::actor_internal

#pragma once

/// Who stands behind a router: the untyped half, shared by all its copies.
///
/// Nobody is told of the end of a member. An address knows for itself, without a lock, whether
/// somebody lives there; so whoever picks looks first, and one that has ended is struck off then. A
/// monitor would need an actor that hears it, and would be late by a turn.

#include <troupe/actor/load.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

enum class RouteErrc : std::uint8_t {
    no_member = 1,  ///< nobody is behind the router, or nobody is left
    no_key,         ///< the router goes by keys and was given none
    lease_ended,    ///< the piece of work is no longer this worker's
    no_room,        ///< as much is waiting as may
};

/// Whom a router picks.
enum class Route : std::uint8_t {
    power_of_two,  ///< of two at random the one with less mail: nearly as good as looking at all
    round_robin,   ///< one after the other
    random,        ///< any
    smallest_mailbox,  ///< the one with the least mail; looks at all of them
    consistent_hash,   ///< always the same for a key; when one comes or goes, only its keys move
    broadcast,         ///< `tell`, `send`: everybody; an `ask` goes to one, as power_of_two
};
const char* name(Route route) noexcept;

namespace route_internal {

/// A member's address; what it is seen as, the typed half knows.
struct Member {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    std::uint16_t offset = 0;
    std::uint64_t number = 0;  // by which keys find it: the same in each run

    friend bool operator==(const Member& left, const Member& right) noexcept {
        return left.cell == right.cell && left.generation == right.generation;
    }
};

class Members {
public:
    explicit Members(Route route) noexcept : route_(route) {}

    Route route() const noexcept { return route_; }

    /// Adds it, unless it is there. Without a name its number is how many came before it.
    void add(Member member, std::optional<std::string_view> name);
    /// False when it was not there.
    bool remove(const Member& member);

    /// The members that have not ended, in the order in which they came.
    std::vector<Member> all();
    /// The same, to be called, each of them.
    std::vector<Member> everybody();

    /// One of them. Those between two lives are picked only when nobody else is there, and when a
    /// key is theirs.
    Result<Member> pick(std::optional<std::uint64_t> key);
    /// Up to `count` different ones, the pick first.
    Result<std::vector<Member>> pick_several(std::size_t count, std::optional<std::uint64_t> key);

    /// Makes a message a dead letter that nobody could be picked for. Where it was sent by a thread
    /// of its own, the system of whoever was added last hears of it; if nobody ever was, none does.
    void lose(MailNode* message);

    using OnUse = UniqueFunction<void()>;
    /// For whoever keeps the members and rests while nobody calls them: `on_use` is called when
    /// somebody does, once after each `rest`, by that one's thread.
    void watch_use(OnUse on_use);
    /// From now on the next use is told. False when there was one since the last `rest`, or the
    /// last time that this was false: then nothing is told.
    bool rest();

private:
    /// Tells of a use when it goes, which is after the lock.
    struct Use {
        Use() = default;
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() {
            if (told != nullptr) (*told)();
        }
        std::shared_ptr<OnUse> told;  // shared with those who use it at the same moment
    };
    void note(Use& use) TROUPE_REQUIRES(mutex_);
    const Member* quick_pick() TROUPE_REQUIRES(mutex_);
    void strike_off() TROUPE_REQUIRES(mutex_);
    std::vector<Member> those_up() TROUPE_REQUIRES(mutex_);
    std::size_t choose(const std::vector<Member>& from, std::optional<std::uint64_t> key)
        TROUPE_REQUIRES(mutex_);
    Result<void> check(std::optional<std::uint64_t> key) TROUPE_REQUIRES(mutex_);

    const Route route_;
    Mutex mutex_{LockRank::router};
    std::vector<Member> members_ TROUPE_GUARDED_BY(mutex_);
    // Shared with whoever calls it at this moment, without the lock.
    std::shared_ptr<OnUse> on_use_ TROUPE_GUARDED_BY(mutex_);
    bool resting_ TROUPE_GUARDED_BY(mutex_) = false;
    bool used_ TROUPE_GUARDED_BY(mutex_) = false;
    const Cell* last_added_ TROUPE_GUARDED_BY(mutex_) = nullptr;
    std::uint64_t numbered_ TROUPE_GUARDED_BY(mutex_) = 0;
    std::uint64_t turn_ TROUPE_GUARDED_BY(mutex_) = 0;
};

/// The hash of a key: a number or a text.
std::uint64_t hash_of_key(std::uint64_t key) noexcept;
std::uint64_t hash_of_key(std::string_view key) noexcept;

Error no_member(std::string_view what);

}  // namespace route_internal
}  // namespace troupe

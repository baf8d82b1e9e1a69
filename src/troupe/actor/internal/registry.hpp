#pragma once

/// The names of a system's actors.
///
/// The problem: names are looked up all the time and by everybody, and an actor's name must be free
/// before anybody hears that it has ended, however many names come and go meanwhile.
///
/// The answer: names are spread over shards by their hash. A shard is a hash table with chains; who
/// changes it holds its lock, who reads it holds nothing and checks the chain's version before and
/// after (a seqlock). What a reader may still be looking at is never given back to the allocator
/// while the registry lives, only used again for other names, and every field of it is an atomic;
/// so a reader that was overtaken reads nonsense at worst, sees the version and looks again. A
/// reader that is overtaken again and again takes the lock instead. A name that is added disturbs
/// nobody: it is complete before a chain leads to it.
///
/// A version per chain and not per shard, because readers and writers of other names must not meet
/// in one cache line: with 32 versions a look-up beside a thread that registers all the time cost
/// twice what it costs alone.
///
/// The price: the table's memory stays at its peak, as that of the process table does.
///
/// Dropped: one reader-writer lock per shard (each look-up writes the lock's line, which 2 cores
/// already feel), counting readers per shard to know when to free (the same), and hashes instead of
/// texts (two names of one hash would be one).

#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actor_internal {

/// Whom a name stands for.
struct NamedAddress {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    std::uint16_t offset = 0;                // of the type within the actor's object
    const std::string_view* type = nullptr;  // as what it is seen; the address is the identity
};

struct NameEntry;

class Registry {
public:
    Registry() = default;
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    /// Gives the name to `address`. Null when somebody else has it, who is then in `holder`.
    /// `text` has 1 to kNameBytesMax bytes, `hash` is its fnv1a_64. Any thread.
    NameEntry* add(std::string_view text, std::uint64_t hash, const NamedAddress& address,
                   NamedAddress& holder);

    /// Frees the name. Any thread, once.
    void remove(NameEntry* entry) noexcept;

    /// Who has the name, if anybody. Any thread; takes no lock, except where writers have overtaken
    /// it many times in a row.
    bool find(std::string_view text, std::uint64_t hash, NamedAddress& found) const noexcept;

    struct Listed {
        std::string text;
        NamedAddress address;
    };
    /// The name of an entry that is not removed meanwhile. Any thread.
    static std::string text_of(const NameEntry& entry);
    /// All names, in no particular order. Any thread.
    std::vector<Listed> all() const;

private:
    static constexpr std::size_t kShards = 32;

    struct Chain;
    struct Table;
    enum class Sight : std::uint8_t { present, absent, disturbed };

    // An entry keeps its size for ever: one for each of these sizes of texts.
    static constexpr std::size_t kSizes = 3;

    struct alignas(64) Shard {
        // What readers look at has a line of its own, which changes only with the table.
        std::atomic<const Table*> table{nullptr};  // writer under the lock; readers
        alignas(64) mutable Mutex mutex{LockRank::registry};
        std::size_t count TROUPE_GUARDED_BY(mutex) = 0;
        std::vector<Table*> tables TROUPE_GUARDED_BY(mutex);  // the last one is in use
        std::array<NameEntry*, kSizes> free TROUPE_GUARDED_BY(mutex) = {};

        NameEntry* search(std::string_view text, std::uint64_t hash) const noexcept
            TROUPE_REQUIRES(mutex);
        NameEntry* take_entry(std::size_t text_bytes) TROUPE_REQUIRES(mutex);
        void make_room() TROUPE_REQUIRES(mutex);
    };

    // FNV-1a puts its best bits low; the tables use those, so the shards take others.
    static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> 40 & (kShards - 1); }

    std::array<Shard, kShards> shards_;
};

}  // namespace troupe::actor_internal

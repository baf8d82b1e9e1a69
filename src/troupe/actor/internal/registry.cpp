#include <troupe/actor/internal/registry.hpp>
#include <troupe/actor/name.hpp>
#include <troupe/base/block_pool.hpp>

#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace troupe::actor_internal {

namespace {

using Word = std::atomic<std::uint64_t>;

constexpr std::size_t words_for(std::size_t bytes) noexcept {
    return (bytes + sizeof(Word) - 1) / sizeof(Word);
}

// An entry with a short text fills two cache lines' worth at most; nearly all names are short.
constexpr std::array<std::size_t, 2> kTextBytes = {40, kNameBytesMax};

constexpr std::size_t kBucketsMin = 16;
// Of a look-up without the lock. Being overtaken so often in a row takes writers that do nothing
// but come and go in this one shard.
constexpr unsigned kAttempts = 64;

static_assert(std::endian::native == std::endian::little, "word_of reads the lowest byte first");

std::uint64_t word_of(std::string_view text, std::size_t index) noexcept {
    const char* const from = text.data() + index * sizeof(Word);
    const std::size_t left = text.size() - index * sizeof(Word);
    std::uint64_t word = 0;
    if (left >= sizeof(Word)) {
        std::memcpy(&word, from, sizeof(Word));
    } else {
        for (std::size_t i = 0; i < left; ++i)
            word |= std::uint64_t{static_cast<unsigned char>(from[i])} << 8 * i;
    }
    return word;
}

// What readers without the lock see is written and read by these two only.
template <class T>
void publish(std::atomic<T>& field, std::type_identity_t<T> value) noexcept {
    // release: whoever sees it also sees the version that announced the change (begin_change);
    // pairs with see.
    field.store(value, std::memory_order_release);
}
template <class T>
T see(const std::atomic<T>& field) noexcept {
    // acquire: a version read after this is no older than what was seen; pairs with publish.
    return field.load(std::memory_order_acquire);
}

}  // namespace

/// A name. Written under the shard's lock, read by anybody.
struct NameEntry {
    explicit NameEntry(std::size_t index) noexcept : size_class(index) {}

    std::atomic<NameEntry*> next{nullptr};
    std::atomic<std::uint64_t> hash{0};
    std::atomic<Cell*> cell{nullptr};
    std::atomic<const std::string_view*> type{nullptr};
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uint16_t> offset{0};
    std::atomic<std::uint16_t> length{0};
    const std::size_t size_class;

    Word* words() noexcept { return reinterpret_cast<Word*>(this + 1); }
    const Word* words() const noexcept { return reinterpret_cast<const Word*>(this + 1); }

    static std::size_t bytes(std::size_t size_class) noexcept {
        return sizeof(NameEntry) + words_for(kTextBytes[size_class]) * sizeof(Word);
    }
    static NameEntry* make(std::size_t size_class) {
        void* const block = allocate_block(bytes(size_class));
        auto* const entry = ::new (block) NameEntry(size_class);
        std::uninitialized_value_construct_n(entry->words(), words_for(kTextBytes[size_class]));
        return entry;
    }
    static void free(NameEntry* entry) noexcept {
        const std::size_t size = bytes(entry->size_class);
        entry->~NameEntry();
        free_block(entry, size);
    }

    void write(std::string_view text, std::uint64_t text_hash,
               const NamedAddress& address) noexcept {
        for (std::size_t i = 0; i < words_for(text.size()); ++i)
            publish(words()[i], word_of(text, i));
        publish(length, static_cast<std::uint16_t>(text.size()));
        publish(hash, text_hash);
        publish(cell, address.cell);
        publish(generation, address.generation);
        publish(offset, address.offset);
        publish(type, address.type);
    }

    bool spells(std::string_view text, std::uint64_t text_hash) const noexcept {
        if (see(hash) != text_hash) return false;
        if (see(length) != text.size()) return false;
        // A longer text than fits is another entry's, which this one was meanwhile.
        const std::size_t count = words_for(text.size());
        if (count > words_for(kTextBytes[size_class])) return false;
        for (std::size_t i = 0; i < count; ++i) {
            if (see(words()[i]) != word_of(text, i)) return false;
        }
        return true;
    }
    NamedAddress address() const noexcept {
        return {see(cell), see(generation), see(offset), see(type)};
    }
    std::string text() const {
        std::string text(see(length), '\0');
        for (std::size_t at = 0; at < text.size(); ++at) {
            const std::uint64_t word = see(words()[at / sizeof(Word)]);
            text[at] = static_cast<char>(word >> 8 * (at % sizeof(Word)));
        }
        return text;
    }
};

/// The heads of the chains. A table that has become too small is kept for those who still read it.
struct Registry::Table {
    explicit Table(std::size_t buckets) : mask(buckets - 1), heads(buckets) {}

    std::atomic<NameEntry*>& head(std::uint64_t hash) noexcept { return heads[hash & mask]; }
    const std::atomic<NameEntry*>& head(std::uint64_t hash) const noexcept {
        return heads[hash & mask];
    }

    const std::uint64_t mask;
    std::vector<std::atomic<NameEntry*>> heads;  // its size never changes
};

Registry::~Registry() {
    for (Shard& shard : shards_) {
        LockGuard lock(shard.mutex);
        if (!shard.tables.empty()) {
            for (auto& head : shard.tables.back()->heads) {
                NameEntry* entry = head.load(std::memory_order_relaxed);
                while (entry != nullptr)
                    NameEntry::free(
                        std::exchange(entry, entry->next.load(std::memory_order_relaxed)));
            }
        }
        for (NameEntry* entry : shard.free) {
            while (entry != nullptr)
                NameEntry::free(std::exchange(entry, entry->next.load(std::memory_order_relaxed)));
        }
        for (const Table* table : shard.tables)
            delete table;
    }
}

// ---- reading ------------------------------------------------------------------------------------

bool Registry::find(std::string_view text, std::uint64_t hash, NamedAddress& found) const noexcept {
    const Shard& shard = shards_[shard_of(hash)];
    for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
        // acquire: sees all changes up to this version; pairs with end_change.
        const std::uint64_t version = shard.version.load(std::memory_order_acquire);
        if ((version & 1) != 0) continue;
        const Sight sight = shard.look(text, hash, version, found);
        if (sight != Sight::disturbed) return sight == Sight::present;
    }
    LockGuard lock(shard.mutex);
    const NameEntry* const entry = shard.search(text, hash);
    if (entry != nullptr) found = entry->address();
    return entry != nullptr;
}

/// One look without the lock. A chain that is changed meanwhile may lead anywhere, even in circles,
/// so the version is checked at every step.
Registry::Sight Registry::Shard::look(std::string_view text, std::uint64_t hash,
                                      std::uint64_t version_before,
                                      NamedAddress& found) const noexcept {
    const Table* const at = see(table);
    const NameEntry* entry = at != nullptr ? see(at->head(hash)) : nullptr;
    bool present = false;
    while (entry != nullptr && !present) {
        present = entry->spells(text, hash);
        if (present) {
            found = entry->address();
        } else {
            entry = see(entry->next);
        }
        if (version.load(std::memory_order_relaxed) != version_before) return Sight::disturbed;
    }
    if (version.load(std::memory_order_relaxed) != version_before) return Sight::disturbed;
    return present ? Sight::present : Sight::absent;
}

NameEntry* Registry::Shard::search(std::string_view text, std::uint64_t hash) const noexcept {
    if (tables.empty()) return nullptr;
    NameEntry* entry = tables.back()->head(hash).load(std::memory_order_relaxed);
    while (entry != nullptr && !entry->spells(text, hash))
        entry = entry->next.load(std::memory_order_relaxed);
    return entry;
}

std::string Registry::text_of(const NameEntry& entry) {
    return entry.text();
}

std::vector<Registry::Listed> Registry::all() const {
    std::vector<Listed> listed;
    for (const Shard& shard : shards_) {
        LockGuard lock(shard.mutex);
        if (shard.tables.empty()) continue;
        for (const auto& head : shard.tables.back()->heads) {
            for (const NameEntry* entry = head.load(std::memory_order_relaxed); entry != nullptr;
                 entry = entry->next.load(std::memory_order_relaxed)) {
                listed.push_back({entry->text(), entry->address()});
            }
        }
    }
    return listed;
}

// ---- changing -----------------------------------------------------------------------------------

/// From here on readers look again. Every store that follows is a release: it takes the odd version
/// along to whoever sees it.
void Registry::Shard::begin_change() noexcept {
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void Registry::Shard::end_change() noexcept {
    // release: publishes the change; pairs with the first look at the version in find.
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

NameEntry* Registry::Shard::take_entry(std::size_t text_bytes) {
    const std::size_t size_class = text_bytes <= kTextBytes[0] ? 0 : 1;
    NameEntry* const entry = free[size_class];
    if (entry == nullptr) return NameEntry::make(size_class);
    free[size_class] = entry->next.load(std::memory_order_relaxed);
    return entry;
}

/// Makes the table larger once there are as many names as chains. Within a change.
void Registry::Shard::make_room() {
    if (!tables.empty() && count < tables.back()->heads.size()) return;
    auto* const larger = new Table(tables.empty() ? kBucketsMin : tables.back()->heads.size() * 2);
    if (!tables.empty()) {
        for (auto& head : tables.back()->heads) {
            NameEntry* entry = head.load(std::memory_order_relaxed);
            while (entry != nullptr) {
                NameEntry* const next = entry->next.load(std::memory_order_relaxed);
                auto& to = larger->head(entry->hash.load(std::memory_order_relaxed));
                publish(entry->next, to.load(std::memory_order_relaxed));
                publish(to, entry);
                entry = next;
            }
        }
    }
    tables.push_back(larger);
    publish(table, larger);
}

NameEntry* Registry::add(std::string_view text, std::uint64_t hash, const NamedAddress& address,
                         NamedAddress& holder) {
    Shard& shard = shards_[shard_of(hash)];
    LockGuard lock(shard.mutex);
    if (const NameEntry* const taken = shard.search(text, hash)) {
        holder = taken->address();
        return nullptr;
    }
    NameEntry* const entry = shard.take_entry(text.size());
    shard.begin_change();
    shard.make_room();
    entry->write(text, hash, address);
    auto& head = shard.tables.back()->head(hash);
    publish(entry->next, head.load(std::memory_order_relaxed));
    publish(head, entry);
    shard.end_change();
    ++shard.count;
    return entry;
}

void Registry::remove(NameEntry* entry) noexcept {
    const std::uint64_t hash = entry->hash.load(std::memory_order_relaxed);
    Shard& shard = shards_[shard_of(hash)];
    LockGuard lock(shard.mutex);
    std::atomic<NameEntry*>* link = &shard.tables.back()->head(hash);
    while (link->load(std::memory_order_relaxed) != entry)
        link = &link->load(std::memory_order_relaxed)->next;
    shard.begin_change();
    publish(*link, entry->next.load(std::memory_order_relaxed));
    publish(entry->next, shard.free[entry->size_class]);
    shard.end_change();
    shard.free[entry->size_class] = entry;
    --shard.count;
}

}  // namespace troupe::actor_internal

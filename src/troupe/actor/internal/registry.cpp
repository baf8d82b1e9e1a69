#include <troupe/actor/internal/registry.hpp>
#include <troupe/actor/name.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/scheduler/shared_use.hpp>

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

// Nearly all names are so short that the entry is one cache line, or two.
constexpr std::array<std::size_t, 3> kTextBytes = {24, 88, kNameBytesMax};

constexpr std::uint8_t size_for(std::size_t bytes) noexcept {
    std::uint8_t size = 0;
    while (bytes > kTextBytes[size])
        ++size;
    return size;
}

constexpr std::size_t kChainsMin = 16;
// Of a look-up without the lock. Being overtaken so often in a row takes writers that do nothing
// but come and go in this one shard.
constexpr unsigned kAttempts = 64;

static_assert(std::endian::native == std::endian::little, "word_of reads the lowest byte first");

template <class T>
std::uint64_t load(const char* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

std::uint64_t word_of(std::string_view text, std::size_t index) noexcept {
    const char* const from = text.data() + index * sizeof(Word);
    const std::size_t left = text.size() - index * sizeof(Word);
    if (left >= 8) return load<std::uint64_t>(from);
    // The last bytes, by loads that overlap: faster than one by one.
    if (left >= 4) {
        return load<std::uint32_t>(from) | load<std::uint32_t>(from + left - 4) << 8 * (left - 4);
    }
    const std::size_t middle = left / 2;
    return load<std::uint8_t>(from) | load<std::uint8_t>(from + middle) << 8 * middle |
           load<std::uint8_t>(from + left - 1) << 8 * (left - 1);
}

// What readers without the lock see is written and read by these two only.
template <class T>
void publish(std::atomic<T>& field, std::type_identity_t<T> value) noexcept {
    // release: whoever sees it also sees what was written before, be it the entry that it leads to
    // or the version that announced a change (Chain::begin_change); pairs with see.
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
    explicit NameEntry(std::uint8_t which) noexcept : size(which) {}

    std::atomic<NameEntry*> next{nullptr};
    std::atomic<std::uint64_t> hash{0};
    std::atomic<Cell*> cell{nullptr};
    std::atomic<const std::string_view*> type{nullptr};
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uint16_t> offset{0};
    std::atomic<std::uint8_t> length{0};
    const std::uint8_t size;  // which of kTextBytes it has room for

    Word* words() noexcept { return reinterpret_cast<Word*>(this + 1); }
    const Word* words() const noexcept { return reinterpret_cast<const Word*>(this + 1); }

    static std::size_t bytes(std::uint8_t size) noexcept {
        return sizeof(NameEntry) + words_for(kTextBytes[size]) * sizeof(Word);
    }
    static NameEntry* make(std::uint8_t size) {
        void* const block = allocate_block(bytes(size));
        auto* const entry = ::new (block) NameEntry(size);
        std::uninitialized_value_construct_n(entry->words(), words_for(kTextBytes[size]));
        return entry;
    }
    static void free(NameEntry* entry) noexcept {
        const std::size_t block_bytes = bytes(entry->size);
        entry->~NameEntry();
        free_block(entry, block_bytes);
    }

    void write(std::string_view text, std::uint64_t text_hash,
               const NamedAddress& address) noexcept {
        for (std::size_t i = 0; i < words_for(text.size()); ++i)
            publish(words()[i], word_of(text, i));
        publish(length, static_cast<std::uint8_t>(text.size()));
        publish(hash, text_hash);
        publish(cell, address.cell);
        publish(generation, address.generation);
        publish(offset, address.offset);
        publish(type, address.type);
    }

    bool spells(std::string_view text, std::uint64_t text_hash) const noexcept {
        if (see(hash) != text_hash) return false;
        // Whatever name it is used for meanwhile, its length is one that it has room for.
        if (see(length) != text.size()) return false;
        for (std::size_t i = 0; i < words_for(text.size()); ++i) {
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

static_assert(sizeof(NameEntry) + kTextBytes[0] == 64);

/// The names whose hashes end alike.
struct Registry::Chain {
    std::atomic<std::uint64_t> version{0};  // writer under the shard's lock; readers. Odd: changing
    std::atomic<NameEntry*> head{nullptr};  // the same

    Sight look(std::string_view text, std::uint64_t hash, NamedAddress& found) const noexcept;

    /// From here on readers look again. Every store that follows is a release: it takes the odd
    /// version along to whoever sees it.
    void begin_change() noexcept {
        version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void end_change() noexcept {
        // release: publishes the change; pairs with the first look at the version.
        version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    void push(NameEntry* entry) noexcept {
        publish(entry->next, head.load(std::memory_order_relaxed));
        publish(head, entry);
    }
};

/// A table that has become too small is kept for those who still read it; its chains change for
/// ever, and so lead them to the next one.
struct Registry::Table {
    explicit Table(std::size_t count) : mask(count - 1), chains(std::make_unique<Chain[]>(count)) {}

    Chain& chain(std::uint64_t hash) const noexcept { return chains[hash & mask]; }
    std::size_t size() const noexcept { return mask + 1; }
    template <class F>
    void for_each(F f) const {
        for (std::size_t i = 0; i < size(); ++i) {
            NameEntry* entry = chains[i].head.load(std::memory_order_relaxed);
            while (entry != nullptr)
                f(std::exchange(entry, entry->next.load(std::memory_order_relaxed)));
        }
    }

    const std::uint64_t mask;
    const std::unique_ptr<Chain[]> chains;
};

Registry::~Registry() {
    for (Shard& shard : shards_) {
        LockGuard lock(shard.mutex);
        if (!shard.tables.empty()) shard.tables.back()->for_each(&NameEntry::free);
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
    note_shared_use(thing_of(hash));
    const Shard& shard = shards_[shard_of(hash)];
    for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
        const Table* const table = see(shard.table);
        if (table == nullptr) return false;
        const Sight sight = table->chain(hash).look(text, hash, found);
        if (sight != Sight::disturbed) return sight == Sight::present;
    }
    LockGuard lock(shard.mutex);
    const NameEntry* const entry = shard.search(text, hash);
    if (entry != nullptr) found = entry->address();
    return entry != nullptr;
}

/// One look without the lock. A chain that is changed meanwhile may lead anywhere, even in circles,
/// so the version is checked at every step.
Registry::Sight Registry::Chain::look(std::string_view text, std::uint64_t hash,
                                      NamedAddress& found) const noexcept {
    // acquire: sees all changes up to this version; pairs with end_change.
    const std::uint64_t before = version.load(std::memory_order_acquire);
    if ((before & 1) != 0) return Sight::disturbed;
    const auto disturbed = [&] { return version.load(std::memory_order_relaxed) != before; };
    for (const NameEntry* entry = see(head); entry != nullptr; entry = see(entry->next)) {
        if (entry->spells(text, hash)) {
            found = entry->address();
            return disturbed() ? Sight::disturbed : Sight::present;
        }
        if (disturbed()) return Sight::disturbed;
    }
    return disturbed() ? Sight::disturbed : Sight::absent;
}

NameEntry* Registry::Shard::search(std::string_view text, std::uint64_t hash) const noexcept {
    if (tables.empty()) return nullptr;
    NameEntry* entry = tables.back()->chain(hash).head.load(std::memory_order_relaxed);
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
        shard.tables.back()->for_each(
            [&](const NameEntry* entry) { listed.push_back({entry->text(), entry->address()}); });
    }
    return listed;
}

// ---- changing -----------------------------------------------------------------------------------

NameEntry* Registry::Shard::take_entry(std::size_t text_bytes) {
    const std::uint8_t size = size_for(text_bytes);
    NameEntry* const entry = free[size];
    if (entry == nullptr) return NameEntry::make(size);
    free[size] = entry->next.load(std::memory_order_relaxed);
    return entry;
}

/// Makes the table larger once there are as many names as chains.
void Registry::Shard::make_room() {
    if (!tables.empty() && count < tables.back()->size()) return;
    auto* const larger = new Table(tables.empty() ? kChainsMin : tables.back()->size() * 2);
    if (!tables.empty()) {
        const Table& smaller = *tables.back();
        for (std::size_t i = 0; i < smaller.size(); ++i)
            smaller.chains[i].begin_change();  // no end: whoever comes here goes to the larger one
        smaller.for_each([&](NameEntry* entry) {
            larger->chain(entry->hash.load(std::memory_order_relaxed)).push(entry);
        });
    }
    tables.push_back(larger);
    publish(table, larger);
}

NameEntry* Registry::add(std::string_view text, std::uint64_t hash, const NamedAddress& address,
                         NamedAddress& holder) {
    note_shared_use(thing_of(hash));
    Shard& shard = shards_[shard_of(hash)];
    LockGuard lock(shard.mutex);
    if (const NameEntry* const taken = shard.search(text, hash)) {
        holder = taken->address();
        return nullptr;
    }
    NameEntry* const entry = shard.take_entry(text.size());
    shard.make_room();
    entry->write(text, hash, address);
    shard.tables.back()->chain(hash).push(entry);
    ++shard.count;
    return entry;
}

void Registry::remove(NameEntry* entry) noexcept {
    const std::uint64_t hash = entry->hash.load(std::memory_order_relaxed);
    note_shared_use(thing_of(hash));
    Shard& shard = shards_[shard_of(hash)];
    LockGuard lock(shard.mutex);
    Chain& chain = shard.tables.back()->chain(hash);
    std::atomic<NameEntry*>* link = &chain.head;
    while (link->load(std::memory_order_relaxed) != entry)
        link = &link->load(std::memory_order_relaxed)->next;
    chain.begin_change();
    publish(*link, entry->next.load(std::memory_order_relaxed));
    publish(entry->next, shard.free[entry->size]);
    chain.end_change();
    shard.free[entry->size] = entry;
    --shard.count;
}

}  // namespace troupe::actor_internal

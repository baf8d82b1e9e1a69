#include <troupe/actor/internal/registry.hpp>
#include <troupe/actor/name.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe::actor_internal {
namespace {

constexpr std::string_view kType = "Thing";

NamedAddress address_of(std::uint32_t number) {
    return {nullptr, number, static_cast<std::uint16_t>(number), &kType};
}

NameEntry* add(Registry& registry, const std::string& text, std::uint32_t number) {
    NamedAddress holder;
    return registry.add(text, fnv1a_64(text), address_of(number), holder);
}

/// The number registered under a text, or 0.
std::uint32_t find(const Registry& registry, const std::string& text) {
    NamedAddress found;
    return registry.find(text, fnv1a_64(text), found) ? found.generation : 0;
}

TEST(Registry, FindsNothingWhereNothingWasRegistered) {
    Registry registry;
    EXPECT_EQ(find(registry, "nobody"), 0U);
    EXPECT_TRUE(registry.all().empty());
}

TEST(Registry, RefusesANameThatIsTakenAndSaysByWhom) {
    Registry registry;
    NameEntry* const first = add(registry, "shop", 1);
    ASSERT_NE(first, nullptr);
    NamedAddress holder;
    EXPECT_EQ(registry.add("shop", fnv1a_64("shop"), address_of(2), holder), nullptr);
    EXPECT_EQ(holder.generation, 1U);
    registry.remove(first);
    EXPECT_EQ(find(registry, "shop"), 0U);
    EXPECT_NE(add(registry, "shop", 2), nullptr);
    EXPECT_EQ(find(registry, "shop"), 2U);
}

TEST(Registry, TellsTextsOfOneHashApart) {
    Registry registry;
    NamedAddress holder;
    ASSERT_NE(registry.add("one", 7, address_of(1), holder), nullptr);
    ASSERT_NE(registry.add("two", 7, address_of(2), holder), nullptr);
    ASSERT_NE(registry.add(std::string(200, 'x'), 7, address_of(3), holder), nullptr);
    NamedAddress found;
    ASSERT_TRUE(registry.find("one", 7, found));
    EXPECT_EQ(found.generation, 1U);
    ASSERT_TRUE(registry.find(std::string(200, 'x'), 7, found));
    EXPECT_EQ(found.generation, 3U);
    EXPECT_FALSE(registry.find("on", 7, found));
    EXPECT_FALSE(registry.find(std::string(201, 'x'), 7, found));
}

TEST(Registry, BehavesLikeAMapOverAnyHistory) {
    Registry registry;
    std::map<std::string, std::pair<std::uint32_t, NameEntry*>> model;
    Random random(17);
    for (std::uint32_t step = 1; step < 20'000; ++step) {
        // Of all lengths that are allowed, and each of them often enough to meet again.
        const std::uint64_t draw = random.below(600);
        const std::string text = std::string(1 + draw % kNameBytesMax, 'n') + std::to_string(draw);
        if (text.size() > kNameBytesMax) continue;
        const auto at = model.find(text);
        ASSERT_EQ(find(registry, text), at == model.end() ? 0 : at->second.first);
        if (at == model.end()) {
            model[text] = {step, add(registry, text, step)};
        } else {
            ASSERT_EQ(add(registry, text, step), nullptr);
            registry.remove(at->second.second);
            model.erase(at);
        }
    }
    auto all = registry.all();
    std::sort(all.begin(), all.end(),
              [](const auto& left, const auto& right) { return left.text < right.text; });
    ASSERT_EQ(all.size(), model.size());
    auto at = model.begin();
    for (const auto& listed : all) {
        EXPECT_EQ(listed.text, at->first);
        EXPECT_EQ(listed.address.generation, (at++)->second.first);
    }
}

TEST(Registry, NeedsNoMoreMemoryForNamesThatComeAndGo) {
    const std::uint64_t before = block_pool_stats().live_blocks;
    {
        Registry registry;
        std::uint64_t first_round = 0;
        for (int round = 0; round < 50; ++round) {
            std::vector<NameEntry*> entries;
            for (std::uint32_t i = 0; i < 500; ++i) {
                // Other names in each round, and always as many of them in each shard.
                const std::string text = "name " + std::to_string(i);
                entries.push_back(add(registry, text, i));
            }
            for (NameEntry* entry : entries)
                registry.remove(entry);
            const std::uint64_t live = block_pool_stats().live_blocks - before;
            if (round == 0) first_round = live;
            ASSERT_EQ(live, first_round);
        }
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

// Goal: whoever reads while others write finds what was there, and never a mixture. Method: each
// name is only ever registered with numbers that belong to it, by a thread of its own, while others
// look; names that are there all the time must be found every time.
TEST(RegistryThreads, AReaderNeverSeesHalfAChange) {
    constexpr std::uint32_t kNames = 40;
    constexpr std::uint32_t kRounds = 3000;
    Registry registry;
    const auto text_of = [](std::uint32_t name) {
        return "name " + std::to_string(name) + std::string(name % 2 == 0 ? 2 : 60, '-');
    };
    const std::string fixed = "always there";
    ASSERT_NE(add(registry, fixed, 12345), nullptr);
    std::atomic<bool> done{false};
    std::atomic<std::uint32_t> wrong{0};
    std::vector<std::thread> readers;
    readers.reserve(2);
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&, i] {
            Random random(static_cast<std::uint64_t>(i) + 1);
            while (!done.load(std::memory_order_relaxed)) {
                const auto name = static_cast<std::uint32_t>(random.below(kNames));
                NamedAddress found;
                const std::string text = text_of(name);
                if (registry.find(text, fnv1a_64(text), found)) {
                    const bool whole = found.generation % kNames == name &&
                                       found.offset == static_cast<std::uint16_t>(found.generation);
                    if (!whole || found.type != &kType) wrong.fetch_add(1);
                }
                if (find(registry, fixed) != 12345) wrong.fetch_add(1);
            }
        });
    }
    std::vector<std::thread> writers;
    writers.reserve(2);
    for (std::uint32_t writer = 0; writer < 2; ++writer) {
        writers.emplace_back([&, writer] {
            for (std::uint32_t round = 1; round <= kRounds; ++round) {
                std::array<NameEntry*, kNames> entries{};
                for (std::uint32_t name = writer; name < kNames; name += 2)
                    entries[name] = add(registry, text_of(name), round * kNames + name);
                for (std::uint32_t name = writer; name < kNames; name += 2) {
                    if (find(registry, text_of(name)) != round * kNames + name) wrong.fetch_add(1);
                    registry.remove(entries[name]);
                }
            }
        });
    }
    for (auto& writer : writers)
        writer.join();
    done.store(true, std::memory_order_relaxed);
    for (auto& reader : readers)
        reader.join();
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(registry.all().size(), 1U);
}

}  // namespace
}  // namespace troupe::actor_internal

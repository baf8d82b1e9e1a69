#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

TEST(Arena, CountsWhatItHoldsAndGivesItBackAtOnce) {
    Arena arena(1 << 20);
    const std::size_t empty = arena.bytes_held();
    EXPECT_LT(empty, 1000U) << "its own book-keeping";
    std::pmr::vector<int> numbers(&arena);
    numbers.resize(10'000);
    EXPECT_GE(arena.bytes_held(), 10'000 * sizeof(int));
    EXPECT_EQ(arena.bytes_max(), std::size_t{1} << 20);
    numbers = std::pmr::vector<int>(&arena);
    arena.release();
    EXPECT_LE(arena.bytes_held(), empty);
}

TEST(Arena, ReusesWhatWasGivenBack) {
    Arena arena(1 << 16);
    for (int i = 0; i < 10'000; ++i) {
        const std::pmr::string text(100, 'x', &arena);
        ASSERT_LE(arena.bytes_held(), std::size_t{1} << 16);
    }
}

TEST(Arena, RefusesWhatGoesBeyondItsCapAndSaysSo) {
    Arena arena(4096);
    EXPECT_NO_THROW(arena.deallocate(arena.allocate(2000), 2000));
    try {
        static_cast<void>(arena.allocate(10'000));
        FAIL() << "it has given more than it has";
    } catch (const std::bad_alloc& refusal) {
        EXPECT_NE(std::string(refusal.what()).find("bytes more were wanted"), std::string::npos)
            << refusal.what();
    }
    EXPECT_LE(arena.bytes_held(), 4096U);
    EXPECT_THROW(static_cast<void>(arena.allocate(SIZE_MAX / 2)), std::bad_alloc);
}

TEST(Arena, KeepsAlignment) {
    Arena arena(1 << 16);
    for (const std::size_t alignment : {1, 8, 16, 64, 256}) {
        void* const block = arena.allocate(100, alignment);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0U);
        arena.deallocate(block, 100, alignment);
    }
}

/// Keeps its lines in memory of its own.
class Notebook : public Actor {
public:
    void note(std::string line) { lines_.emplace_back(line); }
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    std::size_t lines() const { return lines_.size(); }
    std::size_t held() const { return memory().bytes_held(); }

private:
    std::pmr::vector<std::pmr::string> lines_{&memory()};
};

/// Of an actor that has just answered: a moment later it can be looked into.
std::size_t bytes_of(OwnedSystem& system, Ref<Notebook> notebook) {
    if (system->engine().deterministic()) system.settle();
    for (int i = 0; i < 1'000'000; ++i) {
        const auto info = system->info(notebook.pid());
        if (info->complete) return info->bytes;
    }
    ADD_FAILURE() << "it has never let go";
    return 0;
}

TEST(ActorMemory, IsCountedInItsInfoAndGoneWithTheActorHoweverItEnds) {
    on_both_engines(
        [](OwnedSystem& system) {
            for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
                auto gate = std::make_shared<Gate>();
                auto notebook = system->spawn<Notebook>(options().arena(1 << 20));
                EXPECT_EQ(system->block_on(notebook.ask<&Notebook::lines>()), 0U);
                const std::size_t before = bytes_of(system, notebook);
                for (int i = 0; i < 100; ++i)
                    notebook.tell<&Notebook::note>(std::string(100, 'x'));
                const std::size_t held = *system->block_on(notebook.ask<&Notebook::held>());
                EXPECT_GT(held, 10'000U);
                EXPECT_GT(bytes_of(system, notebook), before + 5'000);
                notebook.tell<&Notebook::hold>(gate);
                gate->wait_until_reached(system);
                notebook.stop(strength);
                if (strength != Stop::kill) gate->open();
                wait_for_end(system, notebook);  // the address sanitizer would find what is left
            }
        },
        20);
}

TEST(ActorMemory, BeyondItsCapEndsTheActorWithAClearReason) {
    on_both_engines([](OwnedSystem& system) {
        auto notebook = system->spawn<Notebook>(options().arena(64 << 10));
        EndWatch watch(system, notebook);
        for (int i = 0; i < 900; ++i)
            notebook.tell<&Notebook::note>(std::string(200, 'x'));
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::failed);
        EXPECT_NE(down.reason.text().find("arena is used up"), std::string::npos)
            << down.reason.text();
        EXPECT_NE(down.reason.text().find("65536"), std::string::npos) << down.reason.text();
    });
}

TEST(ActorMemory, WithoutTheOptionHasNoCapButIsCounted) {
    on_both_engines([](OwnedSystem& system) {
        auto notebook = system->spawn<Notebook>();
        for (int i = 0; i < 500; ++i)
            notebook.tell<&Notebook::note>(std::string(200, 'x'));
        EXPECT_EQ(system->block_on(notebook.ask<&Notebook::lines>()), 500U);
        EXPECT_GT(*system->block_on(notebook.ask<&Notebook::held>()), 100'000U);
    });
}

}  // namespace
}  // namespace troupe

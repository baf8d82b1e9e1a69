#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/pipe.hpp>
#include <troupe/task/context.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;

std::string tenant() {
    return baggage("tenant").value_or("nobody");
}

using Seen = std::shared_ptr<std::string>;

class Deep : public Actor {
public:
    explicit Deep(Seen born = nullptr) : born_(std::move(born)) {}
    Task<Result<void>> on_start() override {
        co_await yield();
        if (born_ != nullptr) *born_ = tenant();
        co_return Result<void>();
    }
    std::string who() { return tenant(); }
    Task<std::string> who_later() {
        ignore(co_await sleep(1us), "a test");
        co_return tenant();
    }
    void note(Seen seen) { *seen = tenant(); }
    TraceContext trace() { return current_trace(); }

private:
    Seen born_;
};

class Middle : public Actor {
public:
    explicit Middle(Ref<Deep> deep) : deep_(deep) {}
    Task<std::string> ask_on() {
        const auto plain = co_await deep_.ask<&Deep::who>();
        const auto later = co_await deep_.ask<&Deep::who_later>();
        co_return *plain + " " + *later + " " + tenant();
    }
    Task<> tell_and_send(Seen told, Seen sent) {
        deep_.tell<&Deep::note>(told);
        ignore(co_await deep_.send<&Deep::note>(sent), "a test");
    }
    void start_timer(Seen seen) { after<&Middle::tick>(1us, seen); }
    void tick(Seen seen) { *seen = tenant(); }
    void give_birth(Seen born) { system().spawn<Deep>(born); }
    Reply<std::string> pass_on() { return deep_.delegate<&Deep::who>(); }
    void pipe(Seen seen) { deep_.ask<&Deep::who>().pipe_to<&Middle::answered>(self(this), seen); }
    Task<std::string> in_a_group() {
        auto group = task_group<std::string>(all_successful());
        group.add([]() -> Task<std::string> {
            co_await yield();
            co_return tenant();
        });
        group.add(deep_.ask<&Deep::who>());
        const auto both = co_await group.run();
        co_return (*both)[0] + " " + (*both)[1];
    }
    int ready() { return 1; }

private:
    void answered(Result<std::string> who, Seen seen) { *seen = *who + " " + tenant(); }
    Ref<Deep> deep_;
};

TEST(Baggage, GoesAlongWithEverythingThatIsDoneForARequest) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto deep = system->spawn<Deep>();
            auto middle = system->spawn<Middle>(deep);
            auto serve = [](Ref<Middle> m, Ref<Deep> d) -> Task<> {
                const auto asked = co_await m.ask<&Middle::ask_on>();
                EXPECT_EQ(asked, "acme acme acme");
                const auto delegated = co_await m.ask<&Middle::pass_on>();
                EXPECT_EQ(delegated, "acme");
                const auto grouped = co_await m.ask<&Middle::in_a_group>();
                EXPECT_EQ(grouped, "acme acme");
                std::vector<Seen> seen;
                for (int i = 0; i < 5; ++i)
                    seen.push_back(std::make_shared<std::string>());
                ignore(co_await m.ask<&Middle::tell_and_send>(seen[0], seen[1]), "a test");
                m.tell<&Middle::start_timer>(seen[2]);
                m.tell<&Middle::give_birth>(seen[3]);
                m.tell<&Middle::pipe>(seen[4]);
                ignore(co_await sleep(20ms), "until all of it has happened");
                ignore(co_await d.ask<&Deep::who>(), "sees what it did");
                ignore(co_await m.ask<&Middle::ready>(), "the same");
                EXPECT_EQ(*seen[0], "acme");
                EXPECT_EQ(*seen[1], "acme");
                EXPECT_EQ(*seen[2], "acme");
                EXPECT_EQ(*seen[3], "acme");
                EXPECT_EQ(*seen[4], "acme acme");
            };
            auto run = [serve](Ref<Middle> m, Ref<Deep> d) -> Task<> {
                co_await with_baggage("tenant", "acme", serve, m, d);
                EXPECT_EQ(tenant(), "nobody") << "outside it is over";
                const auto after = co_await m.ask<&Middle::ask_on>();
                EXPECT_EQ(after, "nobody nobody nobody");
            };
            if (!system->engine().deterministic()) {
                // The last three come in their own time: on threads nobody says when.
                auto asks = [](Ref<Middle> m) -> Task<std::string> {
                    co_return *co_await m.ask<&Middle::ask_on>();
                };
                EXPECT_EQ(system->block_on(with_baggage("tenant", "acme", asks, middle)),
                          "acme acme acme");
                return;
            }
            system->block_on(run(middle, deep));
        },
        20);
}

TEST(Baggage, OfTheInnermostCountsAndTheOtherKeysStay) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto inner = []() -> Task<std::string> {
                co_return tenant() + " " + baggage("order").value_or("none");
            };
            auto outer = [inner]() -> Task<std::string> {
                const std::string inside = co_await with_baggage("tenant", "acme", inner);
                co_return inside + " " + tenant();
            };
            auto both = [outer]() -> Task<std::string> {
                co_return co_await with_baggage("order", "7", outer);
            };
            EXPECT_EQ(system->block_on(with_baggage("tenant", "zoo", both)), "acme 7 zoo");
            EXPECT_FALSE(baggage("tenant").has_value()) << "this thread runs no turn";
        },
        5);
}

TEST(Baggage, IsSeenWithinDeadlinesAndShields) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto inner = []() -> Task<std::string> {
                ignore(co_await sleep(1us), "a test");
                co_return tenant();
            };
            auto outer = [inner]() -> Task<std::string> {
                const auto value = co_await within(1h, inner);
                co_return *value;
            };
            EXPECT_EQ(system->block_on(with_baggage("tenant", "acme", outer)), "acme");
        },
        5);
}

TEST(Trace, GoesAlongWithAsks) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto deep = system->spawn<Deep>();
            const TraceContext trace{1, 2, 3, true};
            auto asks = [](Ref<Deep> d) -> Task<TraceContext> {
                co_return *co_await d.ask<&Deep::trace>();
            };
            EXPECT_EQ(system->block_on(with_trace(trace, asks, deep)), trace);
            EXPECT_EQ(system->block_on(deep.ask<&Deep::trace>()), TraceContext());
        },
        5);
}

}  // namespace
}  // namespace troupe

// Goal: what OTP's supervisor does, for every combination of strategy, restart type of each of
// three children, exit reason, and which of them ends. Method: every child notes when it is built
// and when it is destroyed; a model that knows only OTP's documentation says what the notes must
// be.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using Kind = ExitReason::Kind;

constexpr std::size_t kChildren = 3;
constexpr const char* kNames = "abc";

/// What happened, in order. Opens when as much has happened as the model expects.
class Diary {
public:
    void note(char what, std::size_t child) {
        LockGuard lock(mutex_);
        text_ += what;
        text_ += kNames[child];
        if (text_.size() == wanted_) reached_.open();
    }
    void want(std::size_t length) {
        LockGuard lock(mutex_);
        wanted_ = length;
        if (text_.size() == wanted_) reached_.open();
    }
    std::string text() {
        LockGuard lock(mutex_);
        return text_;
    }
    Latch& reached() { return reached_; }

private:
    Mutex mutex_{LockRank::test_outer};
    std::string text_ TROUPE_GUARDED_BY(mutex_);
    std::size_t wanted_ TROUPE_GUARDED_BY(mutex_) = 0;
    Latch reached_;
};

class Member : public Actor {
public:
    Member(Diary* diary, std::size_t number) : diary_(diary), number_(number) {
        diary_->note('+', number_);
    }
    ~Member() override { diary_->note('-', number_); }
    int ready() const { return 1; }

private:
    Diary* diary_;
    std::size_t number_;
};

struct Case {
    Strategy strategy;
    std::array<Restart, kChildren> types;
    std::size_t who;
    Kind reason;
};

/// The model: OTP's "Supervisor Behaviour" chapter, and no more than that.
std::string expected_by_otp(const Case& c) {
    std::string diary = "+a+b+c";
    std::array<bool, kChildren> alive = {true, true, true};
    const auto ends = [&](std::size_t child) {
        diary += {'-', kNames[child]};
        alive[child] = false;
    };
    const auto begins = [&](std::size_t child) {
        diary += {'+', kNames[child]};
        alive[child] = true;
    };
    ends(c.who);
    const bool normal =
        c.reason == Kind::normal || c.reason == Kind::shutdown || c.reason == Kind::shutdown_with;
    const Restart type = c.types[c.who];
    if (type == Restart::permanent || (type == Restart::transient && !normal)) {
        std::size_t first = c.who;
        std::size_t last = c.who;
        if (c.strategy == Strategy::one_for_all) first = 0;
        if (c.strategy != Strategy::one_for_one) last = kChildren - 1;
        for (std::size_t child = last + 1; child-- > first;) {
            if (alive[child]) ends(child);
        }
        for (std::size_t child = first; child <= last; ++child) {
            if (c.types[child] != Restart::temporary) begins(child);
        }
    }
    for (std::size_t child = kChildren; child-- > 0;) {
        if (alive[child]) ends(child);
    }
    return diary;
}

Supervisor tree_of(const Case& c, Diary& diary, std::vector<Child<Member>>& members) {
    Supervisor tree("table");
    tree.strategy(c.strategy);
    for (std::size_t i = 0; i < kChildren; ++i) {
        members.push_back(
            tree.child<Member>(std::string(1, kNames[i]), ChildPolicy(c.types[i]), &diary, i));
    }
    return tree;
}

void run(OwnedSystem& system, const Case& c) {
    Diary diary;
    std::vector<Child<Member>> members;
    const Result<SupervisorRef> running =
        system->block_on(system->start(tree_of(c, diary, members)));
    ASSERT_TRUE(running);
    const std::string expected = expected_by_otp(c);
    const Ref<Member> victim = running->ref(members[c.who]);
    const Stop strength = c.reason == Kind::killed ? Stop::kill : Stop::stop;
    // The stop comes when the last one has been started again, or when the one has ended.
    diary.want(std::max<std::size_t>(expected.rfind('+') + 2, std::string_view("+a+b+c-x").size()));
    victim.stop(strength, ExitReason(c.reason));
    ASSERT_TRUE(system->engine().run_until(diary.reached()));
    EXPECT_TRUE(system->block_on(running->stop()));
    EXPECT_EQ(diary.text(), expected);
    system.stop();
}

std::string describe(const Case& c) {
    std::string text = "strategy " + std::to_string(static_cast<int>(c.strategy)) + ", types";
    for (const Restart type : c.types)
        text += std::string(" ") + name(type);
    return text + ", " + std::string(1, kNames[c.who]) + " ends: " + name(c.reason);
}

template <class Visit>
void for_each_case(Visit visit) {
    const Restart types[] = {Restart::permanent, Restart::transient, Restart::temporary};
    for (const Strategy strategy :
         {Strategy::one_for_one, Strategy::one_for_all, Strategy::rest_for_one})
        for (const Restart a : types)
            for (const Restart b : types)
                for (const Restart c : types)
                    for (std::size_t who = 0; who < kChildren; ++who)
                        for (const Kind reason : {Kind::normal, Kind::shutdown, Kind::shutdown_with,
                                                  Kind::failed, Kind::killed}) {
                            visit(Case{strategy, {a, b, c}, who, reason});
                            if (testing::Test::HasFailure()) return;
                        }
}

TEST(SupervisorTable, DoesWhatOtpDoesInEveryCaseUnderEverySeedTried) {
    const actor_internal::QuietLog quiet;
    std::uint64_t cases = 0;
    for_each_case([&](const Case& c) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            SCOPED_TRACE(describe(c) + ", seed " + std::to_string(seed));
            RandomChooser chooser(seed + cases);
            actor_internal::run_and_check(make_deterministic_engine(chooser),
                                          [&](OwnedSystem& system) { run(system, c); });
        }
        ++cases;
    });
    EXPECT_EQ(cases, 3U * 27 * 3 * 5);
}

TEST(SupervisorTable, DoesWhatOtpDoesOnThreads) {
    const actor_internal::QuietLog quiet;
    std::uint64_t cases = 0;
    for_each_case([&](const Case& c) {
        if (cases++ % 8 != 0) return;
        SCOPED_TRACE(describe(c));
        actor_internal::run_and_check(make_threaded_engine({.workers = 2}),
                                      [&](OwnedSystem& system) { run(system, c); });
    });
}

}  // namespace
}  // namespace troupe

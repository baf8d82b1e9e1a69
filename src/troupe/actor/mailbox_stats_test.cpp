#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

// A stamp is as coarse as that, twice, and says too little rather than too much.
constexpr Duration kFuzz = 3ms;

/// Takes a second for each letter.
class Clerk : public Actor {
public:
    Task<void> letter() {
        const Result<void> slept = co_await sleep(1s);
        if (slept) ++letters_;
    }
    int letters() const { return letters_; }

private:
    int letters_ = 0;
};

/// Writes letters to a clerk, all at once, as nobody but an actor has a stamp.
class Writer : public Actor {
public:
    explicit Writer(Ref<Clerk> clerk) : clerk_(clerk) {}
    void write(int letters) {
        for (int i = 0; i < letters; ++i)
            clerk_.tell<&Clerk::letter>();
    }

private:
    Ref<Clerk> clerk_;
};

class Tally : public Actor {
public:
    void one() { ++calls_; }
    int all() const { return calls_; }

private:
    int calls_ = 0;
};

/// Sends so many calls and asks how many have come.
class Counting : public Actor {
public:
    explicit Counting(Ref<Tally> tally) : tally_(tally) {}
    Task<Result<int>> count(int calls) {
        for (int i = 0; i < calls; ++i) {
            const Result<void> sent = co_await tally_.send<&Tally::one>();
            if (!sent) co_return std::unexpected(sent.error());
        }
        co_return co_await tally_.ask<&Tally::all>();
    }

private:
    Ref<Tally> tally_;
};

std::optional<MailboxesOfType> mailboxes_of(const System& system, std::string_view type) {
    for (MailboxesOfType& one : system.mailboxes_by_type()) {
        if (one.type.ends_with(type)) return std::move(one);
    }
    return std::nullopt;
}

/// A clerk who has had so many letters at the same time.
void be_written_to(OwnedSystem& system, const Ref<Clerk>& clerk, int letters) {
    const Ref<Writer> writer = system->spawn<Writer>(clerk);
    writer.tell<&Writer::write>(letters);
    system->engine().run_for(Duration(1s) * (letters + 1));
    ASSERT_EQ(system->block_on(clerk.ask<&Clerk::letters>()).value_or(0), letters);
}

TEST(MailboxesByType, TellForHowLongMessagesWaitBehindAHandlerThatWaits) {
    on_seeds(8, [](OwnedSystem& system) {
        be_written_to(system, system->spawn<Clerk>(), 10);
        const auto clerks = mailboxes_of(*system, "Clerk");
        ASSERT_TRUE(clerks);
        // They waited 0, 1, 2 ... 9 s; and the question how many there were.
        EXPECT_EQ(clerks->measured, 11U);
        EXPECT_LE(clerks->longest, 9s);
        EXPECT_GE(clerks->longest, 9s - kFuzz);
        EXPECT_GE(clerks->median, 4s - kFuzz);
        EXPECT_LE(clerks->median, 5s * 33 / 32);
        EXPECT_GE(clerks->p95, clerks->median);
        EXPECT_EQ(clerks->p99, clerks->longest);
    });
}

TEST(MailboxesByType, MeasureEachMessageOfAMailboxWithAPolicy) {
    on_seeds(8, [](OwnedSystem& system) {
        be_written_to(system, system->spawn<Clerk>(options().mailbox(bounded(100).drop_oldest())),
                      10);
        const auto clerks = mailboxes_of(*system, "Clerk");
        ASSERT_TRUE(clerks);
        EXPECT_EQ(clerks->measured, 11U);
        EXPECT_EQ(clerks->longest, 9s);
        EXPECT_GE(clerks->most, 9U);  // one may have been taken out before the last came
    });
}

TEST(MailboxesByType, KnowTheMostThatLayInOneMailbox) {
    on_both_engines([](OwnedSystem& system) {
        constexpr std::size_t kLetters = 50;
        const Ref<Clerk> clerk = system->spawn<Clerk>();
        for (std::size_t i = 0; i < kLetters; ++i)
            clerk.tell<&Clerk::letter>();
        EndWatch ended(system, clerk);
        clerk.stop();
        ended.wait();
        const auto clerks = mailboxes_of(*system, "Clerk");
        ASSERT_TRUE(clerks);
        EXPECT_GE(clerks->most, kLetters - 1);  // the first may have been handled before the last
        EXPECT_LE(clerks->most, kLetters);
    });
}

TEST(MailboxesByType, LookAtSomeOfTheMessagesThatThreadsHandle) {
    on_threads(2, [](OwnedSystem& system) {
        constexpr int kCalls = 100'000;
        const Ref<Tally> tally = system->spawn<Tally>();
        const Ref<Counting> counting = system->spawn<Counting>(tally);
        ASSERT_EQ(system->block_on(counting.ask<&Counting::count>(kCalls)).value_or(0), kCalls);
        const auto tallies = mailboxes_of(*system, "Tally");
        ASSERT_TRUE(tallies);
        EXPECT_GE(tallies->measured, 1U);
        EXPECT_LE(tallies->measured, 1U + kCalls);
        EXPECT_LE(tallies->median, tallies->p95);
        EXPECT_LE(tallies->p95, tallies->p99);
        EXPECT_LE(tallies->p99, tallies->longest);
    });
}

TEST(MailboxesByType, SayNothingOfClassesThatHadNoMail) {
    on_seeds(1, [](OwnedSystem& system) {
        EXPECT_FALSE(mailboxes_of(*system, "Clerk"));
        system->spawn<Clerk>();
        system->engine().settle();
        EXPECT_FALSE(mailboxes_of(*system, "Clerk"));
    });
}

TEST(MailboxesByType, NamesThoseFirstWhoseMessagesWaitedLongest) {
    on_seeds(4, [](OwnedSystem& system) {
        be_written_to(system, system->spawn<Clerk>(), 3);
        const std::vector<MailboxesOfType> all = system->mailboxes_by_type();
        ASSERT_GE(all.size(), 2U);
        EXPECT_TRUE(all.front().type.ends_with("Clerk"));
        EXPECT_TRUE(std::ranges::is_sorted(all, std::greater<>(), &MailboxesOfType::longest));
    });
}

}  // namespace
}  // namespace troupe::actor_internal

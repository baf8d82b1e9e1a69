#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/log.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

using Heard = std::shared_ptr<std::vector<DeadLetter>>;

class Clerk : public Actor {
public:
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    void note(int) {}
};

/// The one who is told.
class Auditor : public Actor {
public:
    explicit Auditor(Heard heard) : heard_(std::move(heard)) {}
    void lost(DeadLetter letter) { heard_->push_back(letter); }
    std::size_t count() const { return heard_->size(); }

private:
    Heard heard_;
};

TEST(DeadLetters, AreToldWithTargetMethodAndReason) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<DeadLetter>>();
        auto auditor = system->spawn<Auditor>(heard);
        system->on_dead_letter<&Auditor::lost>(auditor);
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>(options().mailbox(bounded(1)));
        clerk.tell<&Clerk::hold>(gate);
        gate->wait_until_reached(system);
        while (clerk.tell<&Clerk::note>(1) == SendStatus::sent) {
        }
        ASSERT_EQ(system->block_on(auditor.ask<&Auditor::count>()), 1U);
        EXPECT_EQ(heard->at(0).target, clerk.pid());
        EXPECT_NE(heard->at(0).method.find("Clerk::note"), std::string_view::npos);
        EXPECT_EQ(heard->at(0).reason, DeadLetterReason::overflow);
        gate->open();
        clerk.stop();
        wait_for_end(system, clerk);
        const std::size_t before = *system->block_on(auditor.ask<&Auditor::count>());
        EXPECT_EQ(clerk.tell<&Clerk::note>(2), SendStatus::gone);
        ASSERT_EQ(system->block_on(auditor.ask<&Auditor::count>()), before + 1);
        EXPECT_EQ(heard->back().reason, DeadLetterReason::gone);
        EXPECT_EQ(heard->back().target, clerk.pid());
        EXPECT_EQ(heard->size(), system->dead_letters().total());
    });
}

TEST(DeadLetters, OfTheirOwnListenerAreCountedAndNotToldInCircles) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<DeadLetter>>();
        auto auditor = system->spawn<Auditor>(options().mailbox(bounded(1)), heard);
        system->on_dead_letter<&Auditor::lost>(auditor);
        const Heard heard_too = std::make_shared<std::vector<DeadLetter>>();
        auto second = system->spawn<Auditor>(options().mailbox(bounded(1)), heard_too);
        system->on_dead_letter<&Auditor::lost>(second);
        auto nobody = Ref<Clerk>();
        for (int i = 0; i < 50; ++i) {
            // Told from inside, so that there is a system to tell.
            auto clerk = system->spawn<Clerk>();
            clerk.stop(Stop::kill);
            wait_for_end(system, clerk);
            EXPECT_EQ(clerk.tell<&Clerk::note>(i), SendStatus::gone);
        }
        EXPECT_EQ(nobody.tell<&Clerk::note>(1), SendStatus::gone);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::gone], 50U);
        for (auto listener : {auditor, second}) {
            listener.stop();
            wait_for_end(system, listener);
        }
        EXPECT_LE(heard->size(), 50U);
        // The other one may also hear of what waited for the first when that one ended.
        EXPECT_LE(heard_too->size(), 51U);
        auto clerk = system->spawn<Clerk>();
        clerk.stop(Stop::kill);
        wait_for_end(system, clerk);
        clerk.tell<&Clerk::note>(1);  // whoever has ended is told no more
    });
}

class Caller : public Actor {
public:
    void tell_it(Ref<Clerk> clerk) { clerk.tell<&Clerk::note>(1); }
    Task<> ask_it(Ref<Clerk> clerk) {
        ignore(co_await clerk.ask<&Clerk::note>(1), "it ends meanwhile");
    }
    Task<> send_it(Ref<Clerk> clerk) {
        ignore(co_await clerk.send<&Clerk::note>(1), "it ends meanwhile");
    }
};

TEST(DeadLetters, NameTheActorThatSentThemWhereItIsKnown) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<DeadLetter>>();
        auto auditor = system->spawn<Auditor>(heard);
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>(options().mailbox(bounded(1)));
        clerk.tell<&Clerk::hold>(gate);
        gate->wait_until_reached(system);
        while (clerk.tell<&Clerk::note>(1) == SendStatus::sent) {
        }
        system->on_dead_letter<&Auditor::lost>(auditor);
        clerk.tell<&Clerk::note>(1);  // by nobody
        auto caller = system->spawn<Caller>();
        caller.tell<&Caller::tell_it>(clerk);
        caller.tell<&Caller::ask_it>(clerk);
        auto sender = system->spawn<Caller>();
        sender.tell<&Caller::send_it>(clerk);
        while (system->info(clerk.pid())->mailbox_depth < 3) {
            system->block_on([]() -> Task<> { co_await yield(); }());
        }
        clerk.stop(Stop::kill);
        wait_for_end(system, clerk);
        const std::size_t count = *system->block_on(auditor.ask<&Auditor::count>());
        ASSERT_EQ(count, 5U);
        EXPECT_EQ(heard->at(0).sender, Pid());
        EXPECT_EQ(heard->at(1).sender, caller.pid());
        std::size_t of_caller = 0;
        std::size_t of_sender = 0;
        for (const DeadLetter& letter : *heard) {
            of_caller += letter.sender == caller.pid() ? 1 : 0;
            of_sender += letter.sender == sender.pid() ? 1 : 0;
        }
        EXPECT_EQ(of_caller, 2U);
        EXPECT_EQ(of_sender, 1U);
    });
}

TEST(DeadLetters, NameWhoToldWhatANewerMessageHasReplaced) {
    on_both_engines([](OwnedSystem& system) {
        for (const bool conflates : {false, true}) {
            auto mailbox = bounded(1);
            if (conflates) {
                mailbox.conflate<&Clerk::note>();
            } else {
                mailbox.drop_oldest();
            }
            const Heard heard = std::make_shared<std::vector<DeadLetter>>();
            auto auditor = system->spawn<Auditor>(heard);
            auto gate = std::make_shared<Gate>();
            auto clerk = system->spawn<Clerk>(options().mailbox(mailbox));
            clerk.tell<&Clerk::hold>(gate);
            gate->wait_until_reached(system);
            system->on_dead_letter<&Auditor::lost>(auditor);
            auto first = system->spawn<Caller>();
            auto second = system->spawn<Caller>();
            ASSERT_TRUE(system->block_on(first.ask<&Caller::tell_it>(clerk)));
            ASSERT_TRUE(system->block_on(second.ask<&Caller::tell_it>(clerk)));
            clerk.tell<&Clerk::note>(3);  // by nobody
            ASSERT_EQ(system->block_on(auditor.ask<&Auditor::count>()), 2U);
            EXPECT_EQ(heard->at(0).sender, first.pid());
            EXPECT_EQ(heard->at(1).sender, second.pid());
            gate->open();
            auditor.stop();
            wait_for_end(system, auditor);
        }
    });
}

TEST(DeadLetters, AreCountedByTheClassTheyWereFor) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>(options().mailbox(bounded(1)));
        clerk.tell<&Clerk::hold>(gate);
        gate->wait_until_reached(system);
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(clerk.tell<&Clerk::note>(i), SendStatus::full);
        auto caller = system->spawn<Caller>();
        caller.stop(Stop::kill);
        wait_for_end(system, caller);
        EXPECT_EQ(caller.tell<&Caller::tell_it>(clerk), SendStatus::gone);
        std::size_t classes = 0;
        for (const DeadLettersOfType& row : system->dead_letters_by_type()) {
            if (row.type.find("Clerk") != std::string::npos) {
                ++classes;
                EXPECT_EQ(row.letters[DeadLetterReason::overflow], 3U);
            } else if (row.type.find("Caller") != std::string::npos || row.type == "(others)") {
                // Its slot may have a new owner by now, and have forgotten the class.
                ++classes;
                EXPECT_EQ(row.letters[DeadLetterReason::gone], 1U);
            }
        }
        EXPECT_EQ(classes, 2U);
        gate->open();
    });
}

/// What the log was told while this lives.
class LogLines {
public:
    LogLines() {
        // A second of its own: the log limits how often one place may write in a second, and the
        // tests before may have used this one up.
        set_log_clock([]() noexcept -> Duration { return std::chrono::hours(1); });
        set_log_sink([this](LogLevel, std::string_view line) { lines_.emplace_back(line); });
    }
    ~LogLines() {
        set_log_sink(nullptr);
        set_log_clock(nullptr);
    }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;

    std::vector<std::string> take() {
        EXPECT_TRUE(log_flush(std::chrono::seconds(10)));
        return std::move(lines_);
    }

private:
    std::vector<std::string> lines_;  // the log's writer until a flush has returned, then ours
};

TEST(DeadLetters, AreLoggedAtOnceAndThenOnceASecondWithTheirNumber) {
    LogLines log;
    RandomChooser chooser(1);
    OwnedSystem system(make_deterministic_engine(chooser));
    auto clerk = system->spawn<Clerk>();
    clerk.stop(Stop::kill);
    system.settle();
    for (int second = 0; second < 3; ++second) {
        for (int i = 0; i < 1000; ++i)
            clerk.tell<&Clerk::note>(i);
        system.advance(std::chrono::seconds(1));
    }
    const std::vector<std::string> lines = log.take();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_NE(lines[0].find("count=1 "), std::string::npos) << lines[0];
    EXPECT_NE(lines[1].find("count=1000 "), std::string::npos) << lines[1];
    EXPECT_NE(lines[2].find("Clerk::note"), std::string::npos) << lines[2];
    EXPECT_NE(lines[2].find("gone"), std::string::npos) << lines[2];
}

}  // namespace
}  // namespace troupe

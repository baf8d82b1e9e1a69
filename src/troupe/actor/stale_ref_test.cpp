// Goal: an address whose actor has ended behaves as nobody's, for ever, also once its slot has a
// new owner. Method: every verb is tried beside the next tenants; and small races of the change of
// owners, in every order.

#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using actor_internal::EndWatch;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

class Tenant : public Actor {
public:
    void letter() { ++letters_; }
    int letters() const { return letters_; }
    int alive() const { return 1; }

private:
    int letters_ = 0;
};

struct Slot {
    Ref<Tenant> old;
    std::vector<Ref<Tenant>> next;  // one of them may have the very same slot
};

Slot let_again(OwnedSystem& system) {
    Slot slot;
    slot.old = system->spawn<Tenant>();
    slot.old.stop(Stop::kill);
    wait_for_end(system, slot.old);
    for (int i = 0; i < 8; ++i)
        slot.next.push_back(system->spawn<Tenant>());
    return slot;
}

using Heard = std::shared_ptr<std::vector<std::string>>;

/// Tries what only an actor can.
class Visitor : public Actor {
public:
    explicit Visitor(Heard heard) : heard_(std::move(heard)) { trap_exits<&Visitor::on_exit>(); }
    Task<std::string> send(Ref<Tenant> tenant) {
        const auto sent = co_await tenant.send<&Tenant::letter>();
        co_return sent ? "sent" : std::string(name(static_cast<Errc>(sent.error().value())));
    }
    void watch(Ref<Tenant> tenant) { monitor<&Visitor::on_down>(tenant); }
    void join(Ref<Tenant> tenant) { link(tenant); }
    void leave(Ref<Tenant> tenant) { unlink(tenant); }
    void pipe(Ref<Tenant> tenant) {
        tenant.ask<&Tenant::alive>().pipe_to<&Visitor::on_answer>(self(this));
    }
    Reply<int> delegate(Ref<Tenant> tenant) { return tenant.delegate<&Tenant::alive>(); }
    std::size_t count() const { return heard_->size(); }

private:
    void on_down(Down down) { heard_->push_back("down " + down.reason.text()); }
    void on_exit(Exit exit) { heard_->push_back("exit " + exit.reason.text()); }
    void on_answer(Result<int> answer) {
        heard_->push_back(
            answer ? "answer"
                   : "error " + std::string(name(static_cast<Errc>(answer.error().value()))));
    }
    Heard heard_;
};

TEST(StaleRef, EveryVerbAnswersAsForAnEndedActorAndTheNextOwnerFeelsNothing) {
    const auto body = [](OwnedSystem& system) {
        const Slot slot = let_again(system);
        EXPECT_EQ(slot.old.tell<&Tenant::letter>(), SendStatus::gone);
        EXPECT_TRUE(system->block_on(slot.old.ask<&Tenant::alive>()).error() == Errc::actor_gone);
        EXPECT_TRUE(system->info(slot.old.pid()).error() == Errc::not_found);
        for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill})
            slot.old.stop(strength);

        const Heard heard = std::make_shared<std::vector<std::string>>();
        auto visitor = system->spawn<Visitor>(heard);
        EXPECT_EQ(*system->block_on(visitor.ask<&Visitor::send>(slot.old)), "actor_gone");
        EXPECT_TRUE(system->block_on(visitor.ask<&Visitor::delegate>(slot.old)).error() ==
                    Errc::actor_gone);
        const auto visit = [&](auto ask, std::size_t answers) {
            ASSERT_TRUE(system->block_on(std::move(ask)).has_value());
            for (int i = 0; i < 1'000'000 && heard->size() < answers; ++i)
                ASSERT_TRUE(system->block_on(visitor.ask<&Visitor::count>()).has_value());
        };
        visit(visitor.ask<&Visitor::watch>(slot.old), 1);
        visit(visitor.ask<&Visitor::join>(slot.old), 2);
        visit(visitor.ask<&Visitor::pipe>(slot.old), 3);
        visit(visitor.ask<&Visitor::leave>(slot.old), 3);
        EXPECT_EQ(*heard,
                  (std::vector<std::string>{"down noproc", "exit noproc", "error actor_gone"}));

        for (const auto& tenant : slot.next) {
            EXPECT_NE(tenant.pid(), slot.old.pid());
            EXPECT_EQ(system->block_on(tenant.ask<&Tenant::letters>()), 0);
            tenant.stop();
            wait_for_end(system, tenant);
        }
        EXPECT_EQ(system->block_on(visitor.ask<&Visitor::count>()), 3U)
            << "neither monitor nor link has bound the next owner";
    };
    on_both_engines(body, 20);
}

class Landlord : public Actor {
public:
    void let(Ref<Tenant> old, std::shared_ptr<std::vector<Ref<Tenant>>> tenants) {
        old.stop(Stop::kill);
        for (int i = 0; i < 2; ++i)
            tenants->push_back(system().spawn<Tenant>());
    }
};

TEST(StaleRefEverySchedule, LinksMonitorsAndPipesNeverBindTheNextOwner) {
    using Verb = void (*)(Ref<Visitor>, Ref<Tenant>);
    const std::vector<Verb> verbs = {
        [](Ref<Visitor> visitor, Ref<Tenant> old) { visitor.tell<&Visitor::watch>(old); },
        [](Ref<Visitor> visitor, Ref<Tenant> old) { visitor.tell<&Visitor::join>(old); },
        [](Ref<Visitor> visitor, Ref<Tenant> old) { visitor.tell<&Visitor::pipe>(old); }};
    for (const Verb verb : verbs) {
        const auto explored = on_all_schedules(60'000, [&](OwnedSystem& system) {
            const Heard heard = std::make_shared<std::vector<std::string>>();
            auto tenants = std::make_shared<std::vector<Ref<Tenant>>>();
            auto old = system->spawn<Tenant>();
            verb(system->spawn<Visitor>(heard), old);
            system->spawn<Landlord>().tell<&Landlord::let>(old, tenants);
            system.settle();
            EXPECT_EQ(heard->size(), 1U) << "it has heard of the old one, once";
            for (const auto& tenant : *tenants) {
                EXPECT_EQ(tenant.tell<&Tenant::letter>(), SendStatus::sent);
                tenant.stop(Stop::kill);
            }
            system.settle();
            EXPECT_EQ(heard->size(), 1U) << "and not of the next ones";
        });
        EXPECT_TRUE(explored.exhaustive);
    }
}

// ---- oneself ------------------------------------------------------------------------------------

class Talker : public Actor {
public:
    explicit Talker(Heard heard) : heard_(std::move(heard)) {}
    void begin() {
        self(this).tell<&Talker::note>("first");
        self(this).tell<&Talker::note>("second");
        heard_->push_back("begun");
    }
    SendStatus flood() {
        SendStatus status = SendStatus::sent;
        for (int i = 0; i < 10 && status == SendStatus::sent; ++i)
            status = self(this).tell<&Talker::note>("flood");
        return status;
    }
    Task<> send_to_myself() {
        ignore(co_await self(this).send<&Talker::note>("sent"), "there is room");
        heard_->push_back("still the same handler");
    }
    void end_myself() {
        self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
        self(this).tell<&Talker::note>("too late");
    }
    void note(std::string text) { heard_->push_back(std::move(text)); }
    std::size_t count() const { return heard_->size(); }

private:
    Heard heard_;
};

TEST(SelfSend, IsHandledAfterTheMessageThatSentItAndInOrder) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<std::string>>();
        auto talker = system->spawn<Talker>(heard);
        ASSERT_TRUE(system->block_on(talker.ask<&Talker::begin>()).has_value());
        ASSERT_EQ(system->block_on(talker.ask<&Talker::count>()), 3U);
        EXPECT_EQ(*heard, (std::vector<std::string>{"begun", "first", "second"}));
        ASSERT_TRUE(system->block_on(talker.ask<&Talker::send_to_myself>()).has_value());
        ASSERT_EQ(system->block_on(talker.ask<&Talker::count>()), 5U);
        EXPECT_EQ(heard->at(3), "still the same handler");
        EXPECT_EQ(heard->at(4), "sent");
    });
}

TEST(SelfSend, IsRefusedByOnesOwnFullMailboxAndLostWhenOneEnds) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<std::string>>();
        auto talker = system->spawn<Talker>(options().mailbox(bounded(3)), heard);
        EXPECT_EQ(*system->block_on(talker.ask<&Talker::flood>()), SendStatus::full);
        EXPECT_GE(system->dead_letters()[DeadLetterReason::overflow], 1U);
        EndWatch watch(system, talker);
        ASSERT_TRUE(system->block_on(talker.ask<&Talker::count>()).has_value());
        talker.tell<&Talker::end_myself>();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::normal);
        EXPECT_EQ(std::ranges::find(*heard, "too late"), heard->end());
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
    });
}

// ---- interfaces ---------------------------------------------------------------------------------

struct Reader {
    virtual ~Reader() = default;
    virtual std::string read() const = 0;
    long padding = 1;
};
struct Writer {
    virtual ~Writer() = default;
    virtual void write(std::string text) = 0;
    long padding = 2;
};
class File : public Actor, public Reader, public Writer {
public:
    std::string read() const override { return text_; }
    void write(std::string text) override { text_ += text; }

private:
    std::string text_;
};

class Binder : public Actor {
public:
    explicit Binder(Heard heard) : heard_(std::move(heard)) { trap_exits<&Binder::on_exit>(); }
    void bind(Ref<Reader> reader, Ref<Writer> writer) {
        link(reader);
        link(writer);
        monitor<&Binder::on_down>(reader);
        monitor<&Binder::on_down>(writer);
    }
    void copy(Ref<Reader> from) { from.ask<&Reader::read>().pipe_to<&Binder::copied>(self(this)); }
    void unbind(Ref<Writer> writer) { unlink(writer); }
    std::size_t count() const { return heard_->size(); }

private:
    void on_exit(Exit exit) { heard_->push_back("exit " + exit.reason.text()); }
    void on_down(Down down) { heard_->push_back("down " + down.reason.text()); }
    void copied(Result<std::string> text) { heard_->push_back("copied " + *text); }
    Heard heard_;
};

TEST(Interfaces, AreOneActorToLinksMonitorsPipesAndStops) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<std::string>>();
        auto file = system->spawn<File>();
        Ref<Reader> reader = file;
        Ref<Writer> writer = file;
        EXPECT_EQ(reader.pid(), writer.pid());
        auto binder = system->spawn<Binder>(heard);
        ASSERT_TRUE(system->block_on(binder.ask<&Binder::bind>(reader, writer)).has_value());
        writer.tell<&Writer::write>("text");
        EXPECT_EQ(*system->block_on(reader.ask<&Reader::read>()), "text");
        ASSERT_TRUE(system->block_on(binder.ask<&Binder::copy>(reader)).has_value());
        while (*system->block_on(binder.ask<&Binder::count>()) < 1) {
        }
        EXPECT_EQ(heard->at(0), "copied text");
        writer.stop();
        wait_for_end(system, file);
        ASSERT_EQ(system->block_on(binder.ask<&Binder::count>()), 4U);
        EXPECT_EQ(std::ranges::count(*heard, "exit shutdown"), 1) << "one link, however it is seen";
        EXPECT_EQ(std::ranges::count(*heard, "down shutdown"), 2) << "two monitors";
        EXPECT_EQ(reader.tell<&Reader::read>(), SendStatus::gone);
    });
}

TEST(Interfaces, AnUnlinkThroughAnotherBaseEndsTheSameLink) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = std::make_shared<std::vector<std::string>>();
        auto file = system->spawn<File>();
        auto binder = system->spawn<Binder>(heard);
        ASSERT_TRUE(system->block_on(binder.ask<&Binder::bind>(file, file)).has_value());
        ASSERT_TRUE(system->block_on(binder.ask<&Binder::unbind>(file)).has_value());
        file.stop();
        wait_for_end(system, file);
        ASSERT_EQ(system->block_on(binder.ask<&Binder::count>()), 2U);
        EXPECT_EQ(std::ranges::count(*heard, "exit shutdown"), 0);
    });
}

}  // namespace
}  // namespace troupe

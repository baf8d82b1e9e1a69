#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/stash.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Log;
using actor_internal::make_log;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::wait_for_end;

/// Keeps what it is asked for until it is connected.
class Store : public Actor {
public:
    enum class Full : std::uint8_t { reject, drop_oldest, fail_actor };
    explicit Store(Log log, std::size_t room = 100, Full full = Full::reject)
        : log_(std::move(log)), stash_(this, room) {
        if (full == Full::drop_oldest) stash_.drop_oldest();
        if (full == Full::fail_actor) stash_.fail_actor();
    }
    Reply<int> read(int key) {
        if (!connected_) return stash_.keep<&Store::read>(key);
        log_->push_back("read " + std::to_string(key));
        return key * 10;
    }
    Task<Reply<int>> read_slowly(int key) {
        co_await yield();
        if (!connected_) co_return stash_.keep<&Store::read_slowly>(key);
        co_return key * 100;
    }
    void write(std::string text) {
        if (!connected_) return stash_.keep<&Store::write>(std::move(text));
        log_->push_back("write " + text);
    }
    void connect() {
        connected_ = true;
        log_->push_back("connected");
        stash_.release();
    }
    void connect_for_one() {
        connect();
        connected_ = false;
    }
    void fail() { throw std::runtime_error("broken"); }
    std::size_t kept() const { return stash_.size(); }

private:
    Log log_;
    bool connected_ = false;
    Stash stash_;
};

class Reader : public Actor {
public:
    explicit Reader(Log log) : log_(std::move(log)) {}
    Task<> read(Ref<Store> store, int key) {
        const auto got = co_await store.ask<&Store::read>(key);
        log_->push_back(got ? std::to_string(*got) : std::string(name_of(got.error())));
    }
    int done() const { return 0; }

private:
    static std::string_view name_of(const Error& error) {
        if (error == Errc::actor_gone) return "actor_gone";
        if (error == Errc::mailbox_full) return "mailbox_full";
        return "another error";
    }
    Log log_;
};

TEST(Stash, GivesBackWhatItKeptInOrderAndBeforeNewerMail) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto store = system->spawn<Store>(log);
        store.tell<&Store::write>("one");
        store.tell<&Store::write>("two");
        store.tell<&Store::connect>();
        store.tell<&Store::write>("three");
        EXPECT_EQ(system->block_on(store.ask<&Store::kept>()), 0U);
        EXPECT_EQ(*log,
                  (std::vector<std::string>{"connected", "write one", "write two", "write three"}));
    });
}

TEST(Stash, LetsTheAskerWaitOnForItsAnswer) {
    for (const bool managed : {false, true}) {
        on_both_engines([&](OwnedSystem& system) {
            const Log answers = make_log();
            const MailboxOptions mailbox = managed ? bounded(10).reject() : bounded(10);
            auto store = system->spawn<Store>(options().mailbox(mailbox), make_log());
            auto reader = system->spawn<Reader>(answers);
            reader.tell<&Reader::read>(store, 4);
            while (*system->block_on(store.ask<&Store::kept>()) == 0) {
            }
            store.tell<&Store::connect>();
            ASSERT_TRUE(system->block_on(reader.ask<&Reader::done>()).has_value());
            EXPECT_EQ(*answers, (std::vector<std::string>{"40"}));
            EXPECT_EQ(system->block_on(store.ask<&Store::read_slowly>(2)), 200);
        });
    }
}

TEST(Stash, KeepsAMessageAgainThatStillCannotBeHandled) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto store = system->spawn<Store>(log);
        store.tell<&Store::write>("one");
        store.tell<&Store::write>("two");
        store.tell<&Store::connect_for_one>();
        EXPECT_EQ(system->block_on(store.ask<&Store::kept>()), 2U);
        store.tell<&Store::connect>();
        EXPECT_EQ(system->block_on(store.ask<&Store::kept>()), 0U);
        EXPECT_EQ(*log,
                  (std::vector<std::string>{"connected", "connected", "write one", "write two"}));
    });
}

TEST(Stash, ThatIsFullRefusesTheNewestUnlessToldOtherwise) {
    on_seeds(50, [](OwnedSystem& system) {
        for (const auto full : {Store::Full::reject, Store::Full::drop_oldest}) {
            const Log answers = make_log();
            const auto lost_before = system->dead_letters().total();
            auto store = system->spawn<Store>(make_log(), 2U, full);
            for (int key = 1; key <= 3; ++key) {
                auto reader_of_one = system->spawn<Reader>(answers);
                reader_of_one.tell<&Reader::read>(store, key);
                system.settle();
            }
            EXPECT_EQ(*answers, (std::vector<std::string>{"mailbox_full"}));
            EXPECT_EQ(system->dead_letters().total(), lost_before + 1);
            store.tell<&Store::connect>();
            system.settle();
            const bool oldest_lost = full == Store::Full::drop_oldest;
            std::sort(answers->begin(), answers->end());
            EXPECT_EQ(*answers, oldest_lost
                                    ? (std::vector<std::string>{"20", "30", "mailbox_full"})
                                    : (std::vector<std::string>{"10", "20", "mailbox_full"}));
        }
    });
}

TEST(Stash, ThatIsFullFailsTheActorWhenToldSo) {
    on_both_engines([](OwnedSystem& system) {
        auto store = system->spawn<Store>(make_log(), 1U, Store::Full::fail_actor);
        actor_internal::EndWatch watch(system, store);
        store.tell<&Store::write>("one");
        store.tell<&Store::write>("two");
        EXPECT_EQ(watch.wait().reason.text(), "its stash is full");
    });
}

TEST(Stash, OfAnActorThatEndsIsToldOfAsMailThatWasNeverHandled) {
    for (const Stop strength : {Stop::stop, Stop::kill}) {
        on_seeds(50, [&](OwnedSystem& system) {
            const Log answers = make_log();
            auto store = system->spawn<Store>(make_log());
            auto reader = system->spawn<Reader>(answers);
            reader.tell<&Reader::read>(store, 1);
            store.tell<&Store::write>("lost");
            system.settle();
            EXPECT_EQ(system->info(store.pid())->handled, 0U) << "what is put off is not handled";
            store.stop(strength);
            system.settle();
            EXPECT_EQ(*answers, (std::vector<std::string>{"actor_gone"}));
            EXPECT_EQ(system->dead_letters().total(), 2U);
        });
    }
}

TEST(Stash, OfAnActorThatFailsToBeBuiltLosesNoAsker) {
    class Broken : public Actor {
    public:
        explicit Broken(Ref<Reader>) : stash_(this, 3) {
            stash_.keep<&Broken::nothing>();
            throw std::runtime_error("broken");
        }
        void nothing() {}

    private:
        Stash stash_;
    };
    on_seeds(10, [](OwnedSystem& system) {
        system->spawn<Broken>(Ref<Reader>());
        EXPECT_EQ(system->dead_letters().total(), 1U);
    });
}

}  // namespace
}  // namespace troupe

#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::wait_for_end;

class Account : public Actor {
public:
    int crash(std::string why) { throw std::runtime_error(why); }
    Task<int> crash_later(std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        throw std::runtime_error("later");
    }
    Task<int> crash_at_once() {
        throw std::runtime_error("at once");
        co_return 1;
    }
    void crash_strangely() { throw 5; }
    int balance() const { return 7; }
    void count(std::shared_ptr<int> handled) { ++*handled; }
};

class Client : public Actor {
public:
    Task<> ask_balance(Ref<Account> account) {
        const auto balance = co_await account.ask<&Account::balance>();
        heard_ = balance ? "balance" : balance.error().message();
    }
    std::string heard() const { return heard_; }

private:
    std::string heard_ = "nothing";
};

std::string text_of(const auto& result) {
    return result ? "fine" : result.error().text();
}

TEST(Exit, AnAskerHearsTheExceptionWithTheMethodsName) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        gate->open();
        auto one = system->spawn<Account>();
        const auto crashed = system->block_on(one.ask<&Account::crash>("no such row"));
        ASSERT_FALSE(crashed.has_value());
        EXPECT_TRUE(crashed.error() == Errc::failed);
        EXPECT_TRUE(crashed.error().text().ends_with("Account::crash: no such row"))
            << crashed.error().text();
        auto two = system->spawn<Account>();
        EXPECT_TRUE(text_of(system->block_on(two.ask<&Account::crash_later>(gate)))
                        .ends_with("Account::crash_later: later"));
        auto three = system->spawn<Account>();
        EXPECT_TRUE(text_of(system->block_on(three.ask<&Account::crash_at_once>()))
                        .ends_with("Account::crash_at_once: at once"));
        auto four = system->spawn<Account>();
        EXPECT_NE(text_of(system->block_on(four.ask<&Account::crash_strangely>()))
                      .find("no std::exception"),
                  std::string::npos);
    });
}

TEST(Exit, ThoseWhoWaitBehindHearAtOnceAndOthersAreUntouched) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto account = system->spawn<Account>();
        auto other = system->spawn<Account>();
        account.tell<&Account::crash_later>(gate);
        gate->wait_until_reached(system);
        std::vector<Ref<Client>> clients;
        for (int i = 0; i < 5; ++i) {
            clients.push_back(system->spawn<Client>());
            clients.back().tell<&Client::ask_balance>(account);
        }
        auto lucky = system->spawn<Client>();
        lucky.tell<&Client::ask_balance>(other);
        gate->open();
        for (const auto& client : clients) {
            const auto heard = system->block_on(client.ask<&Client::heard>());
            EXPECT_NE(heard->find("actor_gone"), std::string::npos) << *heard;
        }
        EXPECT_EQ(*system->block_on(lucky.ask<&Client::heard>()), "balance");
        EXPECT_EQ(system->block_on(other.ask<&Account::balance>()), 7);
        if (system->engine().deterministic()) {
            EXPECT_EQ(system->now(), Duration::zero()) << "nobody waited for a deadline";
        }
    });
}

TEST(Exit, TheReasonIsTheExceptionsText) {
    on_both_engines([](OwnedSystem& system) {
        auto account = system->spawn<Account>();
        actor_internal::EndNews news;
        auto watcher = system->spawn<actor_internal::EndWatcher>(account, &news);
        EXPECT_EQ(system->block_on(watcher.ask<&actor_internal::EndWatcher::times>()), 0);
        // The monitor is in place only once its signal has been handled: ask to be sure.
        EXPECT_EQ(system->block_on(account.ask<&Account::balance>()), 7);
        account.tell<&Account::crash>("bad query");
        ASSERT_TRUE(system->engine().run_until(news.heard));
        EXPECT_EQ(news.down.reason, ExitReason(ExitReason::Kind::failed, "bad query"));
        EXPECT_TRUE(news.down.reason.abnormal());
        EXPECT_EQ(news.down.pid, account.pid());
    });
}

TEST(DeadLetters, AreCountedByReason) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto handled = std::make_shared<int>(0);
        auto account = system->spawn<Account>(options().mailbox(bounded(3)));
        account.tell<&Account::crash_later>(gate);
        gate->wait_until_reached(system);
        for (int i = 0; i < 5; ++i)
            account.tell<&Account::count>(handled);  // two fit
        gate->open();
        wait_for_end(system, account);
        for (int i = 0; i < 4; ++i)
            account.tell<&Account::count>(handled);
        const DeadLetters letters = system->dead_letters();
        EXPECT_EQ(letters[DeadLetterReason::overflow], 3U);
        EXPECT_EQ(letters[DeadLetterReason::stopped], 2U);
        EXPECT_EQ(letters[DeadLetterReason::gone], 4U);
        EXPECT_EQ(letters[DeadLetterReason::stale], 0U);
        EXPECT_EQ(letters.total(), 9U);
        EXPECT_EQ(*handled, 0);
    });
    for (const auto reason : {DeadLetterReason::overflow, DeadLetterReason::gone,
                              DeadLetterReason::stopped, DeadLetterReason::stale}) {
        EXPECT_STRNE(name(reason), "unknown");
    }
}

// ---- accounting ---------------------------------------------------------------------------------

struct Tally {
    int sent = 0;
    int handled = 0;
};

class Target : public Actor {
public:
    explicit Target(std::shared_ptr<Tally> tally) : tally_(std::move(tally)) {}
    void quick() { ++tally_->handled; }
    Task<> slow() {
        co_await yield();
        ++tally_->handled;
    }
    void crash() {
        ++tally_->handled;
        throw std::runtime_error("accounted for");
    }

private:
    std::shared_ptr<Tally> tally_;
};

/// Tells and sends at random, and now and then ends one of the targets and spawns another.
class Chaos : public Actor {
public:
    explicit Chaos(std::shared_ptr<Tally> tally) : tally_(std::move(tally)) {}
    Task<> run(int steps) {
        for (int i = 0; i < steps; ++i) {
            auto& target = targets_[draw(targets_.size())];
            if (target == Ref<Target>()) {
                target = system().spawn<Target>(options().mailbox(bounded(2)), tally_);
            }
            ++tally_->sent;
            switch (draw(8)) {
                case 0:
                case 1:
                    target.tell<&Target::quick>();
                    break;
                case 2:
                    target.tell<&Target::slow>();
                    break;
                case 3:
                case 4:
                    ignore(co_await target.send<&Target::slow>(), "accounted for");
                    break;
                case 5:
                    target.tell<&Target::crash>();
                    target = Ref<Target>();
                    break;
                case 6:
                    --tally_->sent;
                    target.stop(static_cast<Stop>(draw(3)));
                    if (draw(2) == 0) target = Ref<Target>();
                    break;
                default:
                    --tally_->sent;
                    co_await yield();
                    break;
            }
        }
    }

private:
    std::size_t draw(std::size_t n) {
        return static_cast<std::size_t>(
            system().engine().choose(n, ChoiceKind::random_draw, "chaos"));
    }
    std::shared_ptr<Tally> tally_;
    std::vector<Ref<Target>> targets_ = std::vector<Ref<Target>>(4);
};

TEST(DeadLetters, WithWhatWasHandledAreAllThatWasSent) {
    on_seeds(300, [](OwnedSystem& system) {
        const auto tally = std::make_shared<Tally>();
        for (int i = 0; i < 3; ++i)
            system->spawn<Chaos>(tally).tell<&Chaos::run>(60);
        system.settle();
        EXPECT_GT(tally->sent, 50);
        EXPECT_EQ(static_cast<std::uint64_t>(tally->sent),
                  static_cast<std::uint64_t>(tally->handled) + system->dead_letters().total());
    });
}

}  // namespace
}  // namespace troupe

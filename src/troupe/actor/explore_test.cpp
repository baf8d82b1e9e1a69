// Goal: the tests of this component find ordering bugs. Method: a model with a planted one, which
// the random and the exhaustive search must both find, and whose repaired form must never fail; and
// small races of the runtime itself, walked through in every order.

#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::on_all_schedules;
using actor_internal::on_seeds;
using actor_internal::replay_command;

// ---- a test of the tests ------------------------------------------------------------------------

/// Has a namesake in exit_test.cpp: each must keep its own handlers, under GCC 12 too.
class Account : public Actor {
public:
    int balance() const { return balance_; }
    void set(int balance) { balance_ = balance; }
    void deposit(int amount) { balance_ += amount; }

private:
    int balance_ = 0;
};

class Client : public Actor {
public:
    /// The planted bug: what it has read may be out of date when it writes.
    Task<> read_then_write(Ref<Account> account) {
        const auto before = co_await account.ask<&Account::balance>();
        ignore(co_await account.ask<&Account::set>(*before + 10), "a test");
    }
    Task<> deposit(Ref<Account> account) {
        ignore(co_await account.ask<&Account::deposit>(10), "a test");
    }
};

/// Two clients of one account; the balance in the end.
template <auto Method>
int balance_after_two(OwnedSystem& system) {
    auto account = system->spawn<Account>();
    system->spawn<Client>().tell<Method>(account);
    system->spawn<Client>().tell<Method>(account);
    system.settle();
    return *system->block_on(account.ask<&Account::balance>());
}

TEST(PlantedBug, IsFoundByRandomSchedules) {
    std::size_t runs = 0;
    std::size_t first_found = 0;
    on_seeds(20, [&](OwnedSystem& system) {
        ++runs;
        const int balance = balance_after_two<&Client::read_then_write>(system);
        if (balance != 20 && first_found == 0) first_found = runs;
    });
    EXPECT_GT(first_found, 0U) << "none of 20 seeds has found a lost update";
    std::printf("found in run %zu; a failing test would print: %s\n", first_found,
                replay_command(first_found).c_str());
}

TEST(PlantedBug, IsFoundDepthFirst) {
    bool found = false;
    bool missed = false;
    const auto seen = on_all_schedules(
        100'000,
        [&](OwnedSystem& system) {
            const int balance = balance_after_two<&Client::read_then_write>(system);
            found = found || balance == 10;
            missed = missed || balance == 20;
            EXPECT_TRUE(balance == 10 || balance == 20) << balance;
        },
        [] { return !testing::Test::HasFailure(); });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_TRUE(found);
    EXPECT_TRUE(missed) << "most schedules are harmless";
}

TEST(PlantedBug, RepairedNeverFails) {
    on_seeds(200, [](OwnedSystem& system) {
        EXPECT_EQ(balance_after_two<&Client::deposit>(system), 20);
    });
    const auto seen = on_all_schedules(100'000, [](OwnedSystem& system) {
        EXPECT_EQ(balance_after_two<&Client::deposit>(system), 20);
    });
    EXPECT_TRUE(seen.exhaustive);
}

// ---- an old address and a new owner of its slot -------------------------------------------------

class Tenant : public Actor {
public:
    Tenant(std::shared_ptr<std::vector<std::string>> letters, std::string name)
        : letters_(std::move(letters)), name_(std::move(name)) {}
    void letter(std::string to) {
        EXPECT_EQ(to, name_) << "a letter has reached the next tenant";
        letters_->push_back(std::move(to));
    }

private:
    std::shared_ptr<std::vector<std::string>> letters_;
    std::string name_;
};
class Landlord : public Actor {
public:
    void let_again(Ref<Tenant> old, std::shared_ptr<std::vector<std::string>> letters) {
        old.stop(Stop::kill);
        for (int i = 0; i < 2; ++i)
            system().spawn<Tenant>(letters, "new").tell<&Tenant::letter>("new");
    }
};
class Postman : public Actor {
public:
    Task<> deliver(Ref<Tenant> to) {
        to.tell<&Tenant::letter>("old");
        co_await yield();
        to.tell<&Tenant::letter>("old");
    }
};

TEST(EverySchedule, AnOldAddressNeverReachesTheNextOwnerOfTheSlot) {
    const auto seen = on_all_schedules(30'000, [](OwnedSystem& system) {
        const auto letters = std::make_shared<std::vector<std::string>>();
        auto old = system->spawn<Tenant>(letters, "old");
        system->spawn<Landlord>().tell<&Landlord::let_again>(old, letters);
        system->spawn<Postman>().tell<&Postman::deliver>(old);
        system.settle();
        std::size_t for_new = 0;
        for (const auto& letter : *letters)
            for_new += letter == "new" ? 1 : 0;
        EXPECT_EQ(for_new, 2U);
        EXPECT_EQ(letters->size() - for_new + system->dead_letters().total(), 2U)
            << "each letter to the old tenant was handled or is a dead letter";
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_GT(seen.distinct, 100U);
}

// ---- a reply and the end of the one it is for ---------------------------------------------------

class Echo : public Actor {
public:
    Task<int> echo(int n) {
        co_await yield();
        co_return n;
    }
};
class Asker : public Actor {
public:
    Task<> ask_echo(Ref<Echo> echo, int n, std::shared_ptr<std::vector<int>> heard) {
        const auto answer = co_await echo.ask<&Echo::echo>(n);
        EXPECT_EQ(answer, n) << "somebody else's answer";
        heard->push_back(*answer);
    }
};
class Killer : public Actor {
public:
    /// Another asker takes over, perhaps in the slot of the one that is killed.
    void replace(Ref<Asker> asker, Ref<Echo> echo, std::shared_ptr<std::vector<int>> heard) {
        asker.stop(Stop::kill);
        system().spawn<Asker>().tell<&Asker::ask_echo>(echo, 2, heard);
    }
};

TEST(EverySchedule, AReplyToAKilledAskerReachesNobodyElse) {
    bool answered_before = false;
    const auto seen = on_all_schedules(30'000, [&](OwnedSystem& system) {
        const auto heard = std::make_shared<std::vector<int>>();
        auto echo = system->spawn<Echo>();
        auto asker = system->spawn<Asker>();
        asker.tell<&Asker::ask_echo>(echo, 1, heard);
        system->spawn<Killer>().tell<&Killer::replace>(asker, echo, heard);
        system.settle();
        ASSERT_FALSE(heard->empty());
        EXPECT_EQ(heard->back(), 2);
        answered_before = answered_before || heard->size() == 2;
        EXPECT_EQ(system->now(), Duration::zero());
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_GT(seen.distinct, 50U);
    EXPECT_TRUE(answered_before);
}

// ---- the same seed, the same run ----------------------------------------------------------------

std::uint64_t hash_of_seed(std::uint64_t seed) {
    RandomChooser chooser(seed);
    return actor_internal::run_and_check(
        make_deterministic_engine(chooser), [](OwnedSystem& system) {
            const auto heard = std::make_shared<std::vector<int>>();
            auto echo = system->spawn<Echo>();
            for (int i = 0; i < 5; ++i) {
                auto asker = system->spawn<Asker>();
                asker.tell<&Asker::ask_echo>(echo, i, heard);
                if (i % 2 == 1) asker.stop(Stop::kill);
            }
            system.settle();
            system->block_on([](System s) -> Task<> {
                ignore(co_await sleep(Duration(s.engine().random() % 1000)), "a test");
            }(*system));
        });
}

/// Runs this very test program again, for the test below only, and reads what it prints.
std::string run_again(const std::string& environment) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    const std::string command = environment + " '" + program +
                                "' --gtest_filter=Determinism.PrintsTheHashOfASeed 2>/dev/null";
    std::string printed;
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return printed;
    std::array<char, 256> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr) {
        const std::string text = line.data();
        if (text.starts_with("event hash")) printed += text;
    }
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return printed;
}

TEST(Determinism, PrintsTheHashOfASeed) {
    const char* const asked = std::getenv("TROUPE_SEED");
    const std::uint64_t seed = asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1;
    const std::uint64_t hash = hash_of_seed(seed);
    std::printf("event hash of seed %llu: %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(hash));
    EXPECT_EQ(hash_of_seed(seed), hash) << "the same seed twice in one process";
}

TEST(Determinism, TheSameSeedIsTheSameRunInAnotherProcess) {
    std::vector<std::string> hashes;
    for (const char* const seed : {"17", "18", "123456789"}) {
        const std::string environment = std::string("TROUPE_SEED=") + seed;
        const std::string once = run_again(environment);
        EXPECT_FALSE(once.empty());
        EXPECT_EQ(run_again(environment), once);
        hashes.push_back(once.substr(once.find(':')));
    }
    EXPECT_NE(hashes[0], hashes[1]);
    EXPECT_NE(hashes[0], hashes[2]);
    EXPECT_NE(hashes[1], hashes[2]);
}

}  // namespace
}  // namespace troupe

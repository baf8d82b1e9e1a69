#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

class Account : public Actor {
public:
    explicit Account(long opening) : balance_(opening) {}
    void deposit(long amount) { balance_ += amount; }
    long balance() const { return balance_; }
    int crash() { throw std::runtime_error("bug"); }

private:
    long balance_;
};

TEST(Actor, AnswersWhatItWasToldBefore) {
    OwnedSystem system;
    auto ann = system->spawn<Account>(100);
    EXPECT_EQ(ann.tell<&Account::deposit>(50), SendStatus::sent);
    auto balance = system->block_on(ann.ask<&Account::balance>());
    ASSERT_TRUE(balance.has_value());
    EXPECT_EQ(*balance, 150);
}

TEST(Actor, AHandlersExceptionEndsItAndItsAskerHearsAtOnce) {
    OwnedSystem system;
    auto ann = system->spawn<Account>(100);
    auto crashed = system->block_on(ann.ask<&Account::crash>());
    ASSERT_FALSE(crashed.has_value());
    EXPECT_TRUE(crashed.error() == Errc::failed) << crashed.error().message();
    auto after = system->block_on(ann.ask<&Account::balance>());
    EXPECT_TRUE(after.error() == Errc::actor_gone) << after.error().message();
}

}  // namespace
}  // namespace troupe

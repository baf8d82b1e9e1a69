// The answer is used before it was waited for.
// First error: this has not happened yet: write co_await in front of it
#include <troupe/actor/actor.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

troupe::Task<int> look(troupe::Ref<Account> ann) {
    int balance = ann.ask<&Account::balance>();
    co_return balance;
}

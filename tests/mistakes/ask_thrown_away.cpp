// An ask that nobody awaits is never sent.
// First error: an ask is sent when it is awaited: write co_await, or use tell
#include <troupe/actor/actor.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

void look(troupe::Ref<Account> ann) {
    ann.ask<&Account::balance>();
}

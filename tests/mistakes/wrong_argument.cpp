// A text where the method takes a number.
// First error: the arguments do not match the method's parameters
#include <troupe/actor/actor.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

void pay(troupe::Ref<Account> ann) {
    ann.tell<&Account::deposit>("fifty");
}

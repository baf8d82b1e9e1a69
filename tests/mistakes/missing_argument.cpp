// The amount is forgotten.
// First error: the number of arguments differs from the method's parameters
//   (default arguments do not travel through &A::method)
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
    ann.tell<&Account::deposit>();
}

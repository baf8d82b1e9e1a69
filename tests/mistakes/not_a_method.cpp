// A free function where a method belongs.
// First error: the template argument is not a method: write ref.tell<&A::method>(args...)
#include <troupe/actor/actor.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

void deposit(int) {}

void pay(troupe::Ref<Account> ann) {
    ann.tell<&deposit>(50);
}

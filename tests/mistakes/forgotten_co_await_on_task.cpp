// A coroutine is called as if it were a function.
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

troupe::Task<int> half(int n) {
    co_return n / 2;
}

troupe::Task<int> quarter(int n) {
    int halved = half(n);
    co_return halved / 2;
}

// The constructor wants a number.
// First error: spawn<A>(args...): no constructor of A takes these arguments (options come first,
//   and an actor's constructor is public)
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

void open(troupe::System& system) {
    system.spawn<Account>("a hundred");
}

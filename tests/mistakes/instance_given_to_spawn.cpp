// The object is made first and then handed over.
// First error: an actor is built in its place and never copied: spawn<A>(constructor arguments...)
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
    system.spawn<Account>(Account(100));
}

// Calls of a method that changes the actor are to be handled at the same time.
// First error: options().concurrent<&A::m>(): m is not const.
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

class Account : public troupe::Actor {
public:
    troupe::Task<int> deposit(int amount) {
        balance_ += amount;
        co_return balance_;
    }

private:
    int balance_ = 0;
};

void open(troupe::System& system) {
    system.spawn<Account>(troupe::options().concurrent<&Account::deposit>());
}

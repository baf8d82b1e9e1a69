// The name promises those who look it up another class than the one that is spawned.
// First error: the name is of another type than the actor spawned under it
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

class Account : public troupe::Actor {
public:
    int balance() const { return 0; }
};
class Bank : public troupe::Actor {};

inline constexpr troupe::Name<Bank> kBank{"bank"};

void open(troupe::System& system) {
    system.spawn<Account>(troupe::named(kBank));
}

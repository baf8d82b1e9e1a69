// The constructor takes a number.
// First error: child<A>(name, args...): no constructor of A takes these arguments
#include <troupe/actor/supervisor.hpp>

#include <string>

class Rates : public troupe::Actor {
public:
    explicit Rates(int) {}
};

void write(troupe::Supervisor& tree) {
    tree.child<Rates>("rates", std::string("ten"));
}

// The token of one class where the constructor wants the Ref of another.
// First error: child<A>(name, args...): no constructor of A takes these arguments (a Child<B>
#include <troupe/actor/supervisor.hpp>

class Rates : public troupe::Actor {};
class Stock : public troupe::Actor {};
class Shop : public troupe::Actor {
public:
    explicit Shop(troupe::Ref<Rates>) {}
};

void write(troupe::Supervisor& tree) {
    auto stock = tree.child<Stock>("stock");
    tree.child<Shop>("shop", stock);
}

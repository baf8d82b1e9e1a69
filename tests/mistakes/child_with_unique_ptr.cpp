// A supervised child is built again and again, so what can only be moved once is not enough.
// First error: a supervised child's arguments are copied at each restart; pass something copyable
#include <troupe/actor/supervisor.hpp>

#include <memory>

class Cache : public troupe::Actor {
public:
    explicit Cache(std::unique_ptr<int>) {}
};

void write(troupe::Supervisor& tree) {
    tree.child<Cache>("cache", std::make_unique<int>(1));
}

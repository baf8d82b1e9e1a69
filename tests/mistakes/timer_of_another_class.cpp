// A timer is the actor's own: it cannot call somebody else's method.
// First error: a timer calls a method of this actor: after<&MyActor::method>(delay, args...)
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

struct Other {
    void ring() {}
};
class Clock : public troupe::Actor {
public:
    void begin() { after<&Other::ring>(std::chrono::seconds(1)); }
};

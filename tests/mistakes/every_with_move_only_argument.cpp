// A timer that repeats sends copies of its arguments.
// First error: every() sends its arguments again and again, so they must be copyable
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

#include <memory>

class Clock : public troupe::Actor {
public:
    void begin() { every<&Clock::ring>(std::chrono::seconds(1), std::make_unique<int>(1)); }
    void ring(std::unique_ptr<int>) {}
};

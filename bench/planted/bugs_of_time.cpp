// Mistakes that need time, a fault, or patience to show.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/task/sleep.hpp>

#include "bugs.hpp"

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace planted {

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::ignore;
using troupe::Ref;
using troupe::Sim;
using troupe::Task;
using troupe::Timer;

// ---- a timer of an earlier state ----------------------------------------------------------------

class Door : public Actor {
public:
    explicit Door(bool planted) : planted_(planted) {}
    void open() {
        if (!planted_) timer_.cancel();
        open_ = true;
        timer_ = after<&Door::close>(5s);
        opened_at_ = system().now();
    }

private:
    void close() {
        troupe::sim::always(system().now() - opened_at_ >= 5s, "a door stays open for 5 s");
        open_ = false;
    }
    bool planted_;
    bool open_ = false;
    Duration opened_at_{};
    Timer timer_;
};
class Visitor : public Actor {
public:
    Visitor(Ref<Door> door, Duration comes) : door_(door) { after<&Visitor::come>(comes); }

private:
    void come() { door_.tell<&Door::open>(); }
    Ref<Door> door_;
};
void old_timer(Sim& sim, bool planted) {
    auto door = sim.spawn<Door>(planted);
    sim.spawn<Visitor>(door, 1s);
    // Opened again at the moment at which it closes: either may come first.
    sim.spawn<Visitor>(door, sim.choose(3, "second visitor") == 2 ? Duration(3s) : Duration(7s));
    sim.advance(30s);
}

// ---- a retry that does it twice -----------------------------------------------------------------

class Till : public Actor {
public:
    explicit Till(bool planted) : planted_(planted) {}
    Task<int> charge(int request) {
        if (!planted_ && !seen_.insert(request).second) co_return charged_;
        ++charged_;
        if (troupe::sim::buggify("a slow till", 300)) {
            ignore(co_await troupe::sleep(2s), "a slow one");
        }
        co_return charged_;
    }
    int charged() const { return charged_; }

private:
    bool planted_;
    int charged_ = 0;
    std::set<int> seen_;
};
class Customer : public Actor {
public:
    Task<> buy(Ref<Till> till) {
        for (int tries = 0; tries < 3; ++tries) {
            const auto done = co_await till.ask<&Till::charge>(17).within(1s);
            if (done) co_return;
        }
    }
};
void retried_twice(Sim& sim, bool planted) {
    auto till = sim.spawn<Till>(planted);
    sim.spawn<Customer>().tell<&Customer::buy>(till);
    sim.advance(20s);
    if (*sim.run(till.ask<&Till::charged>()) != 1) sim.fail("charged more than once");
}

// ---- a lease that has run out -------------------------------------------------------------------

class Lease : public Actor {
public:
    explicit Lease(bool planted) : planted_(planted) {}
    Task<> write() {
        const Duration until = system().now() + 1s;
        const bool slow = troupe::sim::buggify("a slow write", 300);
        ignore(co_await troupe::sleep(slow ? 2s : 10ms), "the way to the disk");
        if (!planted_ && system().now() >= until) co_return;
        troupe::sim::always(system().now() < until, "only the holder of a lease writes");
    }

private:
    bool planted_;
};
void expired_lease(Sim& sim, bool planted) {
    auto lease = sim.spawn<Lease>(planted);
    lease.tell<&Lease::write>();
    sim.advance(5s);
}

// ---- a cache that keeps what was invalidated ----------------------------------------------------

class Origin : public Actor {
public:
    int get() const { return value_; }
    void set(int value) { value_ = value; }

private:
    int value_ = 1;
};
class Cache : public Actor {
public:
    Cache(Ref<Origin> origin, bool planted) : origin_(origin), planted_(planted) {}
    void load() { origin_.ask<&Origin::get>().pipe_to<&Cache::loaded>(self(this), invalidations_); }
    void invalidate() {
        ++invalidations_;
        value_ = 0;
    }
    int value() const { return value_; }

private:
    void loaded(const troupe::Result<int>& value, int invalidations) {
        if (!planted_ && invalidations != invalidations_) return load();
        value_ = *value;
    }
    Ref<Origin> origin_;
    bool planted_;
    int invalidations_ = 0;
    int value_ = 0;
};
class Editor : public Actor {
public:
    Task<> edit(Ref<Origin> origin, Ref<Cache> cache) {
        ignore(co_await origin.ask<&Origin::set>(2), "a model");
        cache.tell<&Cache::invalidate>();
    }
};
class Browser : public Actor {
public:
    void look(Ref<Cache> cache) { cache.tell<&Cache::load>(); }
};
void stale_cache(Sim& sim, bool planted) {
    auto origin = sim.spawn<Origin>();
    auto cache = sim.spawn<Cache>(origin, planted);
    sim.spawn<Browser>().tell<&Browser::look>(cache);
    sim.spawn<Editor>().tell<&Editor::edit>(origin, cache);
    sim.settle();
    if (*sim.run(cache.ask<&Cache::value>()) == 1) sim.fail("the cache keeps what was invalidated");
}

// ---- an unfair lock -----------------------------------------------------------------------------

class Lock;
class Contender : public Actor {
public:
    Contender(Ref<Lock> lock, int times) : lock_(lock), left_(times) {}
    void begin();
    void granted();
    bool done() const { return left_ == 0; }

private:
    Ref<Lock> lock_;
    int left_;
};
class Lock : public Actor {
public:
    explicit Lock(bool planted) : planted_(planted) {}
    void acquire(Ref<Contender> who) {
        if (std::exchange(held_, true)) {
            waiting_.push_back({who, grants_});
        } else {
            grant({who, grants_});
        }
    }
    void release() {
        held_ = !waiting_.empty();
        if (!held_) return;
        // The mistake: the last that came is the first to be served.
        const Waiter next = planted_ ? waiting_.back() : waiting_.front();
        if (planted_) {
            waiting_.pop_back();
        } else {
            waiting_.pop_front();
        }
        grant(next);
    }

private:
    struct Waiter {
        Ref<Contender> who;
        int since;
    };
    void grant(const Waiter& waiter) {
        troupe::sim::always(grants_ - waiter.since <= 3, "nobody is passed more than three times");
        ++grants_;
        waiter.who.tell<&Contender::granted>();
    }
    bool planted_;
    bool held_ = false;
    int grants_ = 0;
    std::deque<Waiter> waiting_;
};
void Contender::begin() {
    lock_.tell<&Lock::acquire>(self(this));
}
void Contender::granted() {
    lock_.tell<&Lock::release>();
    if (--left_ > 0) begin();
}
void unfair_lock(Sim& sim, bool planted) {
    auto lock = sim.spawn<Lock>(planted);
    for (int i = 0; i < 3; ++i)
        sim.spawn<Contender>(lock, 5).tell<&Contender::begin>();
    sim.settle();
}

// ---- a livelock ---------------------------------------------------------------------------------

/// Two that give way to each other; the right ones wait for different times.
class Polite : public Actor {
public:
    Polite(int number, bool planted) : number_(number), planted_(planted) {}
    void meet(Ref<Polite> other) {
        other_ = other;
        step_aside();
    }
    void stepped(bool side) { others_side_ = side; }
    bool passed() const { return passed_; }

private:
    void step_aside() {
        if (passed_) return;
        side_ = !side_;
        other_.tell<&Polite::stepped>(side_);
        after<&Polite::look>(1s);
    }
    void look() {
        if (side_ != others_side_) {
            passed_ = true;
            return;
        }
        after<&Polite::step_aside>(planted_ || number_ == 0 ? Duration(500ms) : Duration(800ms));
    }
    int number_;
    bool planted_;
    bool side_ = false;
    bool others_side_ = false;
    bool passed_ = false;
    Ref<Polite> other_;
};
void livelock(Sim& sim, bool planted) {
    auto a = sim.spawn<Polite>(0, planted);
    auto b = sim.spawn<Polite>(1, planted);
    a.tell<&Polite::meet>(b);
    b.tell<&Polite::meet>(a);
    sim.advance(60s);
    const bool passed = *sim.run(a.ask<&Polite::passed>()) || *sim.run(b.ask<&Polite::passed>());
    if (!passed) sim.fail("they give way to each other for ever");
}

// ---- a restart that forgets ---------------------------------------------------------------------

class Queue : public Actor {
public:
    Queue(std::shared_ptr<int> done, bool planted) : done_(std::move(done)), planted_(planted) {}
    void work(int item) {
        // The mistake: what it has taken is in its own memory when it fails.
        if (planted_) {
            taken_.push_back(item);
            self(this).tell<&Queue::flush>();
        } else {
            ++*done_;
        }
    }
    void flush() {
        *done_ += static_cast<int>(taken_.size());
        taken_.clear();
    }

private:
    std::shared_ptr<int> done_;  // stands for what is outside of the process
    bool planted_;
    std::vector<int> taken_;
};
void forgetful_restart(Sim& sim, bool planted) {
    auto done = std::make_shared<int>(0);
    auto queue = sim.start_supervised<Queue>(done, planted);
    for (int i = 0; i < 3; ++i)
        queue.tell<&Queue::work>(i);
    // It fails some steps later, or not at all.
    const std::uint64_t when = sim.choose(8, "when it fails");
    for (std::uint64_t i = 1; i < when; ++i)
        ignore(sim.engine().step(sim.now()), "nothing may be left to do");
    if (when != 0) sim.inject_failure(queue, "as a test");
    sim.settle();
    if (*done != 3) sim.fail("work was lost in a restart");
}

// ---- an answer and a timeout --------------------------------------------------------------------

class Order : public Actor {
public:
    explicit Order(bool planted) : planted_(planted) { timer_ = after<&Order::expire>(5s); }
    void paid() {
        // The mistake: what has been decided is decided again.
        if (!planted_ && decided_) return;
        if (!planted_) timer_.cancel();
        decide();
    }

private:
    void expire() {
        if (!planted_ && decided_) return;
        decide();
    }
    void decide() {
        troupe::sim::always(!std::exchange(decided_, true), "an order is decided once");
    }
    bool planted_;
    bool decided_ = false;
    Timer timer_;
};
class Payment : public Actor {
public:
    Payment(Ref<Order> order, Duration when) : order_(order) { after<&Payment::pay>(when); }

private:
    void pay() { order_.tell<&Order::paid>(); }
    Ref<Order> order_;
};
void decided_twice(Sim& sim, bool planted) {
    auto order = sim.spawn<Order>(planted);
    sim.spawn<Payment>(order, std::chrono::seconds(4) + 500ms * sim.choose(3, "when it is paid"));
    sim.run_until([] { return false; }, 5s);
}

}  // namespace

std::vector<Bug> bugs_of_time() {
    return {
        {"old timer", "opened again, the first timer still closes", &old_timer},
        {"retried twice", "a request has no number that is looked at", &retried_twice},
        {"expired lease", "looks at the clock before it waits", &expired_lease},
        {"stale cache", "what was loaded is kept, whatever came between", &stale_cache},
        {"unfair lock", "the last that came is served first", &unfair_lock},
        {"livelock", "both wait for the same time before they try again", &livelock},
        {"forgetful restart", "keeps what it has taken in its own memory", &forgetful_restart},
        {"decided twice", "an answer and its timeout both count", &decided_twice},
    };
}

}  // namespace planted

// A simulated test as a user writes it: docs/guide/simulated_tests.md tells of the mistake that it
// found in an earlier form of this cache.

#include <troupe/actor/actor.hpp>
#include <troupe/sim/test.hpp>

#include <gtest/gtest.h>

namespace {

using troupe::Actor;
using troupe::ignore;
using troupe::Ref;
using troupe::Result;
using troupe::Task;

class Origin : public Actor {
public:
    int get() const { return value_; }
    void set(int value) { value_ = value; }

private:
    int value_ = 1;
};

class Cache : public Actor {
public:
    explicit Cache(Ref<Origin> origin) : origin_(origin) {}
    void load() { origin_.ask<&Origin::get>().pipe_to<&Cache::loaded>(self(this), invalidations_); }
    void invalidate() {
        ++invalidations_;
        value_ = 0;
    }
    int value() const { return value_; }

private:
    void loaded(Result<int> value, int invalidations) {
        if (invalidations != invalidations_) return load();  // what came is older than that
        value_ = value.value_or(0);
    }

    Ref<Origin> origin_;
    int invalidations_ = 0;
    int value_ = 0;  // 0: not loaded
};

class Editor : public Actor {
public:
    Task<> edit(Ref<Origin> origin, Ref<Cache> cache) {
        ignore(co_await origin.ask<&Origin::set>(2), "it cannot refuse");
        cache.tell<&Cache::invalidate>();
    }
};

TROUPE_SIM_TEST(Cache, ForgetsWhatWasChanged) {
    auto origin = sim.spawn<Origin>();
    auto cache = sim.spawn<Cache>(origin);
    cache.tell<&Cache::load>();
    sim.spawn<Editor>().tell<&Editor::edit>(origin, cache);
    sim.settle();
    EXPECT_NE(*sim.run(cache.ask<&Cache::value>()), 1) << "1 is out of date";
}

}  // namespace

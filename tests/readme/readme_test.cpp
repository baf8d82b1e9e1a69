// Goal: the tree in the README is one that starts, and does what the sentences around it say.
// Method: its lines are included here as they stand there.

#include <troupe/actor/supervisor.hpp>
#include <troupe/actor/system.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace {

using namespace std::chrono_literals;
using troupe::Ref;
using troupe::Task;

class Helper : public troupe::Actor {
public:
    int work(int n) {
        if (n < 0) throw std::runtime_error("no such work");
        return n;
    }
};

class Desk : public troupe::Actor {
public:
    Desk(Ref<Helper> one, Ref<Helper> two) : one_(one), two_(two) {}
    Task<troupe::Result<int>> work(int n) {
        const int half = co_await troupe::or_return(co_await one_.ask<&Helper::work>(n));
        const int rest = co_await troupe::or_return(co_await two_.ask<&Helper::work>(n));
        co_return half + rest;
    }

private:
    Ref<Helper> one_;
    Ref<Helper> two_;
};

struct Open {
    troupe::SupervisorRef tree;
    Ref<Helper> ann;
    Ref<Desk> desk;
};

Task<troupe::Result<Open>> open(troupe::System system) {
#include "let_it_fail.inc"
    if (!running) co_return std::unexpected(running.error());
    Open all{*running, running->ref(ann), running->ref(desk)};
    co_return all;
}

TEST(Readme, TheTreeStartsAndItsReferencesStayValidOverARestart) {
    troupe::OwnedSystem system;
    const auto all = system->block_on(open(*system));
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_EQ(system->block_on(all->desk.ask<&Desk::work>(1)), 2);
    all->ann.tell<&Helper::work>(-1);
    EXPECT_EQ(system->block_on(all->desk.ask<&Desk::work>(2)), 4);
    EXPECT_TRUE(system->block_on(all->tree.stop()));
}

}  // namespace

// Who gets a connection when. Streams do not matter here: client_test.cpp has them.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/internal/connection_pool.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace troupe::http_internal {
namespace {

using net_internal::in_virtual_time;
using net_internal::on_both_engines;

using namespace std::chrono_literals;
using http::ClientErrc;
using http::ClientOptions;
using http::ClientStats;
using Freshness = ConnectionPool::Freshness;

Ref<ConnectionPool> spawn_pool(System& system, const ClientOptions& options) {
    return system.spawn<ConnectionPool>(troupe::options().mailbox(unbounded()), options);
}

ClientStats stats(System& system, Ref<ConnectionPool> pool) {
    return system.block_on(pool.ask<&ConnectionPool::stats>()).value_or(ClientStats());
}

/// Wants one lease and keeps it until it is told to let go, or ends.
class Holder : public Actor {
public:
    Holder(Ref<ConnectionPool> pool, int name, std::vector<int>* order)
        : pool_(pool), name_(name), order_(order) {}

    Task<void> want(std::string origin, Duration longest) {
        const Duration deadline = system().now() + longest;
        auto lease = co_await pool_.ask<&ConnectionPool::lease>(origin, deadline, Freshness::any)
                         .within(longest);
        if (lease) {
            lease_.emplace(std::move(*lease));
            order_->push_back(name_);
        } else {
            refused_ = lease.error();
        }
    }
    void let_go() { lease_.reset(); }
    bool holds() const { return lease_.has_value(); }
    std::string refusal() const { return refused_ ? refused_->message() : ""; }
    bool refused_with_timeout() const { return refused_ && *refused_ == Errc::timed_out; }
    bool refused_because_of_others() const {
        return refused_ && *refused_ == ClientErrc::too_many_waiting;
    }

private:
    Ref<ConnectionPool> pool_;
    const int name_;
    std::vector<int>* order_;  // the test's, which outlives us
    std::optional<Lease> lease_;
    std::optional<Error> refused_;
};

/// So many holders that want a lease of the same origin, one after the other.
std::vector<Ref<Holder>> spawn_holders(System& system, Ref<ConnectionPool> pool, int count,
                                       std::vector<int>* order, Duration longest = 60s) {
    std::vector<Ref<Holder>> holders;
    for (int i = 0; i < count; ++i) {
        holders.push_back(system.spawn<Holder>(pool, i, order));
        holders.back().tell<&Holder::want>("a:80", longest);
        system.engine().settle();
    }
    return holders;
}

void let_go(System& system, Ref<Holder> holder) {
    holder.tell<&Holder::let_go>();
    system.engine().settle();
}

TEST(ConnectionPool, GivesOutNoMoreThanTheLimitAndServesWhoWaitedFirst) {
    in_virtual_time(100, [](System& system) {
        std::vector<int> order;
        const auto pool = spawn_pool(system, ClientOptions().connections_per_origin_max(2));
        const auto holders = spawn_holders(system, pool, 5, &order);
        EXPECT_EQ(order, std::vector<int>({0, 1}));
        EXPECT_EQ(stats(system, pool).leased, 2u);
        EXPECT_EQ(stats(system, pool).waiting, 3u);
        let_go(system, holders[1]);
        let_go(system, holders[0]);
        let_go(system, holders[2]);
        EXPECT_EQ(order, std::vector<int>({0, 1, 2, 3, 4}));
        EXPECT_EQ(stats(system, pool).leased, 2u);
        let_go(system, holders[3]);
        let_go(system, holders[4]);
        EXPECT_EQ(stats(system, pool).leased, 0u);
    });
}

TEST(ConnectionPool, RefusesWhoeverFindsTheQueueFull) {
    in_virtual_time(20, [](System& system) {
        std::vector<int> order;
        const auto pool =
            spawn_pool(system, ClientOptions().connections_per_origin_max(1).waiting_max(2));
        const auto holders = spawn_holders(system, pool, 4, &order);
        EXPECT_EQ(system.block_on(holders[3].ask<&Holder::refused_because_of_others>()), true);
        EXPECT_EQ(stats(system, pool).waiting, 2u);
    });
}

TEST(ConnectionPool, WhoHasWaitedTooLongIsPassedOver) {
    in_virtual_time(50, [](System& system) {
        std::vector<int> order;
        const auto pool =
            spawn_pool(system, ClientOptions().connections_per_origin_max(1).waiting_max(2));
        const auto holders = spawn_holders(system, pool, 2, &order, 5s);
        system.engine().run_for(10s);
        EXPECT_EQ(system.block_on(holders[1].ask<&Holder::refused_with_timeout>()), true);
        // Its place in the queue is nobody's: three more come, and two find room.
        std::vector<int> later;
        const auto more = spawn_holders(system, pool, 3, &later);
        EXPECT_EQ(stats(system, pool).waiting, 2u);
        EXPECT_EQ(system.block_on(more[2].ask<&Holder::refused_because_of_others>()), true);
        let_go(system, holders[0]);
        EXPECT_EQ(later, std::vector<int>({0}));
    });
}

TEST(ConnectionPool, AKilledHolderGivesItsLeaseToTheNext) {
    in_virtual_time(100, [](System& system) {
        std::vector<int> order;
        const auto pool = spawn_pool(system, ClientOptions().connections_per_origin_max(1));
        const auto holders = spawn_holders(system, pool, 4, &order);
        holders[1].stop(Stop::kill);  // while it waits in line
        holders[0].stop(Stop::kill);  // while it holds one
        system.engine().settle();
        EXPECT_EQ(order, std::vector<int>({0, 2}));
        holders[2].stop(Stop::kill);
        system.engine().settle();
        EXPECT_EQ(order, std::vector<int>({0, 2, 3}));
        holders[3].stop(Stop::kill);
        system.engine().settle();
        EXPECT_EQ(stats(system, pool).leased, 0u);
        EXPECT_EQ(stats(system, pool).waiting, 0u);
    });
}

TEST(ConnectionPool, OriginsDoNotWaitForEachOther) {
    in_virtual_time(20, [](System& system) {
        std::vector<int> order;
        const auto pool = spawn_pool(system, ClientOptions().connections_per_origin_max(1));
        const auto holders = spawn_holders(system, pool, 1, &order);
        const auto other = system.spawn<Holder>(pool, 9, &order);
        other.tell<&Holder::want>("b:80", 1s);
        EXPECT_EQ(system.block_on(other.ask<&Holder::holds>()), true);
    });
}

TEST(ConnectionPool, RefusesEverybodyOnceItDrains) {
    in_virtual_time(50, [](System& system) {
        std::vector<int> order;
        const auto pool = spawn_pool(system, ClientOptions().connections_per_origin_max(1));
        const auto holders = spawn_holders(system, pool, 2, &order);
        EXPECT_TRUE(system.block_on(pool.ask<&ConnectionPool::drain>()).has_value());
        EXPECT_NE(system.block_on(holders[1].ask<&Holder::refusal>()).value_or("").find("stopped"),
                  std::string::npos);
        pool.tell<&ConnectionPool::end_when_drained>();
        EXPECT_EQ(stats(system, pool).leased, 1u) << "it stays for what is out";
        let_go(system, holders[0]);
        EXPECT_FALSE(system.block_on(pool.ask<&ConnectionPool::stats>()).has_value());
    });
}

/// Takes and returns leases as fast as it can.
class Churner : public Actor {
public:
    Task<int> churn(Ref<ConnectionPool> pool, int times) {
        int got = 0;
        for (int i = 0; i < times; ++i) {
            auto lease =
                co_await pool.ask<&ConnectionPool::lease>("a:80", Duration::max(), Freshness::any);
            if (lease) ++got;
            const auto slept = co_await sleep(1us);
            if (!slept) break;
        }
        co_return got;
    }
};

TEST(ConnectionPool, CountsRightWhateverTheOrder) {
    on_both_engines(30, [](System& system) {
        const auto pool = spawn_pool(system, ClientOptions().connections_per_origin_max(2));
        std::vector<Ref<Churner>> churners;
        for (int i = 0; i < 6; ++i) {
            churners.push_back(system.spawn<Churner>());
            churners.back().tell<&Churner::churn>(pool, 20);
        }
        for (const auto& churner : churners)
            EXPECT_EQ(system.block_on(churner.ask<&Churner::churn>(pool, 20)), 20);
        EXPECT_EQ(stats(system, pool).leased, 0u);
        EXPECT_EQ(stats(system, pool).opened, 240u);
    });
}

}  // namespace
}  // namespace troupe::http_internal

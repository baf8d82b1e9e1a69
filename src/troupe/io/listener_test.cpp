#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/task/block_on.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using io_internal::accept_into;
using io_internal::connect_into;
using io_internal::on_both_networks;
using io_internal::on_many_schedules;
using io_internal::TestTask;

TEST(Listener, RefusesToAcceptOnceClosed) {
    on_both_networks(3, [](Engine& engine) {
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        listener->close();
        listener->close();
        EXPECT_EQ(listener->port(), 0);
        const Result<Stream> accepted = block_on(engine, listener->accept());
        EXPECT_EQ(accepted.error(), Errc::closed);
    });
}

TEST(Listener, SaysWhenItsAddressIsInUse) {
    on_both_networks(3, [](Engine& engine) {
        Result<Listener> first = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(first.has_value()) << first.error().message();
        const Result<Listener> second = Listener::listen(engine, first->local());
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error(), Errc::already_registered);
        EXPECT_NE(second.error().text().find(to_string(first->local()) + " is in use already"),
                  std::string::npos)
            << second.error().message();

        const Endpoint same = first->local();
        first->close();
        EXPECT_TRUE(Listener::listen(engine, same).has_value());
    });
}

Task<void> take_one(Listener* listener, int* taken) {
    for (;;) {
        const Result<Stream> stream = co_await listener->accept();
        if (!stream) co_return;
        ++*taken;
    }
}

TEST(Listener, SharesItsPortWithThoseThatSaySoToo) {
    on_both_networks(10, [](Engine& engine) {
        const ListenOptions options = ListenOptions().reuse_port(true);
        Result<Listener> first = Listener::listen(engine, Endpoint("127.0.0.1", 0), options);
        ASSERT_TRUE(first.has_value()) << first.error().message();
        Result<Listener> second = Listener::listen(engine, first->local(), options);
        ASSERT_TRUE(second.has_value()) << second.error().message();
        EXPECT_EQ(Listener::listen(engine, first->local()).error(), Errc::already_registered)
            << "not with one that does not";

        int taken[2] = {};
        TestTask tasks[2] = {{engine, take_one(&*first, &taken[0])},
                             {engine, take_one(&*second, &taken[1])}};
        constexpr int kClients = 64;  // to get all of them by chance is one in 2^63
        for (int i = 0; i < kClients; ++i) {
            Result<Stream> client;
            TestTask task(engine, connect_into(&engine, first->local(), &client));
            ASSERT_TRUE(task.join());
            EXPECT_TRUE(client.has_value()) << client.error().message();
        }
        // Once the others are gone, everybody comes to the one that is left.
        for (TestTask& task : tasks) {
            if (engine.deterministic()) {
                engine.run_for(1s);
                task.stop();
            } else {
                task.kill();
            }
            EXPECT_TRUE(task.join());
        }
        EXPECT_GT(taken[0], 0);
        EXPECT_GT(taken[1], 0);
        second->close();
        Result<Stream> client;
        TestTask task(engine, connect_into(&engine, first->local(), &client));
        EXPECT_TRUE(block_on(engine, first->accept()).has_value());
        EXPECT_TRUE(task.join());
    });
}

TEST(Listener, RefusesAHostThatIsNoAddress) {
    on_both_networks(3, [](Engine& engine) {
        const Result<Listener> listener = Listener::listen(engine, Endpoint("example.org", 0));
        EXPECT_EQ(listener.error(), Errc::failed);
        EXPECT_NE(listener.error().text().find("example.org"), std::string::npos);
    });
}

TEST(Listener, ListensOnIpv6) {
    on_both_networks(5, [](Engine& engine) {
        Result<Listener> listener = Listener::listen(engine, Endpoint("::1", 0));
        if (!listener && !engine.deterministic()) return;  // a machine without IPv6
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        Result<Stream> client;
        TestTask task(engine, connect_into(&engine, listener->local(), &client));
        const Result<Stream> server = block_on(engine, listener->accept());
        ASSERT_TRUE(server.has_value()) << server.error().message();
        EXPECT_TRUE(task.join());
        ASSERT_TRUE(client.has_value()) << client.error().message();
        EXPECT_EQ(client->peer(), listener->local());
    });
}

TEST(Listener, AStopEndsTheWaitForConnections) {
    on_both_networks(3, [](Engine& engine) {
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        Result<Stream> accepted;
        TestTask acceptor(engine, accept_into(&*listener, &accepted));
        if (engine.deterministic()) {
            engine.run_for(1s);
            acceptor.stop();
            EXPECT_TRUE(acceptor.join());
            EXPECT_EQ(accepted.error(), Errc::cancelled);
        } else {
            acceptor.kill();
            EXPECT_TRUE(acceptor.join());
        }
    });
}

Task<void> read_outcome(Stream* stream, Result<std::size_t>* outcome) {
    char byte = 0;
    *outcome = co_await stream->read_some(std::span(&byte, 1));
}

TEST(Listener, ClosingResetsWhomNobodyHasAccepted) {
    on_both_networks(50, [](Engine& engine) {
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        Result<Stream> client;
        TestTask task(engine, connect_into(&engine, listener->local(), &client));
        ASSERT_TRUE(task.join());
        ASSERT_TRUE(client.has_value()) << client.error().message();
        listener->close();
        Result<std::size_t> outcome;
        block_on(engine, read_outcome(&*client, &outcome));
        EXPECT_FALSE(outcome.has_value());
    });
}

TEST(Listener, AcceptsEverybodyInTheBacklog) {
    on_both_networks(20, [](Engine& engine) {
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        std::vector<Result<Stream>> clients(30);
        for (Result<Stream>& client : clients) {
            TestTask task(engine, connect_into(&engine, listener->local(), &client));
            ASSERT_TRUE(task.join());
            ASSERT_TRUE(client.has_value()) << client.error().message();
        }
        for (std::size_t i = 0; i < clients.size(); ++i)
            EXPECT_TRUE(block_on(engine, listener->accept()).has_value());
    });
}

TEST(Listener, AFullBacklogMakesOthersWait) {
    on_many_schedules(20, [](Engine& engine) {
        ListenOptions options;
        options.backlog(1);
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0), options);
        ASSERT_TRUE(listener.has_value());
        Result<Stream> first;
        TestTask first_task(engine, connect_into(&engine, listener->local(), &first));
        ASSERT_TRUE(first_task.join());
        Result<Stream> second;
        TestTask second_task(engine, connect_into(&engine, listener->local(), &second, 3s));
        ASSERT_TRUE(second_task.join());
        EXPECT_EQ(second.error(), Errc::timed_out);

        Result<Stream> third;
        TestTask third_task(engine, connect_into(&engine, listener->local(), &third));
        EXPECT_TRUE(block_on(engine, listener->accept()).has_value());
        EXPECT_TRUE(third_task.join());
        EXPECT_TRUE(third.has_value());
    });
}

TEST(Listener, GoesOnAfterAPauseWhenThereAreNoDescriptors) {
    on_many_schedules(50, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.failed_accepts_per_thousand = 800;
        set_network_conditions(engine, conditions);
        Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        ASSERT_TRUE(listener.has_value());
        Result<Stream> client;
        TestTask task(engine, connect_into(&engine, listener->local(), &client));
        EXPECT_TRUE(block_on(engine, listener->accept()).has_value());
        EXPECT_TRUE(task.join());
    });
}

}  // namespace
}  // namespace troupe

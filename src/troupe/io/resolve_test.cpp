#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/task/block_on.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using io_internal::on_both_networks;
using io_internal::on_many_schedules;
using Addresses = std::vector<std::string>;

TEST(Resolve, RefusesWhatIsNoName) {
    on_both_networks(3, [](Engine& engine) {
        for (const std::string& host : {std::string(), std::string(254, 'x')}) {
            const auto found = block_on(engine, resolve(engine, host));
            ASSERT_FALSE(found.has_value());
            EXPECT_EQ(found.error(), Errc::not_found) << found.error().message();
        }
    });
}

TEST(Resolve, SaysWhichNameTheDeterministicEngineWasNotTold) {
    on_many_schedules(1, [](Engine& engine) {
        const auto found = block_on(engine, resolve(engine, "db.test"));
        ASSERT_FALSE(found.has_value());
        EXPECT_EQ(found.error(), Errc::not_found);
        EXPECT_NE(found.error().text().find("'db.test'"), std::string::npos);
    });
}

TEST(Resolve, NumbersAndLocalhostNeedNobody) {
    on_both_networks(3, [](Engine& engine) {
        EXPECT_EQ(block_on(engine, resolve(engine, "127.0.0.1")), Addresses({"127.0.0.1"}));
        EXPECT_EQ(block_on(engine, resolve(engine, "::1")), Addresses({"::1"}));
        EXPECT_EQ(block_on(engine, resolve(engine, "localhost")), Addresses({"localhost"}));
    });
}

TEST(Resolve, TheDeterministicEngineKnowsWhatItWasTold) {
    on_many_schedules(1, [](Engine& engine) {
        set_host_addresses(engine, "db.test", {"10.0.0.1", "10.0.0.2"});
        EXPECT_EQ(block_on(engine, resolve(engine, "db.test")),
                  Addresses({"10.0.0.1", "10.0.0.2"}));
        set_host_addresses(engine, "db.test", {});
        EXPECT_FALSE(block_on(engine, resolve(engine, "db.test")).has_value());
    });
}

TEST(Resolve, TheThreadedEngineAsksTheMachine) {
    // An old way to write 127.0.0.1 that inet_pton does not know and getaddrinfo does, without
    // asking the network.
    const std::unique_ptr<Engine> engine = make_threaded_engine();
    EXPECT_EQ(block_on(*engine, resolve(*engine, "127.1")), Addresses({"127.0.0.1"}));
    engine->stop();
}

}  // namespace
}  // namespace troupe

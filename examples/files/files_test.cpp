// The service without a server: its routes are called as functions, on both engines.

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>

#include "news.hpp"
#include "routes.hpp"
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace http = troupe::http;

namespace {

/// Runs `test`, a coroutine, on the threaded engine and over some seeds on the deterministic one,
/// each time with an empty folder.
void on_both_engines(troupe::Task<void> (*test)(const http::Router*, std::string)) {
    auto run = [test](troupe::OwnedSystem& system) {
        std::string folder = testing::TempDir() + "files-example-XXXXXX";
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        auto router = routes(folder, system->spawn<News>());
        ASSERT_TRUE(router.has_value()) << router.error().message();
        system->block_on(test(&*router, folder));
        system.stop();
        std::filesystem::remove_all(folder);
    };
    troupe::OwnedSystem threaded;
    run(threaded);
    for (std::uint64_t seed = 1; seed <= 10 && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        troupe::RandomChooser chooser(seed);
        troupe::OwnedSystem simulated(troupe::make_deterministic_engine(chooser));
        run(simulated);
    }
}

http::Request asking(const char* method, std::string path) {
    http::Request request;
    request.method = method;
    request.path = std::move(path);
    return request;
}

troupe::Task<void> storing(const http::Router* router, std::string folder) {
    http::Request form = asking("POST", "/upload");
    form.add_header("Content-Type", "multipart/form-data; boundary=b");
    form.body =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../a.txt\"\r\n\r\n"
        "hello\r\n--b--\r\n";
    http::Request again = form;
    auto stored = co_await router->handle(std::move(form));
    EXPECT_EQ(stored.status(), 200);
    EXPECT_EQ(stored.body(), "stored a.txt, 5 bytes\n");
    auto found = co_await router->handle(asking("GET", "/files/a.txt"));
    EXPECT_EQ(found.body(), "hello");
    EXPECT_FALSE(std::filesystem::exists(folder + "/../a.txt"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/a.txt.part"));

    again.body = again.body.substr(0, again.body.size() - 8);
    auto cut = co_await router->handle(std::move(again));
    EXPECT_EQ(cut.status(), 400);
    EXPECT_FALSE(std::filesystem::exists(folder + "/a.txt.part")) << "half a file is none";

    auto no_form = co_await router->handle(asking("POST", "/upload"));
    EXPECT_EQ(no_form.status(), 415);
}

TEST(Files, AreStoredAndFound) {
    on_both_engines(storing);
}

troupe::Task<void> visiting(const http::Router* router, std::string) {
    auto first = co_await router->handle(asking("GET", "/"));
    EXPECT_EQ(first.header("X-Visits"), "1");
    const std::string set(first.header("Set-Cookie"));
    http::Request second = asking("GET", "/");
    second.add_header("Cookie", set.substr(0, set.find(';')));
    auto counted = co_await router->handle(std::move(second));
    EXPECT_EQ(counted.header("X-Visits"), "2");
    http::Request forged = asking("GET", "/");
    forged.add_header("Cookie", "visits=1000000." + std::string(43, 'A'));
    auto not_believed = co_await router->handle(std::move(forged));
    EXPECT_EQ(not_believed.header("X-Visits"), "1");
}

TEST(Visits, AreCountedInACookieThatCannotBeForged) {
    on_both_engines(visiting);
}

}  // namespace

#include <troupe/http/router.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace troupe::http {
namespace {

/// Calls a router whose handlers wait for nothing.
Response answer(const Router& router, std::string method, std::string path) {
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    Task<Response> task = router.handle(std::move(request));
    task.start();
    EXPECT_TRUE(task.finished());
    return task.take();
}

Response hello(const Request& request) {
    return ok("hello " + std::string(request.parameter("who")));
}

Task<Response> slow_hello(Request request) {
    co_return ok("slowly " + std::string(request.parameter("who")));
}

TEST(Router, CallsFunctionsClosuresAndCoroutines) {
    Router router;
    std::string captured = "something long enough to be allocated";
    router.get("/plain/:who", hello)
        .get("/function/:who", slow_hello)
        .get("/value", [](Request request) { return ok(request.path); })
        .get("/generic", [](const auto& request) { return ok(request.method); })
        .get("/closure", [captured](const Request&) { return ok(captured); })
        .get("/coroutine/:who", [captured](Request request) -> Task<Response> {
            co_return ok(captured + std::string(request.parameter("who")));
        });
    EXPECT_EQ(answer(router, "GET", "/plain/ann").body(), "hello ann");
    EXPECT_EQ(answer(router, "GET", "/function/bob").body(), "slowly bob");
    EXPECT_EQ(answer(router, "GET", "/value").body(), "/value");
    EXPECT_EQ(answer(router, "GET", "/generic").body(), "GET");
    EXPECT_EQ(answer(router, "GET", "/closure").body(), captured);
    EXPECT_EQ(answer(router, "GET", "/coroutine/!").body(), captured + "!");
}

TEST(Router, KeepsHandlersThatCannotBeCopied) {
    Router router;
    router.get(
        "/", [kept = std::make_unique<std::string>("kept")](const Request&) { return ok(*kept); });
    Router moved = std::move(router);
    EXPECT_EQ(answer(moved, "GET", "/").body(), "kept");
}

TEST(Router, DecodesParameters) {
    Router router;
    router.get("/a/:x/*", [](const Request& request) {
        return ok(std::string(request.parameter("x")) + " " + std::string(request.parameter("*")) +
                  " " + std::string(request.parameter("none")));
    });
    EXPECT_EQ(answer(router, "GET", "/a/b%2Fc%25/d/e").body(), "b/c% d/e ");
}

TEST(Router, SetsParametersAnewWhenARequestIsRoutedAgain) {
    Router router;
    router.get("/a/:x",
               [](const Request& request) { return ok(std::string(request.parameter("x"))); });
    Request request;
    request.path = "/a/1";
    ASSERT_NE(router.find(request), nullptr);
    request.path = "/a/2";
    ASSERT_NE(router.find(request), nullptr);
    EXPECT_EQ(request.parameter("x"), "2");
}

TEST(Router, SaysWhatIsNotThere) {
    Router router;
    router.get("/a", hello).post("/a", hello).del("/b", hello);
    EXPECT_EQ(answer(router, "GET", "/c").status(), 404);
    EXPECT_EQ(answer(router, "GET", "*").status(), 404);

    Response wrong = answer(router, "PUT", "/a");
    EXPECT_EQ(wrong.status(), 405);
    EXPECT_EQ(wrong.header("allow"), "GET, HEAD, OPTIONS, POST");
    EXPECT_EQ(wrong.body(), "This path does not take PUT, only GET, HEAD, OPTIONS, POST.");

    EXPECT_EQ(answer(router, "BREW", "/a").status(), 501);
    EXPECT_EQ(answer(router, "BREW", "/c").status(), 501);
}

TEST(Router, AnswersOptions) {
    Router router;
    router.get("/a", hello).del("/b", hello);
    EXPECT_EQ(answer(router, "OPTIONS", "/a").status(), 204);
    EXPECT_EQ(answer(router, "OPTIONS", "/a").header("Allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(answer(router, "OPTIONS", "*").header("Allow"), "DELETE, GET, HEAD, OPTIONS");
    EXPECT_EQ(answer(router, "OPTIONS", "/c").status(), 404);

    router.route("OPTIONS", "/a", [](const Request&) { return ok("mine"); });
    EXPECT_EQ(answer(router, "OPTIONS", "/a").body(), "mine");
}

TEST(Router, TakesMethodsOfOnesOwn) {
    Router router;
    router.route("BREW", "/pot", [](const Request&) { return text(418, "short and stout"); });
    EXPECT_EQ(answer(router, "BREW", "/pot").status(), 418);
}

TEST(Router, LetsAHandlersExceptionThrough) {
    Router router;
    router.get("/plain", [](const Request&) -> Response { throw std::runtime_error("plain"); });
    router.get("/coroutine", [](Request) -> Task<Response> {
        throw std::runtime_error("coroutine");
        co_return Response();
    });
    EXPECT_THROW(answer(router, "GET", "/plain"), std::runtime_error);
    EXPECT_THROW(answer(router, "GET", "/coroutine"), std::runtime_error);
}

TEST(Router, EmptyAnswersNotFound) {
    EXPECT_EQ(answer(Router(), "GET", "/").status(), 404);
}

}  // namespace
}  // namespace troupe::http

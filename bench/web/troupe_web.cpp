// The HTTP routes of the web benchmark, as a user would write them: troupe_web --port P --threads
// T. Beyond them /health, and /crash with a handler that throws.

#include <troupe/actor/run.hpp>
#include <troupe/http/json.hpp>
#include <troupe/http/server.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace http = troupe::http;

namespace {

// What the command line said. Written by main before there is anybody to read it.
std::uint16_t port = 8080;

http::Router routes() {
    http::Router router;
    router.get("/plaintext", [](const http::Request&) { return http::ok("Hello, World!"); });
    router.get("/json", [](const http::Request&) {
        std::string document = "{\"message\":";
        http::append_json_string(document, "Hello, World!");
        return http::json(document + "}");
    });
    router.post("/echo", [](http::Request request) {
        http::Response response;
        response.type("application/octet-stream").body(std::move(request.body));
        return response;
    });
    router.get("/health", [](const http::Request&) { return http::ok("ok\n"); });
    router.get("/crash", [](const http::Request&) -> http::Response {
        throw std::runtime_error("this route always crashes");
    });
    return router;
}

troupe::Task<int> app(troupe::System& system) {
    auto server = co_await http::serve(system, routes(), http::ServerOptions().port(port));
    if (!server) {
        std::fprintf(stderr, "troupe_web: %s\n", server.error().text().c_str());
        co_return 1;
    }
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(std::chrono::seconds(1)), "the program ends either way");
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    unsigned threads = 0;
    CLI::App options("Serves the routes of the web benchmark.");
    options.add_option("--port", port, "the port to listen on")->capture_default_str();
    options.add_option("--threads", threads, "worker threads, as many as cores when left out");
    CLI11_PARSE(options, argc, argv);
    if (threads != 0) setenv("TROUPE_WORKERS", std::to_string(threads).c_str(), 1);
    return troupe::run(argc, argv, app);
}

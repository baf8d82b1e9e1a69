// A folder over HTTP, with uploads and news of them. See README.md for what it answers.

#include <troupe/actor/run.hpp>
#include <troupe/http/server.hpp>

#include "../common/serve_arguments.hpp"
#include "news.hpp"
#include "routes.hpp"

#include <chrono>
#include <string>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

// What the command line said. Written by main before there is anybody to read it.
ServeArguments arguments("files", "A folder over HTTP, with uploads and news of them.");
std::string folder = ".";

troupe::Task<int> app(troupe::System& system) {
    auto router = routes(folder, system.spawn<News>());
    if (!router) co_return arguments.failed(router.error());
    auto options = arguments.options();
    if (!options) co_return arguments.failed(options.error());
    auto server = co_await http::serve(system, std::move(*router), *options);
    if (!server) co_return arguments.failed(server.error());
    arguments.announce(*server);
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(2s), "the program ends either way");
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    arguments.add("--folder", folder, "what to serve, and where uploads go");
    if (const auto ended = arguments.parse(argc, argv)) return *ended;
    return troupe::run(argc, argv, app);
}

// Offers put together in time over HTTP, or as much of them as there is. See README.md.

#include <troupe/actor/run.hpp>
#include <troupe/http/server.hpp>

#include "../common/serve_arguments.hpp"
#include "offers.hpp"
#include "routes.hpp"

#include <chrono>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

// What the command line said. Written by main before there is anybody to read it.
ServeArguments arguments("pipeline",
                         "Offers put together in time over HTTP, or as much of them as there is.");

troupe::Task<int> app(troupe::System& system) {
    auto kitchen = co_await open_kitchen(system);
    if (!kitchen) co_return arguments.failed(kitchen.error());
    auto options = arguments.options();
    if (!options) co_return arguments.failed(options.error());
    auto server = co_await http::serve(system, routes(system, *kitchen), *options);
    if (!server) co_return arguments.failed(server.error());
    arguments.announce(*server);
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(5s), "the program ends either way");
    co_await close_kitchen(*kitchen);
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto ended = arguments.parse(argc, argv)) return *ended;
    return troupe::run(argc, argv, app);
}

// A workshop of flaky workers over HTTP, to be watched surviving. See README.md.

#include <troupe/actor/run.hpp>
#include <troupe/http/server.hpp>

#include "../common/serve_arguments.hpp"
#include "routes.hpp"
#include "workshop.hpp"

#include <chrono>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

// What the command line said. Written by main before there is anybody to read it.
ServeArguments arguments("supervised",
                         "A workshop of flaky workers over HTTP, to be watched surviving.");

troupe::Task<int> app(troupe::System& system) {
    auto workshop = co_await open_workshop(system);
    if (!workshop) co_return arguments.failed(workshop.error());
    auto options = arguments.options();
    if (!options) co_return arguments.failed(options.error());
    auto server = co_await http::serve(system, routes(*workshop), *options);
    if (!server) co_return arguments.failed(server.error());
    arguments.announce(*server);
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(5s), "the program ends either way");
    troupe::ignore(co_await workshop->tree.stop(), "the program ends either way");
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto ended = arguments.parse(argc, argv)) return *ended;
    return troupe::run(argc, argv, app);
}

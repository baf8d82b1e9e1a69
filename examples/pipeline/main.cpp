// Offers put together in time over HTTP, or as much of them as there is. See README.md.

#include <troupe/actor/run.hpp>
#include <troupe/http/server.hpp>

#include "offers.hpp"
#include "routes.hpp"
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

// What the command line said. Written by main before there is anybody to read it.
std::uint16_t port = 8080;
bool tls = false;

troupe::Task<int> app(troupe::System& system) {
    auto kitchen = co_await open_kitchen(system);
    if (!kitchen) {
        std::cerr << "pipeline: " << kitchen.error().text() << "\n";
        co_return 1;
    }
    http::ServerOptions options;
    options.port(port);
    if (tls) {
        auto development = troupe::TlsServer::for_development();
        if (!development) {
            std::cerr << "pipeline: " << development.error().text() << "\n";
            co_return 1;
        }
        options.tls(*development);
    }
    auto server = co_await http::serve(system, routes(system, *kitchen), options);
    if (!server) {
        std::cerr << "pipeline: " << server.error().text() << "\n";
        co_return 1;
    }
    std::cout << "pipeline: listening on " << (tls ? "https" : "http")
              << "://127.0.0.1:" << server->port() << "\n"
              << std::flush;
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(5s), "the program ends either way");
    co_await close_kitchen(*kitchen);
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App options("Offers put together in time over HTTP, or as much of them as there is.");
    options.add_option("--port", port, "the port to listen on, 0 for any that is free")
        ->capture_default_str();
    options.add_flag("--tls", tls, "serve https, with a certificate made for the occasion");
    CLI11_PARSE(options, argc, argv);
    return troupe::run(argc, argv, app);
}

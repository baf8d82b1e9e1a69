// A chat in the browser: rooms that may crash, and people who notice. See README.md.

#include <troupe/actor/run.hpp>
#include <troupe/http/server.hpp>

#include "lobby.hpp"
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
    auto lobby = co_await open_lobby(system);
    if (!lobby) {
        std::cerr << "lobby: " << lobby.error().text() << "\n";
        co_return 1;
    }
    http::ServerOptions options;
    options.port(port);
    if (tls) {
        auto development = troupe::TlsServer::for_development();
        if (!development) {
            std::cerr << "lobby: " << development.error().text() << "\n";
            co_return 1;
        }
        options.tls(*development);
    }
    auto server = co_await http::serve(system, routes(*lobby), options);
    if (!server) {
        std::cerr << "lobby: " << server.error().text() << "\n";
        co_return 1;
    }
    std::cout << "lobby: listening on " << (tls ? "https" : "http")
              << "://127.0.0.1:" << server->port() << "\n"
              << std::flush;
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(5s), "the program ends either way");
    troupe::ignore(co_await lobby->tree.stop(), "the program ends either way");
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App options("A chat lobby in the browser: rooms are actors, and may be crashed.");
    options.add_option("--port", port, "the port to listen on, 0 for any that is free")
        ->capture_default_str();
    options.add_flag("--tls", tls, "serve https, with a certificate made for the occasion");
    CLI11_PARSE(options, argc, argv);
    return troupe::run(argc, argv, app);
}

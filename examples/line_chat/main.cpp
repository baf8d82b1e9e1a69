// A chat over TCP: whatever one says in a line, the others read. See README.md.

#include <troupe/actor/run.hpp>
#include <troupe/net/serve.hpp>

#include "chat.hpp"
#include <CLI/CLI.hpp>

#include <cstdint>
#include <iostream>

namespace net = troupe::net;

namespace {

// What the command line said. Written by main before there is anybody to read it.
std::uint16_t port = 7000;
bool tls = false;

troupe::Task<int> app(troupe::System& system) {
    const auto room = system.spawn<Room>();
    net::ServeOptions options;
    if (tls) {
        auto development = troupe::TlsServer::for_development();
        if (!development) {
            std::cerr << "line_chat: " << development.error().text() << "\n";
            co_return 1;
        }
        options.listen(troupe::ListenOptions().tls(*development));
    }
    auto server =
        co_await net::serve<Guest>(system, troupe::Endpoint("127.0.0.1", port), options, room);
    if (!server) {
        std::cerr << "line_chat: " << server.error().text() << "\n";
        co_return 1;
    }
    std::cout << "line_chat: listening on 127.0.0.1:" << server->port() << "\n" << std::flush;
    co_await system.stop_requested();
    troupe::ignore(co_await server->stop(), "the program ends either way");
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App options("A chat over TCP: whatever one says in a line, the others read.");
    options.add_option("--port", port, "the port to listen on, 0 for any that is free")
        ->capture_default_str();
    options.add_flag("--tls", tls, "speak TLS, with a certificate made for the occasion");
    CLI11_PARSE(options, argc, argv);
    return troupe::run(argc, argv, app);
}

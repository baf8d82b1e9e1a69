// The routes of the web benchmark, as a user would write them: troupe_web --port P --threads T,
// and over TLS with --tls, or with --certificate FILE --key FILE.
// HTTP, and the WebSockets /echo and /broadcast. Beyond them /health, /crash with a handler that
// throws, streamed bodies, and what conformance probes ask a server for: an echo of bodies, of
// header lines and of cookies.

#include <troupe/actor/run.hpp>
#include <troupe/http/json.hpp>
#include <troupe/http/server.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace http = troupe::http;

namespace {

// What the command line said. Written by main before there is anybody to read it.
std::uint16_t port = 8080;
bool tls = false;
std::string certificate;
std::string key;

http::Response echo_body(http::Request request) {
    http::Response response;
    response.type("application/octet-stream").body(std::move(request.body));
    return response;
}

/// The header lines as they were received, or the body if there is one.
http::Response echo(http::Request request) {
    if (!request.body.empty()) return echo_body(std::move(request));
    std::string lines;
    for (std::size_t i = 0; i < request.headers().size(); ++i) {
        http::HeaderField field = request.headers().at(i);
        lines.append(field.name).append(": ").append(field.value).append("\n");
    }
    return http::ok(std::move(lines));
}

/// The cookies, a line of name=value for each.
http::Response cookies(const http::Request& request) {
    std::string lines;
    for (std::size_t i = 0; i < request.headers().size(); ++i) {
        http::HeaderField field = request.headers().at(i);
        if (!http::same_name(field.name, "Cookie")) continue;
        for (std::string_view rest = field.value; !rest.empty();) {
            std::size_t end = std::min(rest.find(';'), rest.size());
            std::string_view cookie = rest.substr(0, end);
            cookie.remove_prefix(std::min(cookie.find_first_not_of(' '), cookie.size()));
            if (!cookie.empty()) lines.append(cookie).append("\n");
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return http::ok(std::move(lines));
}

/// Counts the bytes of a body of any size without holding it.
troupe::Task<http::Response> count(http::Request, http::BodyReader body) {
    std::size_t bytes = 0;
    for (;;) {
        auto piece = co_await body.next();
        if (!piece) co_return http::from(piece.error());
        if (piece->empty()) break;
        bytes += piece->size();
    }
    co_return http::ok(std::to_string(bytes) + "\n");
}

/// So many lines, made while they are sent.
http::Response lines(const http::Request& request) {
    int count = std::atoi(std::string(request.parameter("count")).c_str());
    return http::stream("text/plain",
                        [count](http::BodyWriter out) -> troupe::Task<troupe::Result<void>> {
                            for (int i = 0; i < count; ++i) {
                                std::string line = "line " + std::to_string(i) + "\n";
                                co_await troupe::or_return(co_await out.write(line));
                            }
                            co_return troupe::Result<void>();
                        });
}

/// Every message back, text as text and binary as binary.
class Echo final : public troupe::websocket::Socket {
    troupe::Task<void> on_text(std::string text) override {
        send_text(text);
        return {};
    }
    troupe::Task<void> on_binary(std::string bytes) override {
        send_binary(bytes);
        return {};
    }
};

/// An HTTP echo, or, for a request that asks for one, a WebSocket.
class EchoRoute {
public:
    http::Response operator()(http::Request request) const {
        return request.header("Upgrade") ? upgrade_(std::move(request)) : echo(std::move(request));
    }

private:
    decltype(troupe::websocket::to<Echo>()) upgrade_ =
        troupe::websocket::to<Echo>(troupe::websocket::Options().send_buffer(64 * 1024 * 1024));
};

/// Every message to everybody on this path.
class Member final : public troupe::websocket::Socket {
public:
    explicit Member(troupe::Ref<troupe::websocket::Room> room) : room_(room) {}

private:
    troupe::Task<void> on_open(const http::Request&) override {
        room_.tell<&troupe::websocket::Room::join>(member());
        return {};
    }
    troupe::Task<void> on_text(std::string text) override {
        room_.tell<&troupe::websocket::Room::broadcast_text>(std::move(text));
        return {};
    }
    troupe::Task<void> on_binary(std::string bytes) override {
        room_.tell<&troupe::websocket::Room::broadcast_binary>(std::move(bytes));
        return {};
    }

    troupe::Ref<troupe::websocket::Room> room_;
};

http::Router routes(troupe::System system) {
    http::Router router;
    router.get("/echo", EchoRoute());
    router.get("/broadcast",
               troupe::websocket::to<Member>(system.spawn<troupe::websocket::Room>()));
    router.get("/plaintext", [](const http::Request&) { return http::ok("Hello, World!"); });
    router.get("/json", [](const http::Request&) {
        std::string document = "{\"message\":";
        http::append_json_string(document, "Hello, World!");
        document += '}';
        return http::json(std::move(document));
    });
    router.post("/echo", echo_body);
    router.any("/echo", echo);
    router.any("/", [](http::Request request) {
        return request.body.empty() ? http::ok("ok\n") : echo_body(std::move(request));
    });
    router.any("/cookie", cookies);
    router.post("/count", count);
    router.get("/lines/:count", lines);
    router.get("/health", [](const http::Request&) { return http::ok("ok\n"); });
    router.get("/crash", [](const http::Request&) -> http::Response {
        throw std::runtime_error("this route always crashes");
    });
    return router;
}

troupe::Result<troupe::TlsServer> identity() {
    if (certificate.empty()) return troupe::TlsServer::for_development();
    TROUPE_TRY(auto files, troupe::TlsCertificate::read_blocking(certificate, key));
    return troupe::TlsServer::make(troupe::TlsServerOptions().certificate(std::move(files)));
}

troupe::Task<int> app(troupe::System& system) {
    http::ServerOptions options;
    options.port(port);
    if (tls || !certificate.empty()) {
        auto who = identity();
        if (!who) {
            std::fprintf(stderr, "troupe_web: %s\n", who.error().text().c_str());
            co_return 1;
        }
        options.tls(*who);
    }
    auto server = co_await http::serve(system, routes(system), options);
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
    options.add_flag("--tls", tls, "serve https and wss, with a certificate made for the occasion");
    options.add_option("--certificate", certificate, "serve https and wss, with this chain (PEM)");
    options.add_option("--key", key, "the certificate's private key (PEM)");
    CLI11_PARSE(options, argc, argv);
    if (threads != 0) setenv("TROUPE_WORKERS", std::to_string(threads).c_str(), 1);
    return troupe::run(argc, argv, app);
}

// WebSockets over HTTP/2 (RFC 8441): the same routes and the same actors, on a stream of a
// connection that carries others.

#include <troupe/http/internal/test_h2_client.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/joiners.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/test_frames.hpp>
#include <troupe/websocket/session.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace troupe::websocket {
namespace {

using namespace std::chrono_literals;
using http_internal::h2_request;
using http_internal::H2Client;
using http_internal::H2Fields;
using http_internal::H2Reply;
using net_internal::on_both_engines;
using namespace websocket_internal;

/// Says what it has heard, and how it ended.
class Echo : public Socket {
public:
    explicit Echo(std::shared_ptr<std::string> ends) : ends_(std::move(ends)) {}

private:
    Task<void> on_open(const http::Request& request) override {
        send_text("at " + request.path + " by " + std::string(request.protocol()));
        return {};
    }
    Task<void> on_text(std::string text) override {
        if (text == "crash") throw std::runtime_error("a planted crash");
        send_text(text);
        return {};
    }
    Task<void> on_close(unsigned code, std::string_view) override {
        *ends_ += std::to_string(code) + " ";
        return {};
    }

    const std::shared_ptr<std::string> ends_;  // shared with the test
};

Task<http::Server> start(System system, std::shared_ptr<std::string> ends) {
    http::Router router;
    router.get("/echo/:name", to<Echo>(Options().deflate(false).protocols({"chat"}), ends));
    router.get("/hello", [](const http::Request&) { return http::ok("hello"); });
    auto server = co_await http::serve(system, std::move(router),
                                       net_internal::on_transport(http::ServerOptions()));
    EXPECT_TRUE(server.has_value()) << server.error().message();
    co_return *server;
}

H2Fields opening(const std::string& path) {
    H2Fields fields = h2_request("CONNECT", path);
    fields.emplace_back(":protocol", "websocket");
    fields.emplace_back("sec-websocket-version", "13");
    fields.emplace_back("sec-websocket-protocol", "other, chat");
    return fields;
}

/// The client's end of one socket: what comes next, in words.
Task<std::string> receive(H2Client* client, std::int32_t id, FrameDecoder* decoder) {
    for (;;) {
        std::string& pending = client->reply(id).body;
        const FrameDecoder::Step step = decoder->advance(pending.data(), pending.size());
        pending.erase(0, step.consumed);
        if (step.status == FrameDecoder::Status::message) {
            co_return "text " + decoder->take_payload();
        }
        if (step.status == FrameDecoder::Status::close) {
            co_return "close " + std::to_string(decoder->close_code());
        }
        EXPECT_EQ(step.status, FrameDecoder::Status::need_more);
        if (client->reply(id).closed) co_return "end " + std::to_string(client->reply(id).code);
        const bool moved = co_await client->step();
        if (!moved) co_return "gone";
    }
}

Task<void> sockets(System system) {
    const auto ends = std::make_shared<std::string>();
    http::Server server = co_await start(system, ends);
    H2Client client = co_await H2Client::connect(system, server.port());
    EXPECT_EQ((co_await client.ask("/hello")).body, "hello");
    EXPECT_EQ(client.setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), 1U);

    const std::int32_t one = client.begin(opening("/echo/one"), "", false);
    const std::int32_t two = client.begin(opening("/echo/two"), "", false);
    FrameDecoder from_one(Role::client, 1'000'000);
    FrameDecoder from_two(Role::client, 1'000'000);
    EXPECT_EQ(co_await receive(&client, one, &from_one), "text at /echo/one by HTTP/2");
    EXPECT_EQ(co_await receive(&client, two, &from_two), "text at /echo/two by HTTP/2");
    EXPECT_EQ(client.reply(one).status, 200);
    EXPECT_EQ(client.reply(one).field("sec-websocket-protocol"), "chat");
    EXPECT_EQ(client.reply(one).field("sec-websocket-accept"), "");
    client.go_on(one, text_frame("hello"), false);
    EXPECT_EQ(co_await receive(&client, one, &from_one), "text hello");
    const std::string large(500'000, 'x');
    client.go_on(two, text_frame(large), false);
    EXPECT_EQ(co_await receive(&client, two, &from_two), "text " + large);
    EXPECT_EQ((co_await client.ask("/hello")).body, "hello");

    client.go_on(one, close_frame(1000), true);
    EXPECT_EQ(co_await receive(&client, one, &from_one), "close 1000");
    EXPECT_EQ(co_await receive(&client, one, &from_one), "end 0");
    client.go_on(two, text_frame("still"), false);
    EXPECT_EQ(co_await receive(&client, two, &from_two), "text still");
    client.reset(two);
    EXPECT_EQ((co_await client.ask("/hello")).body, "hello");
    auto stopped = co_await server.stop(2s);
    EXPECT_TRUE(stopped.has_value());
    EXPECT_EQ(*ends, "1000 1006 ");
}

TEST(Http2WebSocket, IsAStreamBesideOthers) {
    on_both_engines(40, sockets);
}

Task<void> stopping(System system) {
    const auto ends = std::make_shared<std::string>();
    http::Server server = co_await start(system, ends);
    H2Client client = co_await H2Client::connect(system, server.port());
    const std::int32_t id = client.begin(opening("/echo/a"), "", false);
    FrameDecoder decoder(Role::client, 1000);
    EXPECT_EQ(co_await receive(&client, id, &decoder), "text at /echo/a by HTTP/2");
    auto stop = [](http::Server the_server) -> Task<Result<void>> {
        co_return co_await the_server.stop(5s);
    };
    auto talk = [](H2Client* the_client, std::int32_t stream,
                   FrameDecoder* its_decoder) -> Task<Result<void>> {
        EXPECT_EQ(co_await receive(the_client, stream, its_decoder), "close 1001");
        the_client->go_on(stream, close_frame(1001), true);
        EXPECT_EQ(co_await receive(the_client, stream, its_decoder), "end 0");
        EXPECT_TRUE(co_await the_client->ended());
        co_return Result<void>();
    };
    auto both = task_group<void>(all_successful());
    both.add(stop, server);
    both.add(talk, &client, id, &decoder);
    const auto done = co_await both.run();
    EXPECT_TRUE(done.has_value());
    EXPECT_EQ(*ends, "1001 ");
    EXPECT_EQ(client.goaways(), 2);
}

TEST(Http2WebSocket, IsToldWhenTheServerStops) {
    on_both_engines(40, stopping);
}

Task<void> refusals(System system) {
    const auto ends = std::make_shared<std::string>();
    http::Server server = co_await start(system, ends);
    H2Client client = co_await H2Client::connect(system, server.port());
    H2Fields unversioned = h2_request("CONNECT", "/echo/a");
    unversioned.emplace_back(":protocol", "websocket");
    const std::int32_t first = client.begin(unversioned, "", false);
    EXPECT_EQ((co_await client.head(first)).status, 400);
    const std::int32_t second = client.begin(opening("/hello"), "", false);
    EXPECT_EQ((co_await client.head(second)).status, 200) << "a GET like any other";
    const std::int32_t third = client.begin(opening("/none"), "", false);
    EXPECT_EQ((co_await client.head(third)).status, 404);
    EXPECT_EQ((co_await client.ask("/echo/a")).status, 426) << "nobody has asked for a socket";
    const std::int32_t crash = client.begin(opening("/echo/a"), text_frame("crash"), false);
    FrameDecoder decoder(Role::client, 1000);
    EXPECT_EQ(co_await receive(&client, crash, &decoder), "text at /echo/a by HTTP/2");
    EXPECT_EQ(co_await receive(&client, crash, &decoder), "close 1011");
    EXPECT_EQ((co_await client.ask("/hello")).body, "hello");
    auto stopped = co_await server.stop(1s);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Http2WebSocket, IsRefusedAsOverHttp1AndCrashesAlone) {
    on_both_engines(40, refusals);
}

}  // namespace
}  // namespace troupe::websocket

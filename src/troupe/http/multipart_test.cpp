// Forms with files, from a client to a handler.

#include <troupe/actor/actor.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/multipart.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using http_internal::test_bytes;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

/// Reads a form as a handler does, and tells what was in it.
Task<Response> read_form(Request request, BodyReader body, MultipartOptions options) {
    MultipartReader form(request, body, options);
    std::string out;
    for (;;) {
        auto part = co_await form.next();
        if (!part) co_return from(part.error());
        if (!*part) break;
        const Part& head = **part;
        if (head.name() == "skipped") continue;
        out += head.name() + "=";
        if (!head.is_file()) {
            auto text = co_await form.text();
            if (!text) co_return from(text.error());
            out += *text + " ";
            continue;
        }
        std::size_t bytes = 0;
        unsigned sum = 0;
        for (;;) {
            auto piece = co_await form.read();
            if (!piece) co_return from(piece.error());
            if (piece->empty()) break;
            bytes += piece->size();
            for (char c : *piece)
                sum = sum * 31 + static_cast<unsigned char>(c);
        }
        out += std::string(head.file_name()) + ":" + std::to_string(bytes) + ":" +
               std::to_string(sum) + " ";
    }
    auto after = co_await form.next();
    out += after && !*after ? "end" : "?";
    co_return ok(std::move(out));
}

std::string part(const std::string& parameters, const std::string& data) {
    return "--bound\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n" + data + "\r\n";
}

std::string post_form(const std::string& path, const std::string& body,
                      const std::string& type = "multipart/form-data; boundary=bound") {
    return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Type: " + type +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Task<Server> start(System system) {
    Router router;
    router.post("/form", [](Request request, BodyReader body) {
        return read_form(std::move(request), body, MultipartOptions());
    });
    router.post("/small", [](Request request, BodyReader body) {
        auto options = MultipartOptions().parts_max(3).text_bytes_max(10).part_bytes_max(100);
        return read_form(std::move(request), body, options.bytes_max(1000));
    });
    return serve_on_transport(system, std::move(router));
}

Task<void> forms(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    const std::string bytes = test_bytes(1'500'000);  // more than any whole body may have
    unsigned sum = 0;
    for (char c : bytes)
        sum = sum * 31 + static_cast<unsigned char>(c);
    const std::string body = part("name=\"title\"", "hello") +
                             part("name=\"skipped\"", std::string(100'000, 's')) +
                             part("name=\"file\"; filename=\"../x.bin\"", bytes) +
                             part("name=\"none\"; filename=\"\"", "") + "--bound--\r\n";
    Reply reply = co_await client.ask(post_form("/form", body));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body,
              "title=hello file=x.bin:1500000:" + std::to_string(sum) + " none=unnamed:0:0 end");
    reply = co_await client.ask(post_form("/form", "--bound--"));
    EXPECT_EQ(reply.body, "end") << "and the connection goes on";
    client.close();
    co_await stop(server);
}

TEST(Multipart, IsReadPartByPart) {
    on_both_engines(5, forms);
}

Task<void> refusals(System system) {
    Server server = co_await start(system);
    auto ask = [&](std::string bytes) -> Task<Reply> {
        Client client = co_await Client::connect(system, server.port());
        Reply reply = co_await client.ask(std::move(bytes));
        co_return reply;
    };
    const std::string end = "--bound--\r\n";
    Reply reply = co_await ask(post_form("/form", part("name=a", "1") + end, "text/plain"));
    EXPECT_EQ(reply.status, 415);
    reply = co_await ask(post_form("/form", part("name=a", "1")));
    EXPECT_EQ(reply.status, 400) << "it ends too soon";
    EXPECT_NE(reply.body.find("The form ends too soon."), std::string::npos) << reply.body;
    reply = co_await ask(post_form("/form", part("nobody=a", "1") + end));
    EXPECT_EQ(reply.status, 400);
    reply = co_await ask(post_form("/small", part("name=a", "12345678901") + end));
    EXPECT_EQ(reply.status, 413) << "a long field";
    reply = co_await ask(post_form("/small", part("name=a", "1234567890") + end));
    EXPECT_EQ(reply.status, 200);
    reply =
        co_await ask(post_form("/small", part("name=a; filename=x", std::string(101, 'x')) + end));
    EXPECT_EQ(reply.status, 413) << "a long part";
    const std::string one = part("name=a", "1");
    reply = co_await ask(post_form("/small", one + one + one + one + end));
    EXPECT_EQ(reply.status, 413) << "many parts";
    reply = co_await ask(
        post_form("/small", part("name=skipped; filename=x", std::string(2000, 'x')) + end));
    EXPECT_EQ(reply.status, 413) << "a large body, though nobody reads it";
    co_await stop(server);
}

TEST(Multipart, IsRefusedByTypeFormAndSize) {
    on_both_engines(5, refusals);
}

Task<void> slow_handler(System system) {
    NetworkConditions conditions;
    conditions.buffer_bytes = 32 * 1024;
    set_network_conditions(system.engine(), conditions);
    Router router;
    router.post("/slow", [](Request request, BodyReader body) -> Task<Response> {
        MultipartReader form(request, body);
        auto head = co_await form.next();
        if (!head) co_return from(head.error());
        auto slept = co_await sleep(10s);
        if (!slept) co_return from(slept.error());
        auto after = co_await form.next();
        co_return after ? ok("read") : from(after.error());
    });
    auto server =
        co_await serve(system, std::move(router), net_internal::on_transport(ServerOptions()));
    EXPECT_TRUE(server.has_value());
    Client client = co_await Client::connect(system, server->port());
    const Duration before = system.now();
    const std::string body =
        part("name=f; filename=x", std::string(300'000, 'x')) + "--bound--\r\n";
    EXPECT_TRUE(co_await client.send(post_form("/slow", body)));
    EXPECT_GE(system.now() - before, 9s) << "nobody held it for the handler";
    EXPECT_EQ((co_await client.receive()).body, "read");
    client.close();
    co_await stop(*server);
}

TEST(Multipart, MakesThePeerWaitWhileTheHandlerDoesNotRead) {
    in_virtual_time(5, slow_handler);
}

}  // namespace
}  // namespace troupe::http

#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using io_internal::on_both_networks;
using io_internal::on_many_schedules;
using io_internal::TestTask;

const std::string kHeader = "PROXY TCP4 1.2.3.4 10.0.0.1 4660 80\r\n";

ListenOptions behind(const std::string& proxies) {
    const auto networks = IpNetworks::parse(proxies);
    EXPECT_TRUE(networks.has_value());
    return ListenOptions().proxy_protocol(ProxyProtocol(networks.value_or(IpNetworks())));
}

/// What a server sees of one connection.
struct Seen {
    Result<void> agreed;
    Endpoint before;
    Endpoint peer;
    std::string bytes;
    std::optional<Error> error;
};

Task<void> serve_one(Listener* listener, Seen* seen) {
    Result<Stream> stream = co_await listener->accept();
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    seen->before = stream->peer();
    seen->agreed = co_await stream->handshake();
    seen->peer = stream->peer();
    char buffer[100];
    for (;;) {
        const Result<std::size_t> got = co_await stream->read_some(buffer);
        if (!got) seen->error = got.error();
        if (!got || *got == 0) break;
        seen->bytes.append(buffer, *got);
    }
    if (!seen->error) {
        EXPECT_TRUE((co_await stream->write_all("thanks")).has_value());
    }
}

Task<void> say(Engine* engine, Endpoint endpoint, std::string header, std::string bytes, bool tls,
               std::string* answer) {
    Result<Stream> stream = co_await connect(*engine, std::move(endpoint));
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    ignore(co_await stream->write_all(header), "a server may refuse it");
    if (tls) *stream = tls_over(std::move(*stream), io_internal::test_tls_client(), "localhost");
    ignore(co_await stream->write_all(bytes), "a server may refuse it");
    ignore(stream->shutdown_write(), "a server may be gone");
    char buffer[100];
    for (;;) {
        const Result<std::size_t> got = co_await stream->read_some(buffer);
        if (!got || *got == 0) break;
        answer->append(buffer, *got);
    }
}

Seen see(Engine& engine, ListenOptions options, const std::string& header,
         const std::string& bytes) {
    const bool tls = options.tls().has_value();
    Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0), options);
    EXPECT_TRUE(listener.has_value());
    Seen seen;
    TestTask server(engine, serve_one(&*listener, &seen));
    std::string answer;
    block_on(engine, say(&engine, listener->local(), header, bytes, tls, &answer));
    EXPECT_TRUE(server.join());
    if (!seen.error) {
        EXPECT_EQ(answer, "thanks");
    }
    return seen;
}

TEST(ProxyProtocol, ThePeerIsWhomATrustedProxyNames) {
    on_both_networks(100, [](Engine& engine) {
        const Seen seen = see(engine, behind("127.0.0.0/8"), kHeader, "hello");
        EXPECT_EQ(seen.before.host, "127.0.0.1");
        EXPECT_TRUE(seen.agreed.has_value()) << seen.agreed.error().message();
        EXPECT_EQ(seen.peer, Endpoint("1.2.3.4", 4660));
        EXPECT_EQ(seen.bytes, "hello");
    });
}

TEST(ProxyProtocol, TheHeaderComesBeforeTls) {
    on_both_networks(20, [](Engine& engine) {
        ListenOptions options = behind("127.0.0.1");
        options.tls(io_internal::test_tls_server());
        const Seen seen = see(engine, options, kHeader, "hello");
        EXPECT_EQ(seen.peer, Endpoint("1.2.3.4", 4660));
        EXPECT_EQ(seen.bytes, "hello");
    });
}

TEST(ProxyProtocol, NobodyElseIsListenedTo) {
    on_both_networks(20, [](Engine& engine) {
        const Seen seen = see(engine, behind("10.0.0.0/8"), kHeader, "hello");
        EXPECT_EQ(seen.peer.host, "127.0.0.1");
        EXPECT_EQ(seen.bytes, kHeader + "hello") << "bytes as any others";
    });
}

TEST(ProxyProtocol, AProxyThatSaysSomethingElseIsRefused) {
    on_both_networks(20, [](Engine& engine) {
        const Seen seen = see(engine, behind("127.0.0.1"), "", "GET / HTTP/1.1\r\n\r\n");
        ASSERT_FALSE(seen.agreed.has_value());
        EXPECT_EQ(seen.agreed.error(), Errc::failed);
        EXPECT_NE(seen.agreed.error().text().find("PROXY header of 127.0.0.1"), std::string::npos);
        EXPECT_TRUE(seen.error.has_value());
        EXPECT_EQ(seen.bytes, "");
    });
}

TEST(ProxyProtocol, AnEndWithinTheHeaderIsNone) {
    on_both_networks(20, [](Engine& engine) {
        const Seen seen = see(engine, behind("127.0.0.1"), "PROXY TCP4 1.2.", "");
        ASSERT_TRUE(seen.error.has_value());
        EXPECT_EQ(*seen.error, Errc::closed);
    });
}

Task<void> say_half(Engine* engine, Endpoint endpoint) {
    Result<Stream> stream = co_await connect(*engine, std::move(endpoint));
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    EXPECT_TRUE((co_await stream->write_all("PROXY TCP4 ")).has_value());
    ignore(co_await sleep(60s), "nobody cancels");
}

TEST(ProxyProtocol, WhoSaysHalfAHeaderIsGivenUp) {
    on_many_schedules(20, [](Engine& engine) {
        Result<Listener> listener =
            Listener::listen(engine, Endpoint("127.0.0.1", 0), behind("127.0.0.1"));
        ASSERT_TRUE(listener.has_value());
        Seen seen;
        TestTask server(engine, serve_one(&*listener, &seen));
        TestTask client(engine, say_half(&engine, listener->local()));
        ASSERT_TRUE(server.join());
        ASSERT_TRUE(seen.error.has_value());
        EXPECT_EQ(seen.agreed.error(), Errc::timed_out) << seen.agreed.error().message();
        EXPECT_LT(engine.now(), 10s);
        EXPECT_TRUE(client.join());
    });
}

}  // namespace
}  // namespace troupe

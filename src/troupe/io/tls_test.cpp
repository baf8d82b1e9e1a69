// Streams with TLS on both networks: that whoever reads and writes sees no difference, and what
// happens where there is one.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/internal/tls_random.hpp>
#include <troupe/io/internal/tls_session.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::io_internal {
namespace {

using namespace std::chrono_literals;

TlsServer localhost() {
    static const TlsServer server = test_tls_server();
    return server;
}

TlsClient any_client() {
    static const TlsClient client = test_tls_client();
    return client;
}

Task<void> serve_with(Stream plain, TlsServer server, Task<void> (*body)(Stream stream)) {
    co_await body(tls_over(std::move(plain), server));
}

Task<void> ask_with(Stream plain, TlsClient client, Task<void> (*body)(Stream stream)) {
    co_await body(tls_over(std::move(plain), client, "localhost"));
}

/// Two tasks, each with one end of a connection that speaks TLS.
void talk(Engine& engine, Task<void> (*serves)(Stream), Task<void> (*asks)(Stream)) {
    TestPair pair = make_test_pair(engine);
    TestTask server(engine, serve_with(std::move(pair.server), localhost(), serves));
    TestTask client(engine, ask_with(std::move(pair.client), any_client(), asks));
    EXPECT_TRUE(server.join() && client.join());
}

/// Reads so many bytes.
Task<std::string> read_exactly(Stream* stream, std::size_t bytes) {
    std::string all(bytes, '\0');
    std::size_t got = 0;
    while (got < bytes) {
        const Result<std::size_t> part =
            co_await stream->read_some(std::span<char>(all).subspan(got));
        EXPECT_TRUE(part.has_value()) << part.error().message();
        if (!part || *part == 0) break;
        got += *part;
    }
    all.resize(got);
    co_return all;
}

/// Who closes over what the peer has sent, tickets for example, resets the connection.
Task<void> wait_for_the_end(Stream* stream) {
    char byte = 0;
    const Result<std::size_t> end = co_await stream->read_some(std::span<char>(&byte, 1));
    EXPECT_TRUE(end.has_value() && *end == 0) << (end ? "" : end.error().message());
}

std::string pattern(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        text[i] = static_cast<char>(i * 131 + i / 251);
    return text;
}

// ---- as without it ------------------------------------------------------------------------------

constexpr std::size_t kMuch = 200'000;  // more than the network holds, and several batches

TEST(TlsStream, CarriesMuchBothWaysAndEndsProperly) {
    on_both_networks(150, [](Engine& engine) {
        talk(
            engine,
            [](Stream stream) -> Task<void> {
                const std::string got = co_await read_exactly(&stream, kMuch);
                EXPECT_TRUE(got == pattern(kMuch));
                const Result<void> sent = co_await stream.write_all(got);
                EXPECT_TRUE(sent.has_value());
                EXPECT_TRUE(stream.shutdown_write().has_value());
                co_await wait_for_the_end(&stream);
            },
            [](Stream stream) -> Task<void> {
                const Result<void> sent = co_await stream.write_all(pattern(kMuch));
                EXPECT_TRUE(sent.has_value()) << sent.error().message();
                const std::string got = co_await read_exactly(&stream, kMuch);
                EXPECT_TRUE(got == pattern(kMuch));
                co_await wait_for_the_end(&stream);
            });
    });
}

/// Neither stops listening because the other does: both send more than the network holds first.
Task<void> exchange_much(Stream* stream) {
    std::string_view rest;
    const std::string all = pattern(kMuch);
    rest = all;
    std::string got;
    while (!rest.empty() || got.size() < kMuch) {
        char buffer[5000];
        const Result<Transferred> moved = co_await stream->transfer(buffer, rest);
        EXPECT_TRUE(moved.has_value()) << moved.error().message();
        if (!moved) co_return;
        rest.remove_prefix(moved->written);
        got.append(buffer, moved->read);
    }
    EXPECT_TRUE(got == pattern(kMuch));
}

Task<void> exchange_much_and_end(Stream stream) {
    co_await exchange_much(&stream);
    EXPECT_TRUE(stream.shutdown_write().has_value());
    co_await wait_for_the_end(&stream);
}

TEST(TlsStream, TransfersBothWaysAtOnce) {
    on_both_networks(
        100, [](Engine& engine) { talk(engine, exchange_much_and_end, exchange_much_and_end); });
}

/// As behind a proxy that is spoken to by TLS and hands on what it does not understand.
TEST(TlsStream, IsALayerOverItsLike) {
    on_both_networks(50, [](Engine& engine) {
        talk(
            engine,
            [](Stream stream) -> Task<void> {
                Stream inner = tls_over(std::move(stream), localhost());
                co_await exchange_much(&inner);
            },
            [](Stream stream) -> Task<void> {
                Stream inner = tls_over(std::move(stream), any_client(), "localhost");
                co_await exchange_much(&inner);
            });
    });
}

TEST(TlsStream, ReadsInPiecesOfAnySize) {
    on_both_networks(100, [](Engine& engine) {
        talk(
            engine,
            [](Stream stream) -> Task<void> {
                const std::string text = pattern(4'916);
                std::string got;
                for (std::size_t size = 1; size < text.size(); size = size * 3 + 1) {
                    const std::size_t left = text.size() - got.size();
                    got += co_await read_exactly(&stream, std::min(size, left));
                }
                EXPECT_TRUE(got == text);
            },
            [](Stream stream) -> Task<void> {
                const Result<void> sent = co_await stream.write_all(pattern(4'916));
                EXPECT_TRUE(sent.has_value());
                co_await wait_for_the_end(&stream);
            });
    });
}

TEST(TlsStream, TellsWhatWasAgreedOn) {
    on_both_networks(50, [](Engine& engine) {
        talk(
            engine,
            [](Stream stream) -> Task<void> {
                EXPECT_FALSE(stream.tls().has_value()) << "nothing as yet";
                const Result<void> done = co_await stream.handshake();
                EXPECT_TRUE(done.has_value());
                EXPECT_EQ(stream.tls().value_or(TlsInfo()).server_name, "localhost");
            },
            [](Stream stream) -> Task<void> {
                const Result<void> done = co_await stream.handshake().within(5s);
                EXPECT_TRUE(done.has_value());
                EXPECT_EQ(stream.tls().value_or(TlsInfo()).peer, "CN=localhost");
                co_await wait_for_the_end(&stream);
            });
    });
}

// ---- by options ---------------------------------------------------------------------------------

Task<void> greet_one(Listener* listener) {
    Result<Stream> stream = co_await listener->accept();
    EXPECT_TRUE(stream.has_value());
    const Result<void> sent = co_await stream->write_all("welcome");
    EXPECT_TRUE(sent.has_value());
    co_await wait_for_the_end(&*stream);
}

Task<void> be_greeted(Engine* engine, Endpoint endpoint) {
    Result<Stream> stream =
        co_await connect(*engine, std::move(endpoint), any_client(), "localhost", 10s);
    EXPECT_TRUE(stream.has_value()) << stream.error().message();
    if (!stream) co_return;
    EXPECT_EQ(co_await read_exactly(&*stream, 7), "welcome");
}

TEST(TlsStream, IsWhatAListenerGivesWhenToldSo) {
    on_both_networks(100, [](Engine& engine) {
        Result<Listener> listener =
            Listener::listen(engine, Endpoint("127.0.0.1", 0), ListenOptions().tls(localhost()));
        ASSERT_TRUE(listener.has_value());
        TestTask server(engine, greet_one(&*listener));
        TestTask client(engine, be_greeted(&engine, listener->local()));
        EXPECT_TRUE(server.join() && client.join());
    });
}

Task<void> fail_to_connect(Engine* engine, Endpoint endpoint) {
    Result<Stream> stream =
        co_await connect(*engine, std::move(endpoint), any_client(), "example.org");
    EXPECT_FALSE(stream.has_value());
    if (stream) co_return;
    EXPECT_EQ(stream.error(), TlsErrc::untrusted);
    EXPECT_NE(stream.error().text().find("hostname mismatch"), std::string::npos)
        << stream.error().text();
    EXPECT_NE(stream.error().text().find("127.0.0.1:"), std::string::npos) << stream.error().text();
}

Task<void> fail_to_greet(Listener* listener) {
    Result<Stream> stream = co_await listener->accept();
    EXPECT_TRUE(stream.has_value());
    const Result<void> done = co_await stream->handshake();
    EXPECT_FALSE(done.has_value());
    const Result<void> sent = co_await stream->write_all("welcome");
    EXPECT_FALSE(sent.has_value()) << "it stays broken";
}

TEST(TlsStream, EndsWhereAPeerIsNotWhoItShouldBe) {
    on_both_networks(100, [](Engine& engine) {
        Result<Listener> listener =
            Listener::listen(engine, Endpoint("127.0.0.1", 0), ListenOptions().tls(localhost()));
        ASSERT_TRUE(listener.has_value());
        TestTask server(engine, fail_to_greet(&*listener));
        TestTask client(engine, fail_to_connect(&engine, listener->local()));
        EXPECT_TRUE(server.join() && client.join());
    });
}

// ---- when things go wrong -----------------------------------------------------------------------

Task<void> serve_plain(Stream stream) {
    const Result<void> done = co_await stream.handshake();
    EXPECT_FALSE(done.has_value());
    EXPECT_EQ(done.error(), TlsErrc::handshake_failed);
}

Task<void> speak_plainly(Stream stream) {
    const Result<void> sent = co_await stream.write_all("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_TRUE(sent.has_value());
    char buffer[100];
    for (;;) {
        const Result<std::size_t> got = co_await stream.read_some(buffer);
        if (!got || *got == 0) break;
    }
}

TEST(TlsStream, IsNotMistakenForPlainHttp) {
    on_both_networks(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        TestTask server(engine, serve_with(std::move(pair.server), localhost(), serve_plain));
        TestTask client(engine, speak_plainly(std::move(pair.client)));
        EXPECT_TRUE(server.join() && client.join());
    });
}

Task<void> notice_the_cut(Stream stream) {
    EXPECT_EQ(co_await read_exactly(&stream, 5), "hello");
    char byte = 0;
    const Result<std::size_t> end = co_await stream.read_some(std::span<char>(&byte, 1));
    EXPECT_FALSE(end.has_value()) << "an end that nobody has announced";
    if (end) co_return;
    EXPECT_EQ(end.error(), Errc::closed);
    EXPECT_NE(end.error().text().find("something may be missing"), std::string::npos)
        << end.error().text();
}

/// Speaks TLS, but ends the connection below it, as somebody in between might.
Task<void> cut(Stream plain, Engine* engine) {
    TlsSession session(any_client().state(), "localhost", "cut");
    if (engine->deterministic()) session.draw_from(*engine);
    std::string to_send;
    std::string_view received;
    char buffer[3000];
    for (;;) {
        const TlsSession::Step step = session.handshake(received, to_send);
        const bool agreed = step.status == TlsSession::Status::done;
        if (agreed) session.write("hello", to_send);
        const Result<void> sent = co_await plain.write_all(std::exchange(to_send, std::string()));
        EXPECT_TRUE(sent.has_value());
        if (agreed) break;
        EXPECT_EQ(step.status, TlsSession::Status::wants_input);
        const Result<std::size_t> got = co_await plain.read_some(buffer);
        EXPECT_TRUE(got.has_value());
        if (!got) co_return;
        received = std::string_view(buffer, *got);
    }
    EXPECT_TRUE(plain.shutdown_write().has_value());
    for (;;) {
        const Result<std::size_t> got = co_await plain.read_some(buffer);
        if (!got || *got == 0) break;
    }
}

TEST(TlsStream, SeesThatTheEndIsMissing) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        TestTask server(engine, serve_with(std::move(pair.server), localhost(), notice_the_cut));
        TestTask client(engine, cut(std::move(pair.client), &engine));
        EXPECT_TRUE(server.join() && client.join());
    });
}

TEST(TlsStream, DoesNotWaitForAPeerThatStallsInTheHandshake) {
    on_many_schedules(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        struct Stalls {
            static Task<void> serve(Stream plain, Engine* engine) {
                const Duration begun = engine->now();
                Stream stream = tls_over(std::move(plain),
                                         test_tls_server(TlsServerOptions().handshake_timeout(3s)));
                char buffer[100];
                const Result<std::size_t> got = co_await stream.read_some(buffer);
                EXPECT_FALSE(got.has_value());
                EXPECT_EQ(got.error(), Errc::timed_out);
                EXPECT_NE(got.error().text().find("handshake"), std::string::npos)
                    << got.error().text();
                EXPECT_EQ(engine->now() - begun, 3s);
                const Result<std::size_t> again = co_await stream.read_some(buffer);
                EXPECT_FALSE(again.has_value()) << "it stays broken";
            }
            static Task<void> stall(Stream stream) {
                const Result<void> sent = co_await stream.write_all("\x16\x03\x01");
                EXPECT_TRUE(sent.has_value());
                char buffer[100];
                const Result<std::size_t> got = co_await stream.read_some(buffer);
                EXPECT_TRUE(!got || *got == 0) << "the server hangs up";
            }
        };
        TestTask server(engine, Stalls::serve(std::move(pair.server), &engine));
        TestTask client(engine, Stalls::stall(std::move(pair.client)));
        EXPECT_TRUE(server.join() && client.join());
    });
}

/// One write that begins before the handshake and ends long after its time limit.
TEST(TlsStream, LimitsTheTimeOfTheHandshakeAlone) {
    on_many_schedules(50, [](Engine& engine) {
        talk(
            engine,
            [](Stream stream) -> Task<void> {
                const Result<void> done = co_await stream.handshake();
                EXPECT_TRUE(done.has_value());
                ignore(co_await sleep(1min), "a test that nobody cancels");
                EXPECT_TRUE(co_await read_exactly(&stream, kMuch) == pattern(kMuch));
            },
            [](Stream stream) -> Task<void> {
                const Result<void> sent = co_await stream.write_all(pattern(kMuch)).within(2min);
                EXPECT_TRUE(sent.has_value()) << sent.error().message();
                co_await wait_for_the_end(&stream);
            });
    });
}

/// A read that begins before the handshake, in a scope that ends after it.
TEST(TlsStream, HeedsTheDeadlineOfItsScopeBehindTheHandshake) {
    on_both_networks(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        auto agree = [](Stream stream) -> Task<void> {
            const Result<void> agreed = co_await stream.handshake();
            EXPECT_TRUE(agreed.has_value());
            char byte = 0;
            ignore(co_await stream.read_some(std::span<char>(&byte, 1)).within(5s),
                   "the peer hangs up, or we do");
        };
        auto read_in_time = [](Stream plain) -> Task<void> {
            Stream stream = tls_over(std::move(plain), localhost());
            auto read = [](Stream* from) -> Task<Result<std::size_t>> {
                char byte = 0;
                co_return co_await from->read_some(std::span<char>(&byte, 1));
            };
            const Result<std::size_t> got = co_await within(500ms, read, &stream);
            EXPECT_TRUE(!got && got.error() == Errc::timed_out);
            EXPECT_TRUE(stream.tls().has_value()) << "the handshake was done before";
        };
        TestTask client(engine, ask_with(std::move(pair.client), any_client(), agree));
        block_on(engine, read_in_time(std::move(pair.server)));
        EXPECT_TRUE(client.join());
    });
}

TEST(TlsStream, SurvivesBrokenConnections) {
    on_many_schedules(300, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.resets_per_thousand = 100;
        TestPair pair = make_test_pair(engine);
        set_network_conditions(engine, conditions);
        struct Tries {
            static Task<void> as_server(Stream plain) {
                Stream stream = tls_over(std::move(plain), localhost());
                co_await chat(&stream);
            }
            static Task<void> as_client(Stream plain) {
                Stream stream = tls_over(std::move(plain), any_client(), "localhost");
                co_await chat(&stream);
            }
            /// Whatever happens, it ends, and what arrives is what was sent.
            static Task<void> chat(Stream* stream) {
                for (int i = 0; i < 10; ++i) {
                    const Result<void> sent = co_await stream->write_all("ping");
                    if (!sent) co_return;
                    char buffer[4];
                    std::size_t got = 0;
                    while (got < sizeof buffer) {
                        const Result<std::size_t> part =
                            co_await stream->read_some(std::span<char>(buffer).subspan(got));
                        if (!part || *part == 0) co_return;
                        got += *part;
                    }
                    EXPECT_EQ(std::string_view(buffer, 4), "ping");
                }
            }
        };
        TestTask server(engine, Tries::as_server(std::move(pair.server)));
        TestTask client(engine, Tries::as_client(std::move(pair.client)));
        EXPECT_TRUE(server.join() && client.join());
    });
}

// ---- certificates -------------------------------------------------------------------------------

TEST(TlsCertificate, IsMadeForDevelopment) {
    ASSERT_TRUE(TlsServer::for_development().has_value());
    on_both_networks(20, [](Engine& engine) {
        // The lengths of its signatures are up to chance, and with them where the network cuts.
        const ChanceOf chance(engine.deterministic() ? &engine : nullptr);
        const Result<TlsCertificate> made = TlsCertificate::self_signed();
        ASSERT_TRUE(made.has_value()) << made.error().message();
        // It vouches for itself: who has it trusts it.
        const TlsClient client = test_tls_client(TlsClientOptions().authorities(made->chain));
        const TlsServer server = test_tls_server(TlsServerOptions().certificate(*made));
        TestPair pair = make_test_pair(engine);
        struct Hand {
            static Task<void> shake(Stream plain, TlsServer server) {
                Stream stream = tls_over(std::move(plain), server);
                const Result<void> done = co_await stream.handshake();
                EXPECT_TRUE(done.has_value()) << done.error().message();
            }
            static Task<void> shake(Stream plain, TlsClient client) {
                Stream stream = tls_over(std::move(plain), client, "127.0.0.1");
                const Result<void> done = co_await stream.handshake();
                EXPECT_TRUE(done.has_value()) << done.error().message();
            }
        };
        TestTask serving(engine, Hand::shake(std::move(pair.server), server));
        TestTask asking(engine, Hand::shake(std::move(pair.client), client));
        EXPECT_TRUE(serving.join() && asking.join());
    });
    EXPECT_FALSE(TlsCertificate::self_signed({}).has_value());
    EXPECT_FALSE(TlsCertificate::self_signed({"a name, DNS:evil.example"}).has_value());
}

/// A file that goes with the test.
class TemporaryFile {
public:
    explicit TemporaryFile(std::string_view text) {
        const int fd = ::mkstemp(path_.data());
        EXPECT_GE(fd, 0);
        ::close(fd);
        std::ofstream(path_) << text;
    }
    ~TemporaryFile() { std::remove(path_.c_str()); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_ = testing::TempDir() + "troupe_tls_XXXXXX";
};

TEST(TlsCertificate, IsReadFromFiles) {
    const TlsCertificate good = test_certificate_of_localhost();
    const TemporaryFile chain(good.chain);
    const TemporaryFile key(good.key);
    const Result<TlsCertificate> read = TlsCertificate::read_blocking(chain.path(), key.path());
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(read->chain, good.chain);
    EXPECT_EQ(read->key, good.key);
}

TEST(TlsCertificate, SaysWhatIsWrongWithIt) {
    const TlsCertificate good = test_certificate_of_localhost();
    const TemporaryFile chain(good.chain);
    const TemporaryFile other_key(test_certificate_of_ann().key);
    const TemporaryFile rubbish("no certificate");
    struct Case {
        std::string chain;
        std::string key;
        std::string text;
    };
    for (const Case& wrong : {
             Case{"/nowhere/cert.pem", other_key.path(), "/nowhere/cert.pem: No such file"},
             Case{chain.path(), other_key.path(), "does not belong to the certificate"},
             Case{rubbish.path(), other_key.path(), "no PEM"},
             Case{chain.path(), rubbish.path(), "private key is no PEM"},
         }) {
        const Result<TlsCertificate> read = TlsCertificate::read_blocking(wrong.chain, wrong.key);
        ASSERT_FALSE(read.has_value());
        EXPECT_EQ(read.error(), TlsErrc::bad_certificate);
        EXPECT_NE(read.error().text().find(wrong.text), std::string::npos) << read.error().text();
    }
    EXPECT_FALSE(TlsServer::make(TlsServerOptions()).has_value()) << "none at all";
    EXPECT_FALSE(TlsClient::make(TlsClientOptions().authorities("nobody")).has_value());
}

}  // namespace
}  // namespace troupe::io_internal

// TLS without a network: two sessions that hand each other bytes, cut as the tests like it.

#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/internal/tls_session.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::io_internal {
namespace {

using Status = TlsSession::Status;

/// Both ends, and what is on its way between them.
struct Ends {
    Ends(const TlsServer& the_server, const TlsClient& the_client,
         const std::string& name = "localhost")
        : server(the_server.state()->identities()), client(the_client.state(), name, name) {}

    /// Carries bytes to and fro until nobody has any more to say. `piece`: how they are cut.
    void shake_hands(std::size_t piece = 1'000'000) {
        std::string_view nothing;
        client.handshake(nothing, to_server);
        carry(piece);
    }

    void carry(std::size_t piece) {
        while (!to_server.empty() || !to_client.empty()) {
            step(server, to_server, to_client, piece);
            step(client, to_client, to_server, piece);
            if (server_failed && client_failed) break;
        }
    }

    void step(TlsSession& reader, std::string& from, std::string& to, std::size_t piece) {
        std::string_view received = std::string_view(from).substr(0, piece);
        const std::size_t offered = received.size();
        for (;;) {
            char buffer[1000];
            const TlsSession::Step done = reader.read(received, buffer, to);
            (&reader == &server ? server_text : client_text).append(buffer, done.bytes);
            if (done.bytes != 0) continue;
            if (done.status != Status::failed) break;
            (&reader == &server ? server_failed : client_failed) = true;
            from.clear();
            return;
        }
        from.erase(0, offered - received.size());
    }

    TlsSession server;
    TlsSession client;
    std::string to_server;
    std::string to_client;
    std::string server_text;
    std::string client_text;
    bool server_failed = false;
    bool client_failed = false;
};

TEST(TlsSession, CarriesTextBothWaysHoweverTheBytesAreCut) {
    const TlsServer server = test_tls_server();
    const TlsClient client = test_tls_client();
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100'000}}) {
        Ends ends(server, client);
        ends.shake_hands(piece);
        ASSERT_TRUE(ends.server.agreed() && ends.client.agreed()) << piece;
        const std::string long_text(40'000, 'x');
        EXPECT_EQ(ends.client.write("hello", ends.to_server).bytes, 5u);
        EXPECT_EQ(ends.server.write(long_text, ends.to_client).bytes, long_text.size());
        EXPECT_EQ(ends.to_server.find("hello"), std::string::npos);
        ends.carry(piece);
        EXPECT_EQ(ends.server_text, "hello");
        EXPECT_TRUE(ends.client_text == long_text);
    }
}

TEST(TlsSession, SpeaksTheNewestVersionWithStrongCiphersOnly) {
    Ends ends(test_tls_server(), test_tls_client());
    ends.shake_hands();
    const TlsInfo info = ends.client.info();
    EXPECT_EQ(info.version, "TLSv1.3");
    EXPECT_EQ(info.cipher, "TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(info.peer, "CN=localhost");
    EXPECT_EQ(ends.server.info().server_name, "localhost");
    EXPECT_EQ(ends.server.info().peer, "");
}

TEST(TlsSession, SaysThatNothingMoreComes) {
    Ends ends(test_tls_server(), test_tls_client());
    ends.shake_hands();
    ends.client.write("last", ends.to_server);
    ends.client.finish(ends.to_server);
    char buffer[100];
    std::string_view received = ends.to_server;
    EXPECT_EQ(ends.server.read(received, buffer, ends.to_client).bytes, 4u);
    EXPECT_EQ(ends.server.read(received, buffer, ends.to_client).status, Status::ended);
    EXPECT_EQ(ends.server.read(received, buffer, ends.to_client).status, Status::ended);
    EXPECT_EQ(ends.server.write("still there", ends.to_client).status, Status::done)
        << "the other direction goes on";
}

TEST(TlsSession, SealsNothingBehindItsEnd) {
    Ends ends(test_tls_server(), test_tls_client());
    ends.shake_hands();
    ends.server.finish(ends.to_client);
    const std::string end = ends.to_client;
    EXPECT_EQ(ends.server.write("more", ends.to_client).status, Status::failed);
    EXPECT_EQ(ends.to_client, end);
}

TEST(TlsSession, SealsNothingBehindItsAlert) {
    Ends ends(test_tls_server(), test_tls_client());
    ends.shake_hands();
    ends.client.write("a request", ends.to_server);
    ends.to_server += "and what is no record";
    char buffer[100];
    std::string_view received = ends.to_server;
    EXPECT_EQ(ends.server.read(received, buffer, ends.to_client).bytes, 9u);
    const std::string alert = ends.to_client;
    EXPECT_NE(alert, "");
    EXPECT_EQ(ends.server.write("an answer", ends.to_client).status, Status::failed);
    EXPECT_EQ(ends.to_client, alert);
}

TEST(TlsSession, NoticesBytesThatWereChanged) {
    Ends ends(test_tls_server(), test_tls_client());
    ends.shake_hands();
    ends.client.write("pay 10 to ann", ends.to_server);
    ends.to_server[10] = static_cast<char>(ends.to_server[10] ^ 1);
    ends.carry(1000);
    EXPECT_TRUE(ends.server_failed);
    EXPECT_EQ(ends.server_text, "");
    EXPECT_EQ(ends.server.problem(), Errc::closed);
    EXPECT_NE(ends.server.problem().text().find("bad record mac"), std::string::npos)
        << ends.server.problem().text();
}

TEST(TlsSession, HasACertificateForEachName) {
    const TlsServer server = test_tls_server(TlsServerOptions()
                                                 .certificate(test_certificate_of_localhost())
                                                 .certificate(test_certificate_of_other_example()));
    const TlsClient client = test_tls_client();
    for (const auto& [name, subject] :
         std::vector<std::pair<std::string, std::string>>{{"localhost", "CN=localhost"},
                                                          {"other.example", "CN=other.example"},
                                                          {"a.wild.example", "CN=other.example"},
                                                          {"127.0.0.1", "CN=localhost"}}) {
        Ends ends(server, client, name);
        ends.shake_hands();
        EXPECT_TRUE(ends.client.agreed()) << name << ": " << ends.client.problem().text();
        EXPECT_EQ(ends.client.info().peer, subject) << name;
    }
}

TEST(TlsSession, TrustsNobodyElse) {
    struct Case {
        std::string what;
        TlsCertificate certificate;
        std::string name;
        std::string reason;
    };
    for (const Case& wrong : {
             Case{"of nobody we know", test_certificate_of_stranger(), "stranger", "self-signed"},
             Case{"of another name", test_certificate_of_localhost(), "example.org", "hostname"},
             Case{"of another address", test_certificate_of_localhost(), "127.0.0.2", "IP address"},
             Case{"of a wild name's parent", test_certificate_of_other_example(), "wild.example",
                  "hostname"},
         }) {
        SCOPED_TRACE(wrong.what);
        Ends ends(test_tls_server(TlsServerOptions().certificate(wrong.certificate)),
                  test_tls_client(), wrong.name);
        ends.shake_hands();
        EXPECT_FALSE(ends.client.agreed());
        EXPECT_EQ(ends.client.problem(), TlsErrc::untrusted);
        EXPECT_NE(ends.client.problem().text().find(wrong.reason), std::string::npos)
            << ends.client.problem().text();
        EXPECT_TRUE(ends.server_failed) << "it is told why";
    }
    Ends believes(test_tls_server(TlsServerOptions().certificate(test_certificate_of_stranger())),
                  test_tls_client(TlsClientOptions().trust_anybody()), "anything");
    believes.shake_hands();
    EXPECT_TRUE(believes.client.agreed());
}

TEST(TlsSession, AgreesOnTheFirstProtocolTheServerPrefers) {
    const TlsServer server = test_tls_server(TlsServerOptions().protocols({"h2", "http/1.1"}));
    for (const auto& [offered, agreed] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"http/1.1", "h2"}, "h2"}, {{"http/1.0", "http/1.1"}, "http/1.1"}, {{}, ""}}) {
        Ends ends(server, test_tls_client(TlsClientOptions().protocols(offered)));
        ends.shake_hands();
        EXPECT_TRUE(ends.client.agreed());
        EXPECT_EQ(ends.client.info().protocol, agreed);
        EXPECT_EQ(ends.server.info().protocol, agreed);
    }
    Ends apart(server, test_tls_client(TlsClientOptions().protocols({"gopher"})));
    apart.shake_hands();
    EXPECT_FALSE(apart.client.agreed());
    EXPECT_EQ(apart.client.problem(), TlsErrc::handshake_failed);
    EXPECT_NE(apart.client.problem().text().find("no application protocol"), std::string::npos)
        << apart.client.problem().text();
}

TEST(TlsSession, KnowsItsClientsByTheirCertificates) {
    const auto server_that = [](ClientCertificates wants) {
        return test_tls_server(TlsServerOptions().clients(wants, kTestAuthority));
    };
    const auto client_with = [](TlsCertificate certificate) {
        return test_tls_client(TlsClientOptions().certificate(std::move(certificate)));
    };
    for (const ClientCertificates wants :
         {ClientCertificates::optional, ClientCertificates::required}) {
        Ends ann(server_that(wants), client_with(test_certificate_of_ann()));
        ann.shake_hands();
        ASSERT_TRUE(ann.server.agreed()) << ann.server.problem().text();
        EXPECT_EQ(ann.server.info().peer, "CN=ann");

        Ends stranger(server_that(wants), client_with(test_certificate_of_stranger()));
        stranger.shake_hands();
        EXPECT_FALSE(stranger.server.agreed());
        EXPECT_EQ(stranger.server.problem(), TlsErrc::untrusted);

        Ends nobody(server_that(wants), test_tls_client());
        nobody.shake_hands();
        EXPECT_EQ(nobody.server.agreed(), wants == ClientCertificates::optional);
        if (wants == ClientCertificates::required) {
            EXPECT_EQ(nobody.server.problem(), TlsErrc::untrusted);
        }
    }
}

TEST(TlsSession, ResumesSessions) {
    const TlsServer server = test_tls_server();
    const TlsClient client = test_tls_client();
    const auto resumed = [&] {
        Ends ends(server, client);
        ends.shake_hands();
        EXPECT_TRUE(ends.client.agreed() && ends.server.agreed());
        EXPECT_EQ(ends.client.info().resumed, ends.server.info().resumed);
        EXPECT_EQ(ends.to_client, "") << "tickets come with the first answer";
        ends.server.write("hello", ends.to_client);
        ends.carry(1000);
        EXPECT_EQ(ends.client_text, "hello");
        ends.client.finish(ends.to_server);
        return ends.client.info().resumed;
    };
    EXPECT_FALSE(resumed());
    EXPECT_TRUE(resumed());
    EXPECT_TRUE(resumed());

    Ends other(server, client, "127.0.0.1");
    other.shake_hands();
    EXPECT_FALSE(other.client.info().resumed) << "sessions are of one name";
}

TEST(TlsSession, ResumesSessionsOfServersThatSaidTheirEndAlone) {
    const TlsServer server = test_tls_server();
    const TlsClient client = test_tls_client();
    Ends silent(server, client);
    silent.shake_hands();
    silent.server.finish(silent.to_client);
    silent.carry(1000);
    EXPECT_FALSE(silent.client_failed) << silent.client.problem().text();
    Ends again(server, client);
    again.shake_hands();
    EXPECT_TRUE(again.client.info().resumed);
}

TEST(TlsSession, GetsNewCertificatesWhileItServes) {
    const TlsServer server = test_tls_server();
    const TlsClient client = test_tls_client(TlsClientOptions().trust_anybody());
    Ends before(server, client);
    before.shake_hands();
    EXPECT_FALSE(server.reload({}).has_value());
    EXPECT_FALSE(server.reload({TlsCertificate{"no", "pem"}}).has_value());
    ASSERT_TRUE(server.reload({test_certificate_of_other_example()}).has_value());

    before.client.write("still here", before.to_server);
    before.server.write("so am I", before.to_client);
    before.carry(1000);
    EXPECT_EQ(before.server_text, "still here") << "connections that are open go on";

    Ends again(server, client);
    again.shake_hands();
    EXPECT_TRUE(again.client.info().resumed) << "the keys of tickets stay";
    Ends after(server, test_tls_client(), "other.example");
    after.shake_hands();
    EXPECT_EQ(after.client.info().peer, "CN=other.example");
}

TEST(TlsSession, RefusesWhatIsNoTls) {
    Ends ends(test_tls_server(), test_tls_client());
    std::string_view received = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    EXPECT_EQ(ends.server.handshake(received, ends.to_client).status, Status::failed);
    EXPECT_EQ(ends.server.problem(), TlsErrc::handshake_failed);
    EXPECT_NE(ends.server.problem().text().find("does not speak TLS"), std::string::npos)
        << ends.server.problem().text();
    EXPECT_EQ(ends.server.handshake(received, ends.to_client).status, Status::failed) << "for good";
}

TEST(TlsSession, ReplaysToTheByteFromASeed) {
    const TlsServer server = test_tls_server();
    const auto bytes_of = [&](std::uint64_t seed) {
        RandomChooser chooser(seed);
        const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
        Ends ends(server, test_tls_client());
        ends.server.draw_from(*engine);
        ends.client.draw_from(*engine);
        std::string_view none;
        ends.client.handshake(none, ends.to_server);
        std::string_view hello = ends.to_server;
        ends.server.handshake(hello, ends.to_client);
        return ends.to_server + ends.to_client;
    };
    EXPECT_TRUE(bytes_of(1) == bytes_of(1));
    EXPECT_FALSE(bytes_of(1) == bytes_of(2));
}

}  // namespace
}  // namespace troupe::io_internal

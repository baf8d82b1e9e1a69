// Records of TLS 1.3 against what the RFC has printed, against OpenSSL, and against each other.
// Those that no OpenSSL sends are sealed here by hand.

#include <troupe/base/random.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/internal/tls_records.hpp>
#include <troupe/io/internal/tls_session.hpp>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::io_internal {
namespace {

constexpr unsigned kAes128 = 0x1301;
constexpr unsigned kAes256 = 0x1302;
constexpr unsigned kChaCha20 = 0x1303;

constexpr char kAlert = 21;
constexpr char kHandshake = 22;
constexpr char kData = 23;

const std::string kUpdate("\x18\0\0\1\0", 5);
const std::string kUpdateAndAsk("\x18\0\0\1\1", 5);
const std::string kCloseNotify("\1\0", 2);

TlsSecret secret_of(std::string_view hex) {
    TlsSecret secret;
    EXPECT_TRUE(secret.parse(hex));
    return secret;
}

std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (; hex.size() > 1; hex.remove_prefix(2)) {
        const TlsSecret two = secret_of(hex.substr(0, 2));
        bytes += static_cast<char>(two.value[0]);
    }
    return bytes;
}

/// Some secret for a direction, as long as this cipher's hash.
TlsSecret any_secret(unsigned suite, char which) {
    return secret_of(std::string(suite == kAes256 ? 96 : 64, which));
}

/// A peer that says what it likes, and what it is told.
class Peer {
public:
    explicit Peer(unsigned suite) {
        EXPECT_TRUE(says_.start(suite, any_secret(suite, 'c'), TlsTraffic::Use::seals));
        EXPECT_TRUE(hears_.start(suite, any_secret(suite, '5'), TlsTraffic::Use::opens));
    }

    /// A record, with as much padding.
    std::string say(char kind, std::string_view text, std::size_t padding = 0) {
        const std::size_t bytes = text.size() + 1 + padding;
        std::string record(TlsTraffic::kHeaderBytes, '\0');
        record.append(text).append(1, kind).append(padding + TlsTraffic::kTagBytes, '\0');
        EXPECT_TRUE(says_.seal(record.data(), bytes));
        return record;
    }

    /// What a record said, with its kind behind it.
    std::string hear(std::string_view& records) {
        EXPECT_GE(records.size(), TlsTraffic::kHeaderBytes + TlsTraffic::kTagBytes);
        const std::size_t bytes = TlsTraffic::kHeaderBytes +
                                  static_cast<unsigned char>(records[3]) * std::size_t{256} +
                                  static_cast<unsigned char>(records[4]);
        std::string text(TlsTraffic::kBodyMax, '\0');
        std::string rest;
        EXPECT_TRUE(hears_.open(records.substr(0, bytes), text, rest));
        records.remove_prefix(bytes);
        text.resize(bytes - TlsTraffic::kHeaderBytes - TlsTraffic::kTagBytes);
        return text;
    }
    std::string hear_one(std::string_view records) {
        std::string text = hear(records);
        EXPECT_TRUE(records.empty());
        return text;
    }

    TlsTraffic& says() { return says_; }
    TlsTraffic& hears() { return hears_; }

private:
    TlsTraffic says_;
    TlsTraffic hears_;
};

/// One behind the other. In braces they are made in this order; with + they need not be.
std::string joined(std::initializer_list<std::string> records) {
    std::string all;
    for (const std::string& record : records)
        all += record;
    return all;
}

std::unique_ptr<TlsRecords> records_with(unsigned suite, std::uint64_t sealed = 0,
                                         std::string unsent = "") {
    auto records = TlsRecords::make(suite, any_secret(suite, '5'), any_secret(suite, 'c'));
    records->start_behind(sealed, std::move(unsent));
    return records;
}

std::string alert(char level, char what) {
    return {level, what, kAlert};
}

/// All there is to read. `room`: what the reader has at a time.
struct Heard {
    std::string text;
    TlsStatus status = TlsStatus::done;
    std::string answer;
};
Heard read_all(TlsRecords& records, std::string_view received, std::size_t room = 100'000) {
    Heard heard;
    std::string buffer(room, '?');
    for (;;) {
        const TlsStep step = records.read(received, buffer, heard.answer);
        heard.text.append(buffer, 0, step.bytes);
        heard.status = step.status;
        if (step.status != TlsStatus::done) return heard;
    }
}

TEST(TlsRecords, AreThoseOfTheRfc) {
    // RFC 8448, section 3: the client's first and second record after the handshake, and the
    // server's second and third; the first is a ticket.
    const TlsSecret client =
        secret_of("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
    const TlsSecret server =
        secret_of("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
    const std::string client_data = from_hex(
        "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20"
        "441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4");
    const std::string client_end = from_hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
    const std::string server_data = from_hex(
        "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb50"
        "1a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d");
    const std::string server_end = from_hex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9");
    std::string text;
    for (char c = 0; c < 50; ++c)
        text += c;

    const auto records = TlsRecords::make(kAes128, server, client);
    ASSERT_NE(records, nullptr);
    records->start_behind(1, "");
    const Heard heard = read_all(*records, client_data + client_end);
    EXPECT_EQ(heard.text, text);
    EXPECT_EQ(heard.status, TlsStatus::ended);
    EXPECT_EQ(heard.answer, "");
    std::string to_send;
    EXPECT_EQ(records->write(text, to_send).bytes, text.size());
    EXPECT_EQ(to_send, server_data);
    to_send.clear();
    records->finish(to_send);
    EXPECT_EQ(to_send, server_end);
}

TEST(TlsRecords, AreOpenedHoweverTheyAreCutAndWhereverTheyGo) {
    const std::string long_text(16'384, 'x');
    for (const unsigned suite : {kAes128, kAes256, kChaCha20}) {
        for (const std::size_t room : {1u, 3u, 1000u, 16'384u, 100'000u}) {
            SCOPED_TRACE(std::to_string(suite) + ", room " + std::to_string(room));
            Peer peer(suite);
            const auto records = records_with(suite);
            std::string said = joined({peer.say(kData, "a"), peer.say(kData, "bcd", 70),
                                       peer.say(kData, ""), peer.say(kData, "", 300)});
            if (room > 3) said += peer.say(kData, long_text);
            said += joined({peer.say(kData, "e"), peer.say(kAlert, kCloseNotify, 5)});
            const std::string expected = room > 3 ? "abcd" + long_text + "e" : "abcde";
            std::string text;
            TlsStatus status = TlsStatus::wants_input;
            for (std::size_t at = 0, piece = 1; at < said.size(); at += piece++) {
                ASSERT_EQ(status, TlsStatus::wants_input);
                const Heard heard =
                    read_all(*records, std::string_view(said).substr(at, piece), room);
                text += heard.text;
                status = heard.status;
            }
            EXPECT_TRUE(text == expected) << text.size();
            EXPECT_EQ(status, TlsStatus::ended);
        }
    }
}

TEST(TlsRecords, NoticeEveryBitThatWasChanged) {
    std::string honest;
    for (std::size_t bit = 0; bit == 0 || bit < honest.size() * 8; ++bit) {
        Peer peer(kAes128);
        const auto records = records_with(kAes128);
        honest = peer.say(kData, "pay 10 to ann");
        std::string changed = honest;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
        std::string buffer(100, '?');
        std::string answer;
        // A length that was changed may ask for more than there is.
        changed += std::string(20'000, 'x');
        std::string_view received = changed;
        const TlsStep step = records->read(received, buffer, answer);
        EXPECT_EQ(step.status, TlsStatus::failed) << bit;
        EXPECT_EQ(step.bytes, 0u);
        EXPECT_EQ(buffer.find("pay"), std::string::npos) << "what is not genuine is not there";
        const char alerted = peer.hear_one(answer)[1];
        EXPECT_TRUE(alerted == 20 || (bit < 8 && alerted == 10) || (bit / 8 == 3 && alerted == 22))
            << bit << ": " << int{alerted};
        EXPECT_EQ(read_all(*records, peer.say(kData, "again")).status, TlsStatus::failed);
        EXPECT_EQ(records->write("well?", answer).status, TlsStatus::failed);
    }
}

TEST(TlsRecords, AreNeitherRepeatedNorLeftOutNorSwapped) {
    for (const std::vector<std::size_t>& order : {std::vector<std::size_t>{0, 0}, {1}, {0, 2}}) {
        Peer peer(kAes128);
        const auto records = records_with(kAes128);
        const std::array<std::string, 3> said{peer.say(kData, "a"), peer.say(kData, "b"),
                                              peer.say(kData, "c")};
        std::string received;
        for (const std::size_t one : order)
            received += said[one];
        const Heard heard = read_all(*records, received);
        EXPECT_EQ(heard.text, order[0] == 0 ? "a" : "");
        EXPECT_EQ(heard.status, TlsStatus::failed);
        EXPECT_EQ(peer.hear_one(heard.answer), alert(2, 20));
    }
}

TEST(TlsRecords, RefuseWhatMayNotBeSaid) {
    struct Case {
        const char* what;
        std::string (*received)(Peer& peer);
        char alerted;
    };
    for (const Case& wrong : {
             Case{"in the clear", [](Peer&) { return std::string("\x17\3\3\0\5hello", 10); }, 20},
             Case{"an alert in the clear", [](Peer&) { return std::string("\x15\3\3\0\2\1\0", 7); },
                  10},
             Case{"a change of ciphers", [](Peer&) { return std::string("\x14\3\3\0\1\1", 6); },
                  10},
             Case{"no TLS", [](Peer&) { return std::string("GET / HTTP/1.1\r\n"); }, 10},
             Case{"nothing but a tag",
                  [](Peer&) { return std::string("\x17\3\3\0\x10", 5) + std::string(16, 'x'); },
                  20},
             Case{"an empty record", [](Peer&) { return std::string("\x17\3\3\0\0", 5); }, 20},
             Case{"too long", [](Peer& peer) { return peer.say(kData, std::string(16'385, 'x')); },
                  22},
             Case{"too much padding",
                  [](Peer& peer) { return peer.say(kData, "x", TlsTraffic::kPlainMax); }, 22},
             Case{"padding alone", [](Peer& peer) { return peer.say(0, "", 9); }, 10},
             Case{"of an unknown kind", [](Peer& peer) { return peer.say(24, "hello"); }, 10},
             Case{"a change of ciphers, sealed", [](Peer& peer) { return peer.say(20, "\1"); }, 10},
             Case{"half an alert", [](Peer& peer) { return peer.say(kAlert, "\1"); }, 50},
             Case{"two alerts",
                  [](Peer& peer) { return peer.say(kAlert, std::string("\1\0\1\0", 4)); }, 50},
             Case{"no message", [](Peer& peer) { return peer.say(kHandshake, ""); }, 10},
             Case{"a hello", [](Peer& peer) { return peer.say(kHandshake, "\1"); }, 10},
             Case{"a long update",
                  [](Peer& peer) { return peer.say(kHandshake, std::string("\x18\0\0\2", 4)); },
                  10},
             Case{"two updates in a record",
                  [](Peer& peer) { return peer.say(kHandshake, kUpdate + kUpdate); }, 10},
             Case{"an update that asks for what there is not",
                  [](Peer& peer) { return peer.say(kHandshake, std::string("\x18\0\0\1\2", 5)); },
                  47},
             Case{"an interrupted update",
                  [](Peer& peer) {
                      return joined({peer.say(kHandshake, kUpdate.substr(0, 3)),
                                     peer.say(kData, "more than there is room for")});
                  },
                  10},
             Case{"an old key after an update",
                  [](Peer& peer) {
                      return joined({peer.say(kHandshake, kUpdate), peer.say(kData, "x")});
                  },
                  20},
         }) {
        for (const std::size_t piece : {1u, 100'000u}) {
            SCOPED_TRACE(std::string(wrong.what) + ", in pieces of " + std::to_string(piece));
            Peer peer(kAes128);
            const auto records = records_with(kAes128);
            const std::string received = joined({peer.say(kData, "before"), wrong.received(peer)});
            const std::size_t room = piece == 1 ? 5 : 100'000;
            Heard heard;
            std::string text;
            for (std::size_t at = 0; at < received.size(); at += piece) {
                heard = read_all(*records, std::string_view(received).substr(at, piece), room);
                text += heard.text;
                if (heard.status != TlsStatus::wants_input) break;
            }
            EXPECT_EQ(read_all(*records, "", room).text, "");
            EXPECT_EQ(text, "before");
            EXPECT_EQ(heard.status, TlsStatus::failed);
            EXPECT_EQ(peer.hear_one(heard.answer), alert(2, wrong.alerted));
            EXPECT_NE(records->problem(), "");
            std::string more;
            EXPECT_EQ(records->write("x", more).status, TlsStatus::failed);
            records->finish(more);
            EXPECT_EQ(more, "");
        }
    }
}

TEST(TlsRecords, HearWhatThePeerIsAlertedBy) {
    for (const char level : {1, 2}) {
        Peer peer(kAes128);
        const auto records = records_with(kAes128);
        const Heard heard = read_all(
            *records, joined({peer.say(kData, "last"), peer.say(kAlert, std::string{level, 20})}));
        EXPECT_EQ(heard.text, "last");
        EXPECT_EQ(heard.status, TlsStatus::failed);
        EXPECT_EQ(heard.answer, "") << "an alert wants no answer";
        EXPECT_EQ(records->problem(), "alert of the peer: bad record mac");
    }
}

TEST(TlsRecords, EndInOneDirectionAtATime) {
    Peer peer(kAes128);
    const auto records = records_with(kAes128);
    // The first only says why the second follows.
    const std::string end = joined({peer.say(kAlert, "\1\x5a"), peer.say(kAlert, kCloseNotify)});
    EXPECT_EQ(read_all(*records, end).status, TlsStatus::ended);
    EXPECT_EQ(read_all(*records, peer.say(kData, "more")).status, TlsStatus::ended);
    std::string to_send;
    EXPECT_EQ(records->write("still here", to_send).bytes, 10u);
    records->finish(to_send);
    records->finish(to_send);
    std::string_view sent = to_send;
    EXPECT_EQ(peer.hear(sent), std::string("still here") + kData);
    EXPECT_EQ(peer.hear_one(sent), alert(1, 0));
    to_send.clear();
    EXPECT_EQ(records->write("after all", to_send).status, TlsStatus::failed);
    EXPECT_EQ(to_send, "");
}

TEST(TlsRecords, ReadOnAfterTheirEndWasSaid) {
    Peer peer(kAes128);
    const auto records = records_with(kAes128);
    std::string to_send;
    records->finish(to_send);
    EXPECT_EQ(read_all(*records, peer.say(kData, "an answer")).text, "an answer");
    const Heard heard = read_all(*records, "no TLS");
    EXPECT_EQ(heard.status, TlsStatus::failed);
    EXPECT_EQ(heard.answer, "") << "nothing comes after an end";
}

TEST(TlsRecords, ChangeKeysWhenAskedToAndOnceForAllThatAsked) {
    for (const unsigned suite : {kAes128, kAes256, kChaCha20}) {
        Peer peer(suite);
        const auto records = records_with(suite);
        std::string said = joined({peer.say(kData, "a"), peer.say(kHandshake, kUpdateAndAsk)});
        EXPECT_TRUE(peer.says().renew());
        said += peer.say(kHandshake, kUpdateAndAsk.substr(0, 1));
        said += peer.say(kHandshake, kUpdateAndAsk.substr(1), 40);
        EXPECT_TRUE(peer.says().renew());
        said += joined({peer.say(kData, "b"), peer.say(kHandshake, kUpdate)});
        EXPECT_TRUE(peer.says().renew());
        said += peer.say(kData, "c");
        const Heard heard = read_all(*records, said, 3);
        EXPECT_EQ(heard.text, "abc");
        EXPECT_EQ(heard.status, TlsStatus::wants_input);
        EXPECT_EQ(heard.answer, "") << "it waits for what we say next";
        std::string to_send;
        records->write("d", to_send);
        records->write("e", to_send);
        std::string_view sent = to_send;
        EXPECT_EQ(peer.hear(sent), kUpdate + kHandshake);
        EXPECT_TRUE(peer.hears().renew());
        EXPECT_EQ(peer.hear(sent), std::string("d") + kData);
        EXPECT_EQ(peer.hear_one(sent), std::string("e") + kData);
    }
}

TEST(TlsRecords, TakeANewKeyBeforeTheOldOneIsWorn) {
    Peer peer(kAes128);
    const auto records = records_with(kAes128, TlsTraffic::kRecordsOfOneKey - 1);
    peer.hears().skip(TlsTraffic::kRecordsOfOneKey - 1);
    std::string to_send;
    records->write("a", to_send);
    records->write("b", to_send);
    std::string_view sent = to_send;
    EXPECT_EQ(peer.hear(sent), std::string("a") + kData);
    EXPECT_EQ(peer.hear(sent), kUpdate + kHandshake);
    EXPECT_TRUE(peer.hears().renew());
    EXPECT_EQ(peer.hear_one(sent), std::string("b") + kData);
}

TEST(TlsRecords, GoBehindThoseThatWereSealedBeforeWhateverTheySay) {
    const auto write = +[](TlsRecords& records, Peer&, std::string& out) {
        records.write("an answer", out);
        return std::string("an answer") + kData;
    };
    const auto finish = +[](TlsRecords& records, Peer&, std::string& out) {
        records.finish(out);
        return alert(1, 0);
    };
    const auto refuse = +[](TlsRecords& records, Peer&, std::string& out) {
        std::string_view received = "no TLS";
        char room[10];
        records.read(received, room, out);
        return alert(2, 10);
    };
    const auto change_keys = +[](TlsRecords& records, Peer& peer, std::string& out) {
        EXPECT_EQ(read_all(records, peer.say(kHandshake, kUpdateAndAsk)).answer, "");
        records.write("an answer", out);
        return kUpdate + kHandshake;
    };
    for (const auto say : {write, finish, refuse, change_keys}) {
        // Who seals with the same key, as OpenSSL does.
        TlsTraffic other;
        ASSERT_TRUE(other.start(kAes128, any_secret(kAes128, '5'), TlsTraffic::Use::seals));
        std::string before;
        for (const char ticket : {'1', '2'}) {
            std::string record(TlsTraffic::kHeaderBytes, '\0');
            record.append({ticket, kHandshake}).append(TlsTraffic::kTagBytes, '\0');
            ASSERT_TRUE(other.seal(record.data(), 2));
            before += record;
        }
        ASSERT_EQ(tls_records_in(before), 2u);
        Peer peer(kAes128);
        const auto records = records_with(kAes128, 2, before);
        std::string out;
        const std::string said = say(*records, peer, out);
        std::string_view sent = out;
        EXPECT_EQ(peer.hear(sent), std::string("1") + kHandshake);
        EXPECT_EQ(peer.hear(sent), std::string("2") + kHandshake);
        EXPECT_EQ(peer.hear(sent), said);
    }
}

TEST(TlsRecordsDeathTest, SealNothingUntilTheyKnowTheirNumber) {
    const auto make = [] {
        return TlsRecords::make(kAes128, any_secret(kAes128, '5'), any_secret(kAes128, 'c'));
    };
    const auto write = [&] {
        std::string out;
        make()->write("x", out);
    };
    const std::string record = Peer(kAes128).say(kData, "x");
    EXPECT_DEATH(write(), "nobody else seals with our key any more");
    EXPECT_DEATH(make()->start_behind(0, record), "what was sealed has a number");
    EXPECT_DEATH(records_with(kAes128)->start_behind(0, ""), "numbers are passed on once");
}

TEST(TlsRecordsDeathTest, SealNothingOnceTheirKeyIsWornOrForgotten) {
    std::string record(TlsTraffic::kHeaderBytes + 1 + TlsTraffic::kTagBytes, '\0');
    TlsTraffic traffic;
    ASSERT_TRUE(traffic.start(kAes128, any_secret(kAes128, '5'), TlsTraffic::Use::seals));
    traffic.skip(TlsTraffic::kRecordsOfOneKey);
    EXPECT_TRUE(traffic.seal(record.data(), 1)) << "that the key changes is said by the old one";
    EXPECT_DEATH(static_cast<void>(traffic.seal(record.data(), 1)), "a worn key");
    ASSERT_TRUE(traffic.renew());
    EXPECT_TRUE(traffic.seal(record.data(), 1));
    traffic.forget();
    EXPECT_DEATH(static_cast<void>(traffic.seal(record.data(), 1)), "there is a key");
}

TEST(TlsRecords, DoNotListenForEverToAPeerThatSaysNothing) {
    Peer peer(kAes128);
    const auto records = records_with(kAes128);
    const auto silence = [&] {
        std::string said;
        for (int i = 0; i < 16; ++i) {
            said += joined({peer.say(kData, ""), peer.say(kHandshake, kUpdate)});
            EXPECT_TRUE(peer.says().renew());
        }
        return said;
    };
    EXPECT_EQ(read_all(*records, joined({silence(), peer.say(kData, "a"), silence()})).text, "a");
    EXPECT_EQ(records->problem(), "");
    EXPECT_EQ(read_all(*records, peer.say(kData, "")).status, TlsStatus::failed);
}

TEST(TlsRecords, AreMadeOfCiphersThatAreKnownAndOfWholeSecrets) {
    EXPECT_EQ(TlsRecords::make(0x1304, any_secret(kAes128, '5'), any_secret(kAes128, 'c')),
              nullptr);
    EXPECT_EQ(TlsRecords::make(kAes256, any_secret(kAes128, '5'), any_secret(kAes128, 'c')),
              nullptr);
    EXPECT_EQ(TlsRecords::make(kAes128, any_secret(kAes128, '5'), TlsSecret()), nullptr);
    TlsSecret secret;
    for (const char* const wrong : {"abc", "0g", "ABCD"})
        EXPECT_FALSE(secret.parse(wrong)) << wrong;
    EXPECT_FALSE(secret.parse(std::string(98, '0')));
    EXPECT_EQ(secret.bytes, 0u);
}

// ---- with OpenSSL at the other end --------------------------------------------------------------

struct FreeClient {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};

/// A client that is OpenSSL's alone.
class OpenSslClient {
public:
    OpenSslClient(const char* suites, int version) : context_(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
        SSL_CTX_set_max_proto_version(context_.get(), version);
        SSL_CTX_set_ciphersuites(context_.get(), suites);
        SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(context_.get(), &count_session);
        ssl_.reset(SSL_new(context_.get()));
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), in_, out_);
        SSL_set_connect_state(ssl_.get());
        SSL_set_app_data(ssl_.get(), this);
    }

    void wants_small_records() {
        EXPECT_EQ(SSL_set_tlsext_max_fragment_length(ssl_.get(), TLSEXT_max_fragment_length_512),
                  1);
    }
    bool shake_hands() { return SSL_do_handshake(ssl_.get()) == 1; }
    void receive(std::string_view bytes) {
        BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    }
    std::string sent() {
        char* text = nullptr;
        const long bytes = BIO_get_mem_data(out_, &text);
        std::string all(text, static_cast<std::size_t>(bytes));
        BIO_reset(out_);
        return all;
    }
    void write(std::string_view text) {
        std::size_t written = 0;
        EXPECT_EQ(SSL_write_ex(ssl_.get(), text.data(), text.size(), &written), 1);
        EXPECT_EQ(written, text.size());
    }
    std::string read() {
        std::string all;
        char buffer[5000];
        std::size_t got = 0;
        ERR_clear_error();
        while (SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &got) == 1)
            all.append(buffer, got);
        if (SSL_get_error(ssl_.get(), 0) == SSL_ERROR_SSL) {
            problem_ = ERR_GET_REASON(ERR_peek_error());
        }
        return all;
    }
    int problem() const { return problem_; }
    int tickets() const { return tickets_; }
    void change_keys(bool ask) {
        EXPECT_EQ(SSL_key_update(ssl_.get(),
                                 ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
                  1);
    }
    bool has_heard_the_end() { return SSL_get_shutdown(ssl_.get()) == SSL_RECEIVED_SHUTDOWN; }
    void say_the_end() { SSL_shutdown(ssl_.get()); }

private:
    static int count_session(SSL* ssl, SSL_SESSION*) {
        ++static_cast<OpenSslClient*>(SSL_get_app_data(ssl))->tickets_;
        return 0;
    }

    std::unique_ptr<SSL_CTX, FreeClient> context_;
    std::unique_ptr<SSL, FreeClient> ssl_;
    BIO* in_ = nullptr;   // the SSL's
    BIO* out_ = nullptr;  // the same
    int problem_ = 0;     // a reason of OpenSSL's
    int tickets_ = 0;
};

/// Until both have agreed. Of what the client says behind that the server has seen nothing.
void shake_hands(OpenSslClient& client, TlsSession& server) {
    std::string to_client;
    for (int turn = 0; turn < 4 && !(client.shake_hands() && server.agreed()); ++turn) {
        const std::string flight = client.sent();
        std::string_view received = flight;
        server.handshake(received, to_client);
        client.receive(std::exchange(to_client, {}));
    }
}

/// Reads all that a client has sent, cut by chance.
std::string read_pieces(TlsSession& server, std::string_view sent, std::string& answer,
                        Random& random) {
    std::string text;
    while (!sent.empty()) {
        const std::size_t piece = 1 + random.below(sent.size());
        std::string_view received = sent.substr(0, piece);
        sent.remove_prefix(piece);
        std::string buffer(1 + random.below(20'000), '?');
        for (;;) {
            const TlsSession::Step step = server.read(received, buffer, answer);
            text.append(buffer, 0, step.bytes);
            if (step.status != TlsStatus::done) break;
            if (received.empty() && server.reads_nothing_more()) break;
        }
        EXPECT_TRUE(received.empty());
    }
    return text;
}

TEST(TlsSession, SpeaksWithOpenSslByEveryCipherAndThroughChangesOfKeys) {
    struct Case {
        const char* suites;
        int version;
        std::string agreed;
    };
    Random random(20'261'127);
    for (const Case& by :
         {Case{"TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
          Case{"TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
          Case{"TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
          Case{"TLS_AES_128_GCM_SHA256", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"}}) {
        SCOPED_TRACE(by.agreed);
        TlsSession server(test_tls_server().state()->identities());
        OpenSslClient client(by.suites, by.version);
        shake_hands(client, server);
        std::string to_client;
        std::string begin = client.sent();  // of which the server has seen nothing yet
        ASSERT_EQ(read_pieces(server, begin, to_client, random), "");
        ASSERT_TRUE(server.agreed());
        for (int round = 0; round < 300; ++round) {
            std::string asked(random.below(round % 10 == 0 ? 50'000 : 200), 'q');
            if (by.version == TLS1_3_VERSION && random.below(4) == 0) {
                client.change_keys(random.below(2) == 0);
            }
            if (!asked.empty()) client.write(asked);
            ASSERT_TRUE(read_pieces(server, client.sent(), to_client, random) == asked) << round;
            std::string said;
            for (auto parts = random.below(4); parts != 0; --parts) {
                const std::string part(1 + random.below(round % 10 == 1 ? 50'000 : 300), 's');
                ASSERT_EQ(server.write(part, to_client).bytes, part.size());
                said += part;
            }
            client.receive(std::exchange(to_client, {}));
            ASSERT_TRUE(client.read() == said) << round;
        }
        EXPECT_EQ(server.has_parted_with_openssl(), by.version == TLS1_3_VERSION);
        EXPECT_EQ(server.info().cipher, by.agreed);
        server.finish(to_client);
        client.receive(to_client);
        EXPECT_EQ(client.read(), "");
        EXPECT_TRUE(client.has_heard_the_end());
        client.say_the_end();
        const std::string end = client.sent();
        std::string_view received = end;
        char buffer[10];
        EXPECT_EQ(server.read(received, buffer, to_client).status, TlsStatus::ended);
    }
}

// Whatever happens first, second and so on (the server writes, or finishes; its client writes data,
// asks for new keys, ends, or is not itself): each record of the server has the number by which its
// client opens it. One that was used twice is too low the second time.
TEST(TlsSession, NumbersItsRecordsInWhateverOrderThingsHappen) {
    constexpr std::size_t kSteps = 4;
    const std::string_view all_steps = "wfdkex";
    std::size_t orders = 1;
    for (std::size_t i = 0; i < kSteps; ++i)
        orders *= all_steps.size();
    const TlsServer identity = test_tls_server();
    for (std::size_t order = 0; order < orders; ++order) {
        std::string steps;
        for (std::size_t i = 0, left = order; i < kSteps; ++i, left /= all_steps.size())
            steps += all_steps[left % all_steps.size()];
        SCOPED_TRACE(steps);
        TlsSession server(identity.state()->identities());
        OpenSslClient client("TLS_AES_128_GCM_SHA256", TLS1_3_VERSION);
        shake_hands(client, server);
        ASSERT_TRUE(server.agreed() && server.has_parted_with_openssl());
        std::string said;
        std::string heard;
        bool client_ended = false;
        bool server_ended = false;
        bool broken = false;
        bool alerted = false;
        const auto receive = [&](std::string bytes) {
            std::string_view received = bytes;
            std::string answer;
            char room[100];
            while (server.read(received, room, answer).bytes != 0) {
            }
            client.receive(answer);
        };
        for (const char step : steps) {
            std::string out;
            switch (step) {
                case 'w':
                    if (server.write("said", out).status == TlsStatus::done) said += "said";
                    EXPECT_EQ(out.empty(), server_ended || broken);
                    break;
                case 'f':
                    server.finish(out);
                    server_ended = true;
                    break;
                case 'd':
                    if (!client_ended && !broken) client.write("asked");
                    break;
                case 'k':
                    if (!client_ended && !broken) {
                        client.change_keys(true);
                        client.write("with a new key");
                    }
                    break;
                case 'e':
                    if (!client_ended && !broken) client.say_the_end();
                    client_ended = true;
                    break;
                case 'x':
                    receive(client.sent() + std::string("\x17\3\3\0\x20", 5) +
                            std::string(32, 'x'));
                    alerted = alerted || !(client_ended || server_ended);
                    broken = broken || !client_ended;
                    break;
                default:
                    break;
            }
            client.receive(out);
            receive(client.sent());
            heard += client.read();
        }
        EXPECT_EQ(heard, said);
        EXPECT_TRUE(client.problem() == 0 ||
                    (alerted && client.problem() == SSL_R_SSLV3_ALERT_BAD_RECORD_MAC))
            << client.problem();
    }
}

TEST(TlsSession, LeavesClientsThatWantSmallRecordsToOpenSsl) {
    TlsSession server(test_tls_server().state()->identities());
    OpenSslClient client("TLS_AES_128_GCM_SHA256", TLS1_3_VERSION);
    client.wants_small_records();
    shake_hands(client, server);
    ASSERT_TRUE(server.agreed());
    const std::string text(40'000, 's');
    std::string to_client;
    EXPECT_EQ(server.write(text, to_client).bytes, text.size());
    client.receive(to_client);
    EXPECT_TRUE(client.read() == text);
    EXPECT_EQ(client.problem(), 0);
    EXPECT_EQ(client.tickets(), 2);
}

TEST(TlsSession, KnowsWhatWasAgreedOnAfterOpenSslIsGone) {
    TlsSession server(test_tls_server(TlsServerOptions().protocols({"h2"}).clients(
                                          ClientCertificates::required, kTestAuthority))
                          .state()
                          ->identities());
    TlsSession client(
        test_tls_client(TlsClientOptions().protocols({"h2"}).certificate(test_certificate_of_ann()))
            .state(),
        "localhost", "localhost");
    std::string to_server;
    std::string to_client;
    for (int turn = 0; turn < 2; ++turn) {
        std::string_view received = to_client;
        client.handshake(received, to_server);
        received = to_server;
        server.handshake(received, to_client);
        to_server.clear();
    }
    ASSERT_TRUE(server.agreed());
    ASSERT_TRUE(server.has_parted_with_openssl());
    const TlsInfo info = server.info();
    EXPECT_EQ(info.version, "TLSv1.3");
    EXPECT_EQ(info.cipher, "TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(info.protocol, "h2");
    EXPECT_EQ(info.server_name, "localhost");
    EXPECT_EQ(info.peer, "CN=ann");
    EXPECT_FALSE(info.resumed);
}

}  // namespace
}  // namespace troupe::io_internal

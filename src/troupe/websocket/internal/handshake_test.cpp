#include <troupe/http/request.hpp>
#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/sha1.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::websocket_internal {
namespace {

std::string hex(const std::array<std::uint8_t, 20>& digest) {
    std::string text;
    for (const std::uint8_t byte : digest) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", byte);
        text += two;
    }
    return text;
}

TEST(Sha1, KnowsTheVectorsOfTheStandard) {
    EXPECT_EQ(hex(sha1("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex(sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(hex(sha1(std::string(1'000'000, 'a'))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Base64, WritesEveryRest) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64_size("Zg=="), 1);
    EXPECT_EQ(base64_size("Zm9v"), 3);
    for (const char* none : {"Zg=", "Z===", "Zm9", "Zm9*", "Z=g=", "===="})
        EXPECT_EQ(base64_size(none), -1) << none;
}

TEST(Handshake, AcceptsWithTheRawDigest) {
    EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (int i = 0; i < 10'000; ++i) {
        const std::string accepted = accept_key(base64(std::to_string(i) + "0123456789abcdef"));
        ASSERT_EQ(accepted.size(), 28U);
        ASSERT_EQ(base64_size(accepted), 20);
    }
}

http::Request proper_request() {
    http::Request request;
    request.add_header("Host", "test");
    request.add_header("Upgrade", "websocket");
    request.add_header("Connection", "Upgrade");
    request.add_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.add_header("Sec-WebSocket-Version", "13");
    return request;
}

/// A proper request in which one line is replaced, or left out when `value` is null.
http::Request changed(std::string_view name, const char* value) {
    const http::Request proper = proper_request();
    http::Request request;
    for (std::size_t i = 0; i < proper.headers().size(); ++i) {
        const http::HeaderField line = proper.headers().at(i);
        if (line.name != name) request.add_header(line.name, line.value);
    }
    if (value != nullptr) request.add_header(name, value);
    return request;
}

int judged(const http::Request& request, const websocket::Options& options = websocket::Options()) {
    Agreement agreement;
    const auto refusal = judge_upgrade(request, options, agreement);
    return refusal ? refusal->status() : 101;
}

TEST(Handshake, TakesARequestThatIsRight) {
    EXPECT_EQ(judged(proper_request()), 101);
    EXPECT_EQ(judged(changed("Connection", "keep-alive, Upgrade")), 101);
    EXPECT_EQ(judged(changed("Upgrade", "WebSocket")), 101);
    EXPECT_EQ(judged(changed("Upgrade", "h2c, websocket")), 101);
}

TEST(Handshake, RefusesWhatIsNot) {
    struct Case {
        const char* name;
        const char* value;
        int status;
    };
    constexpr Case kCases[] = {
        {"Upgrade", nullptr, 426},
        {"Upgrade", "notwebsocket", 400},
        {"Connection", nullptr, 400},
        {"Connection", "notupgrade", 400},
        {"Connection", "keep-alive", 400},
        {"Sec-WebSocket-Key", nullptr, 400},
        {"Sec-WebSocket-Key", "", 400},
        {"Sec-WebSocket-Key", "c2hvcnQ=", 400},
        {"Sec-WebSocket-Key", "not!base64!!!!!!!!!!!!==", 400},
        {"Sec-WebSocket-Version", nullptr, 400},
        {"Sec-WebSocket-Version", "12", 426},
        {"Sec-WebSocket-Version", "14", 426},
    };
    for (const Case& one : kCases) {
        EXPECT_EQ(judged(changed(one.name, one.value)), one.status)
            << one.name << ": " << (one.value != nullptr ? one.value : "left out");
    }
    http::Request twice = proper_request();
    twice.add_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_EQ(judged(twice), 400);
    http::Request head = proper_request();
    head.method = "HEAD";
    EXPECT_EQ(judged(head), 405);
    http::Request old = proper_request();
    old.minor_version = 0;
    EXPECT_EQ(judged(old), 400);
    http::Request body = proper_request();
    body.body = "x";
    EXPECT_EQ(judged(body), 400);
}

TEST(Handshake, SaysWhichVersionItSpeaks) {
    Agreement agreement;
    const auto refusal =
        judge_upgrade(changed("Sec-WebSocket-Version", "12"), websocket::Options(), agreement);
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->header("Sec-WebSocket-Version"), "13");
}

TEST(Handshake, LetsBrowsersInFromNamedOriginsOnly) {
    websocket::Options options;
    options.origins({"https://example.org"});
    EXPECT_EQ(judged(proper_request(), options), 101) << "no browser";
    http::Request ours = proper_request();
    ours.add_header("Origin", "https://Example.org");
    EXPECT_EQ(judged(ours, options), 101);
    http::Request foreign = proper_request();
    foreign.add_header("Origin", "https://example.org.evil.test");
    EXPECT_EQ(judged(foreign, options), 403);
    EXPECT_EQ(judged(foreign), 101) << "from any, unless it is said";
}

TEST(Handshake, ChoosesTheClientsFirstProtocolThatItKnows) {
    websocket::Options options;
    options.protocols({"chat.v1", "chat.v2"});
    http::Request request = proper_request();
    request.add_header("Sec-WebSocket-Protocol", "other, chat.v2");
    request.add_header("Sec-WebSocket-Protocol", "chat.v1");
    Agreement agreement;
    EXPECT_FALSE(judge_upgrade(request, options, agreement).has_value());
    EXPECT_EQ(agreement.protocol, "chat.v2");
    Agreement none;
    EXPECT_FALSE(judge_upgrade(proper_request(), options, none).has_value());
    EXPECT_EQ(none.protocol, "");
}

TEST(Handshake, AnswersWithTheNeededLinesAndNoOthers) {
    EXPECT_EQ(upgrade_response("dGhlIHNhbXBsZSBub25jZQ==", Agreement()),
              "HTTP/1.1 101 Switching Protocols\r\n"
              "Upgrade: websocket\r\n"
              "Connection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "\r\n");
    Agreement agreement;
    agreement.protocol = "chat.v1";
    agreement.deflate.on = true;
    const std::string head = upgrade_response("dGhlIHNhbXBsZSBub25jZQ==", agreement);
    EXPECT_NE(head.find("\r\nSec-WebSocket-Protocol: chat.v1\r\n"), std::string::npos);
    EXPECT_NE(head.find("\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"), std::string::npos);
}

}  // namespace
}  // namespace troupe::websocket_internal

// The cases that the public conformance suite (Autobahn, groups 1 to 7, 9, 10, 12 and 13; 8 is a
// heading without cases) puts to a server, in words of our own: what a client sends, and all that
// an echo has to answer, to the end of the connection. Each is sent as a whole, frame by frame,
// byte by byte and in pieces of any size, over a network in memory that cuts and delays as well.

#include <troupe/actor/actor.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_sanitizer.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/deflate.hpp>
#include <troupe/websocket/internal/test_peer.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::websocket {
namespace {

using namespace std::chrono_literals;
using net_internal::in_virtual_time;
using scheduler_internal::kSanitized;
using namespace websocket_internal;

class Echo final : public Socket {
    Task<void> on_text(std::string text) override {
        send_text(text);
        return {};
    }
    Task<void> on_binary(std::string bytes) override {
        send_binary(bytes);
        return {};
    }
};

struct Case {
    std::string number;
    std::vector<std::string> frames;  // what is sent, in the pieces of "frame by frame"
    std::string answer;               // as Peer::receive_rest says it
    std::size_t chop = 0;             // sent only so: in pieces of this size
};

const std::string kBye = "close 1000 \nend\n";

std::string bye() {
    return close_frame(1000);
}
/// The answer to a protocol error begins like this; the reason behind it is ours.
const std::string kFailed = "close 1002 *\nend\n";
const std::string kNotUtf8 = "close 1007 *\nend\n";

constexpr unsigned kFinal = 0x80;

std::string frame(unsigned opcode, std::string payload, bool final = true, unsigned reserved = 0) {
    return raw_frame((final ? kFinal : 0U) | reserved << 4 | opcode, std::move(payload));
}
/// What an echo answers to a message and then a close.
std::string echo_of(std::string_view kind, std::string_view payload) {
    std::string answer(kind);
    return answer.append(" ").append(payload).append("\n").append(kBye);
}
std::string fragment(unsigned opcode, std::string payload) {
    return frame(opcode, std::move(payload), false);
}
std::string last_fragment(std::string payload) {
    return frame(0, std::move(payload));
}
std::string pong(std::string payload) {
    return frame(10, std::move(payload));
}

// ---- 1: texts and binaries of every size --------------------------------------------------------

std::vector<Case> sizes() {
    std::vector<Case> cases;
    for (const std::size_t size : {0U, 125U, 126U, 127U, 128U, 65'535U, 65'536U}) {
        const std::string text(size, '*');
        const std::string bytes(size, '\xFE');
        cases.push_back(
            {"1.1 " + std::to_string(size), {text_frame(text), bye()}, echo_of("text", text)});
        cases.push_back({"1.2 " + std::to_string(size),
                         {binary_frame(bytes), bye()},
                         echo_of("binary", bytes)});
    }
    return cases;
}

// ---- 2: pings and pongs -------------------------------------------------------------------------

std::vector<Case> pings() {
    std::vector<Case> cases;
    const std::string no_text("\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF", 8);
    cases.push_back({"2.1", {ping_frame(), bye()}, "pong \n" + kBye});
    cases.push_back({"2.2", {ping_frame("hello"), bye()}, "pong hello\n" + kBye});
    cases.push_back({"2.3", {ping_frame(no_text), bye()}, "pong " + no_text + "\n" + kBye});
    const std::string longest(125, '\xFE');
    cases.push_back({"2.4", {ping_frame(longest), bye()}, "pong " + longest + "\n" + kBye});
    cases.push_back({"2.5", {ping_frame(std::string(126, '\xFE'))}, kFailed});
    cases.push_back({"2.7", {pong(""), bye()}, kBye});
    cases.push_back({"2.8", {pong("unasked"), bye()}, kBye});
    cases.push_back({"2.9", {pong("unasked"), ping_frame("ping"), bye()}, "pong ping\n" + kBye});
    Case ten{"2.10", {}, ""};
    for (int i = 0; i < 10; ++i) {
        ten.frames.push_back(ping_frame("payload-" + std::to_string(i)));
        ten.answer += "pong payload-" + std::to_string(i) + "\n";
    }
    ten.frames.push_back(bye());
    ten.answer += kBye;
    cases.push_back(ten);
    return cases;
}

// ---- 3 and 4: reserved bits and opcodes ---------------------------------------------------------

std::vector<Case> reserved() {
    std::vector<Case> cases;
    cases.push_back({"3.1", {frame(1, "small", true, 1)}, kFailed});
    cases.push_back({"3.2",
                     {text_frame("small"), frame(1, "small", true, 2), ping_frame()},
                     "text small\n" + kFailed});
    cases.push_back({"3.4",
                     {text_frame("small"), frame(1, "small", true, 3), ping_frame()},
                     "text small\n" + kFailed});
    cases.push_back({"3.4b",
                     {text_frame("small"), frame(1, "small", true, 4), ping_frame()},
                     "text small\n" + kFailed});
    cases.push_back({"3.5", {frame(2, "\x01\x02", true, 5)}, kFailed});
    cases.push_back({"3.6", {frame(9, "ping", true, 6)}, kFailed});
    cases.push_back({"3.7", {frame(8, "\x03\xE8", true, 7)}, kFailed});
    for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
        const std::string number = "4 " + std::to_string(opcode);
        cases.push_back({number, {frame(opcode, "")}, kFailed});
        cases.push_back({number + " with payload", {frame(opcode, "payload")}, kFailed});
        cases.push_back({number + " behind a text",
                         {text_frame("hello"), frame(opcode, "payload"), ping_frame()},
                         "text hello\n" + kFailed});
    }
    return cases;
}

// ---- 5: fragments -------------------------------------------------------------------------------

std::vector<Case> fragments() {
    std::vector<Case> cases;
    const std::string both = "text fragment1fragment2\n";
    cases.push_back({"5.1", {fragment(9, "fragment1"), last_fragment("fragment2")}, kFailed});
    cases.push_back({"5.2", {fragment(10, "fragment1"), last_fragment("fragment2")}, kFailed});
    cases.push_back(
        {"5.3", {fragment(1, "fragment1"), last_fragment("fragment2"), bye()}, both + kBye});
    cases.push_back(
        {"5.6",
         {fragment(1, "fragment1"), ping_frame("ping"), last_fragment("fragment2"), bye()},
         "pong ping\n" + both + kBye});
    for (const bool final : {true, false}) {
        cases.push_back({final ? "5.9" : "5.12",
                         {frame(0, "no start", final), text_frame("hello"), bye()},
                         kFailed});
    }
    cases.push_back({"5.15",
                     {fragment(1, "fragment1"), last_fragment("fragment2"),
                      fragment(0, "fragment3"), text_frame("fragment4")},
                     both + kFailed});
    cases.push_back(
        {"5.16",
         {fragment(0, "fragment1"), fragment(1, "fragment2"), last_fragment("fragment3")},
         kFailed});
    cases.push_back(
        {"5.17",
         {last_fragment("fragment1"), fragment(1, "fragment2"), last_fragment("fragment3")},
         kFailed});
    cases.push_back({"5.18", {fragment(1, "fragment1"), text_frame("fragment2")}, kFailed});
    cases.push_back({"5.19",
                     {fragment(1, "fragment1"), fragment(0, "fragment2"), ping_frame("pongme 1"),
                      fragment(0, "fragment3"), ping_frame("pongme 2"), fragment(0, "fragment4"),
                      ping_frame("pongme 3"), last_fragment("fragment5"), bye()},
                     "pong pongme 1\npong pongme 2\npong pongme 3\n"
                     "text fragment1fragment2fragment3fragment4fragment5\n" +
                         kBye});
    return cases;
}

// ---- 6: UTF-8 -----------------------------------------------------------------------------------

/// A text as one frame, and with every byte of it in a fragment of its own.
void add_text(std::vector<Case>& cases, const std::string& number, const std::string& text,
              bool right) {
    const std::string answer = right ? echo_of("text", text) : kNotUtf8;
    cases.push_back({number, {text_frame(text), bye()}, answer});
    std::vector<std::string> frames;
    frames.reserve(text.size() + 2);
    for (std::size_t i = 0; i < text.size(); ++i)
        frames.push_back(fragment(i == 0 ? 1 : 0, text.substr(i, 1)));
    frames.push_back(frame(text.empty() ? 1 : 0, ""));
    frames.push_back(bye());
    cases.push_back({number + " in bytes", frames, answer});
}

std::vector<Case> utf8() {
    std::vector<Case> cases;
    cases.push_back(
        {"6.1.2", {fragment(1, ""), fragment(0, ""), last_fragment(""), bye()}, "text \n" + kBye});
    cases.push_back(
        {"6.1.3",
         {fragment(1, ""), fragment(0, "middle frame payload"), last_fragment(""), bye()},
         "text middle frame payload\n" + kBye});
    const std::string hello =
        "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!";
    cases.push_back({"6.2.2",
                     {fragment(1, hello.substr(0, 7)), last_fragment(hello.substr(7)), bye()},
                     echo_of("text", hello)});
    const std::string greek = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";
    // Hello, with one to four bytes in the middle of it; and what begins well.
    for (const char* const middle : {"\x24", "\xC2\xA2", "\xE2\x82\xAC", "\xF0\xA4\xAD\xA2"})
        add_text(cases, "6.5", std::string("hello") + middle + "world", true);
    for (std::size_t size = 1; size < greek.size(); ++size) {
        const bool whole = size == 2 || size == 5 || size == 7 || size == 9;
        add_text(cases, "6.6." + std::to_string(size), greek.substr(0, size), whole);
    }
    // All continuations of nothing, and all beginnings of nothing.
    std::string lonely;
    for (int byte = 0x80; byte < 0xBF; ++byte)
        lonely.push_back(static_cast<char>(byte));
    add_text(cases, "6.12.8", lonely, false);
    for (int byte = 0xC0; byte < 0xFE; ++byte)
        add_text(cases, "6.13", std::string(1, static_cast<char>(byte)) + " ", false);
    // The last two of each plane are no characters, and well formed.
    for (int first = 0xF0; first <= 0xF4; ++first) {
        for (const int second : {0x8F, 0x9F, 0xAF, 0xBF}) {
            if ((first == 0xF0) == (second == 0x8F) && first == 0xF0) continue;
            if (first == 0xF4 && second != 0x8F) continue;
            for (const char last : {'\xBE', '\xBF'}) {
                add_text(cases, "6.22",
                         {static_cast<char>(first), static_cast<char>(second), '\xBF', last}, true);
            }
        }
    }
    for (const char last : {'\xB9', '\xBA', '\xBB', '\xBC', '\xBD', '\xBE', '\xBF'})
        add_text(cases, "6.23", {'\xEF', '\xBF', last}, true);
    // A surrogate of each half behind one of the other.
    for (const char* const high :
         {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF"}) {
        for (const char* const low : {"\xED\xB0\x80", "\xED\xBF\xBF"})
            add_text(cases, "6.21", std::string(high) + low, false);
    }
    // What is wrong is told before the message is complete.
    cases.push_back({"6.4.1", {fragment(1, greek), fragment(0, "\xF4\x90\x80\x80")}, kNotUtf8});
    cases.push_back({"6.4.2", {fragment(1, greek + "\xF4"), fragment(0, "\x90")}, kNotUtf8});
    RawFrame begun;
    begun.payload = greek + "\xF4\x90\x80\x80";
    begun.announced = 100;
    cases.push_back({"6.4.3", {begun.bytes()}, kNotUtf8});

    const std::vector<std::string> right = {
        "", hello, greek,
        // The first and the last of each length.
        std::string(1, '\0'), "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80", "\x7F", "\xDF\xBF",
        "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF",
        // Beside the surrogates.
        "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD",
        // Not characters, but well formed.
        "\xEF\xBF\xBE", "\xEF\xB7\x90", "\xF0\x9F\xBF\xBE", "\xF0\x9F\xBF\xBF", "\xF3\xAF\xBF\xBE",
        "\xF4\x8F\xBF\xBE",
        // What is used in place of what is wrong.
        "\xEF\xBF\xBC\xEF\xBF\xBD"};
    for (std::size_t i = 0; i < right.size(); ++i)
        add_text(cases, "6 right " + std::to_string(i), right[i], true);

    const std::vector<std::string> wrong = {
        greek + "\xED\xA0\x80" + "edited",
        // Beginnings of characters.
        "\xCE", "\xCE\xBA\xE1", "\xCE\xBA\xE1\xBD", greek.substr(0, 10) + "\xCE",
        // Longer forms than there are.
        "\xF8\x88\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80", "\xF7\xBF\xBF\xBF",
        "\xFB\xBF\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF\xBF", "\xF4\x90\x80\x80",
        // Continuations of nothing.
        "\x80", "\xBF", "\x80\xBF", "\x80\xBF\x80", "\x80\xBF\x80\xBF\x80\xBF",
        // Beginnings of nothing.
        "\xC0 \xC1 \xC2 ", "\xE0 \xE1 ", "\xF0 \xF1 ", "\xF8 \xF9 ", "\xFC \xFD ",
        // The last byte is missing.
        "\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80", "\xFC\x80\x80\x80\x80", "\xDF",
        "\xEF\xBF", "\xF7\xBF\xBF", "\xFB\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF",
        "\xC0\xE0\x80\xF0\x80\x80", "\xFE", "\xFF", "\xFE\xFE\xFF\xFF",
        // Longer than they have to be.
        "\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xF8\x80\x80\x80\xAF",
        "\xFC\x80\x80\x80\x80\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
        "\xF8\x87\xBF\xBF\xBF", "\xFC\x83\xBF\xBF\xBF\xBF", "\xC0\x80", "\xE0\x80\x80",
        "\xF0\x80\x80\x80", "\xF8\x80\x80\x80\x80", "\xFC\x80\x80\x80\x80\x80",
        // Surrogates, single and in pairs.
        "\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF", "\xED\xB0\x80",
        "\xED\xBE\x80", "\xED\xBF\xBF", "\xED\xA0\x80\xED\xB0\x80", "\xED\xAF\xBF\xED\xBF\xBF"};
    for (std::size_t i = 0; i < wrong.size(); ++i)
        add_text(cases, "6 wrong " + std::to_string(i), wrong[i], false);
    return cases;
}

// ---- 7: the end ---------------------------------------------------------------------------------

std::vector<Case> closes() {
    std::vector<Case> cases;
    cases.push_back({"7.1.1", {text_frame("hello"), bye()}, "text hello\n" + kBye});
    cases.push_back({"7.1.2", {bye(), bye()}, kBye});
    cases.push_back({"7.1.3", {bye(), ping_frame()}, kBye});
    cases.push_back({"7.1.4", {bye(), text_frame("hello")}, kBye});
    cases.push_back({"7.1.5", {fragment(1, "fragment1"), bye(), last_fragment("fragment2")}, kBye});
    const std::string large(256 * 1024, 'B');
    cases.push_back({"7.1.6",
                     {text_frame(large), text_frame("hello"), bye(), ping_frame()},
                     "text " + large + "\ntext hello\n" + kBye});
    cases.push_back({"7.3.1", {frame(8, "")}, "close 1005 \nend\n"});
    cases.push_back({"7.3.2", {frame(8, "a")}, kFailed});
    cases.push_back({"7.3.3", {close_frame(1000)}, kBye});
    cases.push_back({"7.3.4", {close_frame(1000, "hello")}, kBye});
    cases.push_back({"7.3.5", {close_frame(1000, std::string(123, '*'))}, kBye});
    cases.push_back({"7.3.6", {close_frame(1000, std::string(124, '*'))}, kFailed});
    cases.push_back(
        {"7.5.1", {close_frame(1000, "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xED\xA0\x80")}, kNotUtf8});
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U,
                                1012U, 1013U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
        const std::string number = std::to_string(code);
        cases.push_back({"7.7 " + number, {close_frame(code)}, "close " + number + " \nend\n"});
    }
    for (const unsigned code :
         {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65'535U}) {
        cases.push_back({"7.9 " + std::to_string(code), {close_frame(code)}, kFailed});
    }
    return cases;
}

// ---- 9 and 10: much of it -----------------------------------------------------------------------

std::vector<Case> limits() {
    std::vector<Case> cases;
    for (const std::size_t size : {std::size_t{64} << 10, std::size_t{256} << 10,
                                   std::size_t{1} << 20, std::size_t{16} << 20}) {
        const std::string text(size, '*');
        cases.push_back(
            {"9.1 " + std::to_string(size), {text_frame(text), bye()}, echo_of("text", text)});
        cases.push_back(
            {"9.2 " + std::to_string(size), {binary_frame(text), bye()}, echo_of("binary", text)});
    }
    return cases;
}

/// One message in fragments of that size.
Case in_fragments(std::string number, unsigned opcode, const std::string& message,
                  std::size_t part) {
    Case one{std::move(number), {}, echo_of(opcode == 1 ? "text" : "binary", message)};
    for (std::size_t at = 0; at < message.size(); at += part) {
        const bool last = at + part >= message.size();
        one.frames.push_back(frame(at == 0 ? opcode : 0, message.substr(at, part), last));
    }
    one.frames.push_back(bye());
    return one;
}

std::vector<Case> limits_in_pieces() {
    std::vector<Case> cases;
    cases.push_back(in_fragments("10.1", 1, std::string(65'536, '*'), 1300));
    const std::string large(std::size_t{4} << 20, '*');
    // The smallest pieces are the most work; under a sanitizer only the others are sent.
    const std::size_t smallest = kSanitized ? 1024 : 64;
    for (std::size_t part = smallest; part <= large.size(); part *= 4) {
        for (const unsigned opcode : {1U, 2U}) {
            cases.push_back(
                in_fragments("9." + std::to_string(2 + opcode) + " of " + std::to_string(part),
                             opcode, large, part));
            cases.back().chop = 65'536;
        }
    }
    const std::string text(std::size_t{1} << 20, '*');
    for (std::size_t chop = smallest; chop <= 2048; chop *= 2) {
        const std::string number = " in " + std::to_string(chop);
        cases.push_back({"9.5" + number, {text_frame(text), bye()}, echo_of("text", text), chop});
        cases.push_back(
            {"9.6" + number, {binary_frame(text), bye()}, echo_of("binary", text), chop});
    }
    for (const std::size_t size : {0U, 16U, 64U, 256U, 1024U, 4096U}) {
        for (const bool is_text : {true, false}) {
            Case many{(is_text ? "9.7 of " : "9.8 of ") + std::to_string(size), {}, ""};
            for (int i = 0; i < 1000; ++i) {
                const std::string payload(size, static_cast<char>('a' + i % 26));
                many.frames.push_back(is_text ? text_frame(payload) : binary_frame(payload));
                many.answer += (is_text ? "text " : "binary ") + payload + "\n";
            }
            many.frames.push_back(bye());
            many.answer += kBye;
            many.chop = 20'000;
            cases.push_back(many);
        }
    }
    return cases;
}

// ---- sending and comparing ----------------------------------------------------------------------

enum class Cut { whole, frames, bytes, anyhow };

std::vector<std::string> pieces(const Case& one, Cut cut, Engine& engine) {
    if (cut == Cut::frames) return one.frames;
    std::string all;
    for (const std::string& part : one.frames)
        all += part;
    std::vector<std::string> cuts;
    for (std::size_t at = 0; at < all.size();) {
        std::size_t size = all.size();
        if (one.chop != 0) size = one.chop;
        if (cut == Cut::bytes) size = 1;
        if (cut == Cut::anyhow) size = 1 + engine.random() % (all.size() < 1000 ? 20 : 50'000);
        cuts.push_back(all.substr(at, size));
        at += size;
    }
    return cuts;
}

/// A reason in the expected answer that is "*" stands for whatever it is; what was sent has none.
bool matches(std::string_view answer, std::string_view expected) {
    constexpr std::string_view kAny = " *\nend\n";
    if (!expected.ends_with(kAny)) return answer == expected;
    const std::string_view fixed = expected.substr(0, expected.size() - kAny.size() + 1);
    return answer.starts_with(fixed) && answer.ends_with("\nend\n") &&
           answer.find('\n', fixed.size()) == answer.size() - std::string_view("\nend\n").size();
}

Task<http::Server> serve_echo(System system) {
    http::Router router;
    Options options;
    options.send_buffer(std::size_t{64} << 20).deflate_bytes_min(1);
    router.get("/echo", to<Echo>(std::move(options)));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    co_return *server;
}

std::string shortened(std::string text) {
    return text.size() <= 300 ? text : text.substr(0, 150) + "..." + text.substr(text.size() - 150);
}

Task<void> put(System system, http::Server server, const Case* one, Cut cut) {
    Peer peer = co_await Peer::open(system, server.port());
    const std::vector<std::string> parts = pieces(*one, cut, system.engine());
    const bool pauses = cut != Cut::whole && parts.size() < 50;
    for (const std::string& part : parts) {
        const bool sent = co_await peer.send(part);
        if (!sent) break;  // it need not listen to what comes behind an error
        if (!pauses) continue;
        Result<void> slept = co_await sleep(Duration(system.engine().random() % 3'000'000));
        EXPECT_TRUE(slept.has_value());
    }
    const std::string answer = co_await peer.receive_rest();
    EXPECT_TRUE(matches(answer, one->answer))
        << one->number << ", cut " << static_cast<int>(cut) << ": " << shortened(answer)
        << "instead of: " << shortened(one->answer);
}

void put_all(const std::vector<Case>& cases, std::size_t seeds, bool in_bytes = true) {
    in_virtual_time(seeds, [&cases, in_bytes](System system) -> Task<void> {
        http::Server server = co_await serve_echo(system);
        for (const Case& one : cases) {
            // A sanitizer sees the same in one way of cutting a large message as in three.
            const bool once = kSanitized && one.answer.size() >= (std::size_t{1} << 20);
            co_await put(system, server, &one, once && one.chop == 0 ? Cut::anyhow : Cut::whole);
            if (one.chop != 0 || once) continue;
            co_await put(system, server, &one, Cut::frames);
            co_await put(system, server, &one, Cut::anyhow);
            std::size_t bytes = 0;
            for (const std::string& part : one.frames)
                bytes += part.size();
            if (in_bytes && bytes < 1000) co_await put(system, server, &one, Cut::bytes);
        }
        Result<void> stopped = co_await server.stop(20ms);
        EXPECT_TRUE(stopped.has_value());
    });
}

TEST(Conformance, Group1TextsAndBinariesOfEverySize) {
    put_all(sizes(), 5);
}
TEST(Conformance, Group2PingsAndPongs) {
    put_all(pings(), 5);
}
TEST(Conformance, Groups3And4ReservedBitsAndOpcodes) {
    put_all(reserved(), 5);
}
TEST(Conformance, Group5Fragments) {
    put_all(fragments(), 10);
}
TEST(Conformance, Group6Utf8) {
    put_all(utf8(), 3);
}
TEST(Conformance, Group7TheEnd) {
    put_all(closes(), 5);
}
TEST(Conformance, Group9LargeMessages) {
    put_all(limits(), 1);
}
TEST(Conformance, Groups9And10ManyPieces) {
    put_all(limits_in_pieces(), 1);
}

// ---- 12 and 13: compression ---------------------------------------------------------------------

struct Terms {
    const char* offer;
    int window_bits;  // of what the client sends
    bool forgets;
};

Task<void> compressed(System system, http::Server server, const Terms* terms, std::size_t size) {
    const std::string line = "Sec-WebSocket-Extensions: " + std::string(terms->offer) + "\r\n";
    Peer peer = co_await Peer::open(system, server.port(), "/echo", line);
    Deflater deflater(terms->window_bits, terms->forgets);
    for (int i = 0; i < 12; ++i) {
        // Something that repeats itself within and between messages, and something that does not.
        std::string payload;
        while (payload.size() < size) {
            payload += "{\"number\":" + std::to_string(payload.size() * (i + 1)) + "},";
            if (i % 3 == 2)
                payload.push_back(static_cast<char>('0' + system.engine().random() % 64));
        }
        payload.resize(size);
        std::string small;
        deflater.compress(payload, small);
        const unsigned opcode = i % 2 == 0 ? 1 : 2;
        std::string frames = frame(opcode, small, true, 4);
        if (i % 4 == 3 && small.size() > 2) {
            // In two fragments, of which only the first says that it is compressed.
            const std::size_t half = small.size() / 2;
            frames = frame(opcode, small.substr(0, half), false, 4);
            frames += ping_frame("between") + last_fragment(small.substr(half));
        }
        const bool sent = co_await peer.send(frames);
        EXPECT_TRUE(sent);
        std::string echoed = co_await peer.receive();
        if (echoed == "pong between") echoed = co_await peer.receive();
        EXPECT_TRUE(echoed == (opcode == 1 ? "text " : "binary ") + payload)
            << terms->offer << ", " << size << ": " << shortened(echoed);
    }
    EXPECT_EQ(co_await peer.ask(bye()), "close 1000 ");
    EXPECT_EQ(co_await peer.receive(), "end");
}

TEST(Conformance, Groups12And13Compression) {
    const Terms all[] = {
        {"permessage-deflate", 15, false},
        {"permessage-deflate; client_no_context_takeover; client_max_window_bits", 9, true},
        {"permessage-deflate; server_no_context_takeover", 15, false},
        {"permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", 9, false},
        {"permessage-deflate; client_max_window_bits=15; server_max_window_bits=15", 9, false},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=9", 15, false},
        // The first is none that a server could take.
        {"permessage-deflate; unknown, permessage-deflate; server_max_window_bits=8, "
         "permessage-deflate",
         15, false}};
    in_virtual_time(3, [&all](System system) -> Task<void> {
        http::Server server = co_await serve_echo(system);
        for (const Terms& terms : all) {
            for (const std::size_t size :
                 {0U, 16U, 64U, 256U, 1024U, 4096U, 8192U, 32'768U, 131'072U}) {
                co_await compressed(system, server, &terms, size);
            }
        }
        Result<void> stopped = co_await server.stop(20ms);
        EXPECT_TRUE(stopped.has_value());
    });
}

Task<void> wrongly_compressed(System system) {
    http::Server server = co_await serve_echo(system);
    struct Wrong {
        std::string frames;
        const char* answer;
    };
    std::string small;
    Deflater deflater(15, true);
    deflater.compress("hello hello hello", small);
    const Wrong all[] = {
        // Compressed where only a beginning may say so.
        {frame(1, small.substr(0, 2), false, 4) + frame(0, small.substr(2), true, 4), "close 1002"},
        {frame(9, small, true, 4), "close 1002"},
        // No compressed data at all, and text that is none once it is inflated.
        {frame(1, "\xFF\xFF\xFF\xFF", true, 4), "close 1007"},
    };
    for (const Wrong& one : all) {
        Peer peer = co_await Peer::open(system, server.port(), "/echo",
                                        "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        const bool sent = co_await peer.send(one.frames);
        EXPECT_TRUE(sent);
        const std::string answer = co_await peer.receive_rest();
        EXPECT_TRUE(answer.starts_with(one.answer)) << answer;
    }
    Result<void> stopped = co_await server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Conformance, Groups12And13CompressionThatIsWrong) {
    in_virtual_time(10, wrongly_compressed);
}

}  // namespace
}  // namespace troupe::websocket

#include <troupe/http/internal/response_parser.hpp>

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {
namespace {

using Status = ResponseParser::Status;

/// Plays a connection: bytes arrive in pieces, what is not consumed is shown again. All that can be
/// seen from outside becomes one string.
class Feeder {
public:
    explicit Feeder(bool head_only = false, const ResponseLimits& limits = ResponseLimits())
        : parser_(limits) {
        parser_.begin(head_only);
    }

    void feed(std::string_view piece) {
        pending_ += piece;
        while (!over_) {
            const ResponseParser::Step step = parser_.advance(pending_, head_);
            const std::string data(step.data);
            pending_.erase(0, step.consumed);
            switch (step.status) {
                case Status::need_more:
                    return;
                case Status::head:
                    note_head();
                    break;
                case Status::data:
                    body_ += data;
                    break;
                case Status::complete:
                case Status::refused:
                    end_with(step.status);
                    break;
            }
        }
    }
    void end() {
        if (!over_) end_with(parser_.end());
    }

    /// Head, body and end: "200 a=b body <abc> complete keep".
    const std::string& seen() const { return seen_; }
    std::size_t unconsumed() const { return pending_.size(); }
    bool over() const { return over_; }
    const ResponseParser& parser() const { return parser_; }

private:
    void note_head() {
        seen_ += std::to_string(head_.status);
        for (std::size_t i = 0; i < head_.headers.size(); ++i) {
            const http::HeaderField field = head_.headers.at(i);
            seen_ += " " + std::string(field.name) + "=" + std::string(field.value);
        }
    }
    void end_with(Status status) {
        over_ = true;
        if (!body_.empty()) seen_ += " <" + body_ + ">";
        for (std::size_t i = 0; i < head_.trailers.size(); ++i) {
            const http::HeaderField field = head_.trailers.at(i);
            seen_ += " +" + std::string(field.name) + "=" + std::string(field.value);
        }
        if (status == Status::complete) {
            seen_ += parser_.keep_alive() ? " keep" : " close";
        } else {
            seen_ += " refused: " + std::string(parser_.problem());
        }
    }

    ResponseParser parser_;
    ResponseHead head_;
    std::string pending_;
    std::string body_;
    std::string seen_;
    bool over_ = false;
};

std::string parse(std::string_view bytes, bool head_only = false) {
    Feeder feeder(head_only);
    feeder.feed(bytes);
    feeder.end();
    return feeder.seen();
}

struct Case {
    const char* bytes;
    const char* seen;
};

constexpr const char* kNoResponse = " refused: what came is no HTTP/1 response";
constexpr const char* kStatusLine = " refused: the status line is malformed";
constexpr const char* kHeaderLine = " refused: a header line is malformed";
constexpr const char* kUnclear = " refused: the length of the body is not clear";
constexpr const char* kSeveral = " refused: there are several Content-Length lines";
constexpr const char* kNoNumber = " refused: the Content-Length is not a number";
constexpr const char* kCoding = " refused: the transfer coding is not \"chunked\"";
constexpr const char* kUnknownStatus = " refused: the status is none that HTTP knows";

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_SEEN "200 Transfer-Encoding=chunked"
#define CHUNKED_REFUSED CHUNKED_SEEN " refused: the chunked body is malformed"

// One server's answer that another reader could take for two, or for none.
const Case kHostile[] = {
    // The status line.
    {"", " refused: the connection ended before the response"},
    {"HTTP/1.1 200 OK\r\nA: b\r\n", " refused: the connection ended within the head"},
    {"HTTP/1", " refused: the connection ended within the head"},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", kNoResponse},
    {" HTTP/1.1 200 OK\r\n\r\n", kNoResponse},
    {"http/1.1 200 OK\r\n\r\n", kNoResponse},
    {"HTTP/2.0 200 OK\r\n\r\n", kNoResponse},
    {"HTTP/0.9 200 OK\r\n\r\n", kNoResponse},
    {"HTTP/11 200 OK\r\n\r\n", kNoResponse},
    {"HTTPS/1.1 200 OK\r\n\r\n", kNoResponse},
    {"ICY 200 OK\r\n\r\n", kNoResponse},
    {"<html>", kNoResponse},
    {"\x16\x03\x01", kNoResponse},
    {"GET / HTTP/1.1\r\n\r\n", kNoResponse},
    {"HTTP/1.2 200 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.x 200 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.10 200 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1  200 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1\t200 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 20 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 2000 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 2x0 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 -20 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 200OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 200\tOK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 200 OK\n\r\n", kStatusLine},
    {"HTTP/1.1 200 O\rK\r\n\r\n", kStatusLine},
    {"HTTP/1.1 200 O\x01K\r\n\r\n", kStatusLine},
    {"HTTP/1.1 OK\r\n\r\n", kStatusLine},
    {"HTTP/1.1\r\n\r\n", kStatusLine},
    {"HTTP/1.1 099 X\r\n\r\n", kUnknownStatus},
    {"HTTP/1.1 600 X\r\n\r\n", kUnknownStatus},
    {"HTTP/1.1 999 X\r\n\r\n", kUnknownStatus},
    // Header lines.
    {"HTTP/1.1 200 OK\r\nA: b\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA: b\r\n\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\n: b\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nA\x01: b\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\n\x80: b\r\n\r\n", kHeaderLine},
    {"HTTP/1.1 200 OK\r\nContent-Length\r\n: 5\r\n\r\n", kHeaderLine},
    // Where the body ends.
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", kSeveral},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na", kSeveral},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1 0\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1;\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: \"1\"\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\na", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     kUnclear},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
     kUnclear},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     kUnclear},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", kUnclear},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", kUnclear},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", kCoding},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", kCoding},
    {"HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n", kNoNumber},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
     "200 Content-Length=3 <ab> refused: the connection ended within the body"},
    // Chunks.
    {CHUNKED "3\r\nab", CHUNKED_SEEN " <ab> refused: the connection ended within the chunked body"},
    {CHUNKED "0\r\n", CHUNKED_SEEN " refused: the connection ended within the chunked body"},
    {CHUNKED "\r\n", CHUNKED_REFUSED},
    {CHUNKED "x\r\n", CHUNKED_REFUSED},
    {CHUNKED "-1\r\na\r\n0\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "0x1\r\na\r\n0\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED " 1\r\na\r\n0\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "1\na\r\n0\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "1\r\nab\r\n0\r\n\r\n", CHUNKED_SEEN " <a> refused: the chunked body is malformed"},
    {CHUNKED "1\r\na\n0\r\n\r\n", CHUNKED_SEEN " <a> refused: the chunked body is malformed"},
    {CHUNKED "11111111111111111\r\n", CHUNKED_REFUSED},
    {CHUNKED "1;\x01\r\na\r\n0\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "0\r\nContent-Length: 5\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "0\r\nA b\r\n\r\n", CHUNKED_REFUSED},
    {CHUNKED "0\r\nA: b\r\n c\r\n\r\n",
     CHUNKED_SEEN " +A=b refused: the chunked body is malformed"},
    // Interim responses.
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n",
     " refused: the server has changed the protocol, and nobody asked for it"},
    {"HTTP/1.1 100 Continue\r\n\r\n", " refused: the connection ended within the head"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     " refused: there are too many interim heads"},
    {"HTTP/1.1 100 Continue\r\nA: b\n\r\n", kHeaderLine},
};

const Case kGood[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 Content-Length=0 keep"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200 Content-Length=3 <abc> keep"},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 Content-Length=0 keep"},
    {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 Content-Length=0 keep"},
    {"HTTP/1.1 404 Not\tFound \xe4\r\nContent-Length: 0\r\n\r\n", "404 Content-Length=0 keep"},
    {"HTTP/1.1 200 OK\r\n\r\nall the rest", "200 <all the rest> close"},
    {"HTTP/1.1 200 OK\r\n\r\n", "200 close"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "200 Content-Length=1 <a> close"},
    {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
     "200 Connection=Keep-Alive Content-Length=1 <a> keep"},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
     "200 Connection=close Content-Length=1 <a> close"},
    {"HTTP/1.1 200 OK\r\nConnection: x , CLOSE\r\nContent-Length: 1\r\n\r\na",
     "200 Connection=x , CLOSE Content-Length=1 <a> close"},
    {"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
     "200 Connection=x Connection=close Content-Length=0 close"},
    {"HTTP/1.1 204 No Content\r\n\r\n", "204 keep"},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 Content-Length=0 keep"},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 Content-Length=5 close"},
    {"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
     "204 Transfer-Encoding=chunked close"},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 Content-Length=5 keep"},
    {"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
     "200 Content-Length=1 <a> keep"},
    {CHUNKED "0\r\n\r\n", CHUNKED_SEEN " keep"},
    {CHUNKED "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
     CHUNKED_SEEN " <abc0123456789> keep"},
    {CHUNKED "1\r\na\r\n0\r\nDigest: x\r\nB:y\r\n\r\n", CHUNKED_SEEN " <a> +Digest=x +B=y keep"},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
     "200 transfer-encoding=CHUNKED <a> keep"},
    {"HTTP/1.1 200 OK\r\nA: \t b c \t\r\nB:\r\nContent-Length: 0\r\n\r\n",
     "200 A=b c B= Content-Length=0 keep"},
};

void expect_all(std::span<const Case> cases) {
    for (const Case& one : cases)
        EXPECT_EQ(parse(one.bytes), one.seen) << one.bytes;
}

TEST(ResponseParser, RefusesWhatCouldBeReadInTwoWays) {
    static_assert(std::size(kHostile) >= 90);
    expect_all(kHostile);
}

TEST(ResponseParser, ReadsResponses) {
    expect_all(kGood);
}

TEST(ResponseParser, CutsDoNotShow) {
    for (const std::span<const Case> cases :
         {std::span<const Case>(kHostile), std::span<const Case>(kGood)}) {
        for (const Case& one : cases) {
            const std::string_view bytes = one.bytes;
            for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
                Feeder two_pieces;
                two_pieces.feed(bytes.substr(0, cut));
                two_pieces.feed(bytes.substr(cut));
                two_pieces.end();
                ASSERT_EQ(two_pieces.seen(), one.seen) << "cut at " << cut << ": " << bytes;
            }
            Feeder drip;
            for (const char& byte : bytes)
                drip.feed(std::string_view(&byte, 1));
            drip.end();
            ASSERT_EQ(drip.seen(), one.seen) << "byte by byte: " << bytes;
        }
    }
}

TEST(ResponseParser, CutsDoNotShowAtTheLimitOfTheHead) {
    constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
    for (const std::string_view next : {"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/2 and more",
                                        "HTTP/1.1 200 OK\r\nno header line\r\n"}) {
        const std::string bytes = std::string(kInterim) + std::string(next);
        for (std::size_t limit = 1; limit <= bytes.size(); ++limit) {
            ResponseLimits limits;
            limits.head_bytes_max = limit;
            Feeder whole(false, limits);
            whole.feed(bytes);
            whole.end();
            Feeder drip(false, limits);
            for (const char& byte : bytes)
                drip.feed(std::string_view(&byte, 1));
            drip.end();
            ASSERT_EQ(drip.seen(), whole.seen()) << "limit " << limit << ": " << bytes;
        }
    }
}

TEST(ResponseParser, ResponsesToHeadHaveNoBody) {
    EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true),
              "200 Content-Length=5 keep");
    EXPECT_EQ(parse(CHUNKED, true), CHUNKED_SEEN " keep");
    EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\n", true), "200 keep");
}

TEST(ResponseParser, LeavesWhatComesBehindTheResponse) {
    for (const char* bytes :
         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n",
          CHUNKED "1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
          "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
        Feeder feeder;
        feeder.feed(bytes);
        EXPECT_TRUE(feeder.over());
        EXPECT_EQ(feeder.unconsumed(), 19u) << bytes;
    }
}

TEST(ResponseParser, RefusesHeadsBeyondTheLimit) {
    ResponseLimits limits;
    limits.head_bytes_max = 100;
    limits.header_count_max = 3;
    const std::string start = "HTTP/1.1 200 OK\r\n";
    for (const std::string& bytes :
         {start + "A: " + std::string(90, 'x') + "\r\n\r\n", start + std::string(100, 'x'),
          "HTTP/1.1 200 " + std::string(100, 'x'), start + "A: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n",
          "HTTP/1.1 100 " + std::string(50, 'x') + "\r\n\r\n" + start +
              "A: " + std::string(30, 'x') + "\r\n\r\n"}) {
        for (const std::size_t piece : {bytes.size(), std::size_t{1}}) {
            Feeder feeder(false, limits);
            for (std::size_t i = 0; i < bytes.size(); i += piece)
                feeder.feed(std::string_view(bytes).substr(i, piece));
            EXPECT_TRUE(feeder.over()) << bytes;
            EXPECT_TRUE(feeder.parser().too_large()) << bytes << feeder.seen();
        }
    }
}

TEST(ResponseParser, KnowsHowLongTheServerPromisesToWait) {
    const auto promised = [](std::string_view value) {
        http::Headers headers;
        headers.add("Keep-Alive", value);
        return promised_idle_seconds(headers);
    };
    EXPECT_EQ(promised("timeout=5"), 5);
    EXPECT_EQ(promised("max=100, TIMEOUT=15"), 15);
    EXPECT_EQ(promised("timeout=0"), 0);
    for (const char* nothing : {"", "max=5", "timeout", "timeout=", "timeout=x", "timeout=-1",
                                "timeout=99999999999999"}) {
        EXPECT_EQ(promised(nothing), -1) << nothing;
    }
    EXPECT_EQ(promised_idle_seconds(http::Headers()), -1);
}

}  // namespace
}  // namespace troupe::http_internal

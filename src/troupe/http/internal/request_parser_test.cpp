#include <troupe/http/internal/request_parser.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {
namespace {

using Status = RequestParser::Status;

/// What became of a stream of bytes: the requests in it, and the refusal or what was left over.
struct Outcome {
    std::vector<http::Request> requests;
    int refused = 0;
    std::string sentence;
    std::size_t unconsumed = 0;
};

/// Plays a connection: bytes arrive in the given pieces, what is not consumed is shown again.
class Feeder {
public:
    explicit Feeder(const RequestLimits& limits) : parser_(limits) {}

    void feed(std::string_view piece) {
        pending_ += piece;
        while (outcome_.refused == 0) {
            RequestParser::Step step = parser_.body_follows()
                                           ? parser_.read_body(pending_, request_)
                                           : parser_.read_head(pending_, request_);
            request_.body += step.data;
            pending_.erase(0, step.consumed);
            if (step.status == Status::refused) {
                outcome_.refused = parser_.refusal().status;
                outcome_.sentence = parser_.refusal().sentence;
            } else if (step.status == Status::need_more) {
                break;
            } else if (!parser_.body_follows()) {
                outcome_.requests.push_back(request_);
            }
        }
    }

    Outcome end() {
        outcome_.unconsumed = pending_.size();
        return outcome_;
    }

    RequestParser& parser() { return parser_; }

private:
    RequestParser parser_;
    http::Request request_;
    std::string pending_;
    Outcome outcome_;
};

Outcome parse(std::string_view bytes, const RequestLimits& limits = RequestLimits()) {
    Feeder feeder(limits);
    feeder.feed(bytes);
    return feeder.end();
}

std::string describe(const http::Request& request) {
    std::string out = request.method + " " + std::string(request.target()) +
                      " path=" + request.path + " query=" + request.query +
                      " minor=" + std::to_string(request.minor_version) +
                      " keep=" + std::to_string(request.keep_alive) + "\n";
    for (std::size_t i = 0; i < request.headers().size(); ++i) {
        http::HeaderField field = request.headers().at(i);
        out += std::string(field.name) + "=" + std::string(field.value) + "\n";
    }
    out += "body=" + request.body;
    for (std::size_t i = 0; i < request.trailers().size(); ++i) {
        http::HeaderField field = request.trailers().at(i);
        out += "\ntrailer " + std::string(field.name) + "=" + std::string(field.value);
    }
    return out;
}

std::string describe(const Outcome& outcome) {
    std::string out;
    for (const http::Request& request : outcome.requests)
        out += describe(request) + "\n--\n";
    return out + "refused " + std::to_string(outcome.refused) + " " + outcome.sentence;
}

// Small enough to reach every limit in a few bytes.
RequestLimits tight() {
    RequestLimits limits;
    limits.target_bytes_max = 40;
    limits.head_bytes_max = 250;
    limits.header_count_max = 6;
    limits.body_bytes_max = 30;
    return limits;
}

struct Refused {
    const char* why;
    int status;
    std::string bytes;
};

std::vector<Refused> refused_requests() {
    const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
    const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
    const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
    return {
        // The request line.
        {"no method", 400, " / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"method with a bracket", 400, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"two spaces", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"no target", 400, "GET HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"no version", 400, "GET /\r\nHost: a\r\n\r\n"},
        {"space behind the version", 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {"space in the target", 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"tab for a space", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"lower-case version", 400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {"another protocol", 400, "GET / HTTQ/1.1\r\nHost: a\r\n\r\n"},
        {"two-digit version", 400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
        {"HTTP/2 on this line", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {"the HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
        {"HTTP/0.9", 505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
        {"a TLS hello", 400, std::string("\x16\x03\x01\x02\x00\x01", 6)},
        {"binary rubbish", 400, std::string("\x00\x01\x02", 3)},
        {"a DEL in the target", 400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"a NUL in the target", 400, std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28)},
        // The target.
        {"fragment", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"relative path", 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"asterisk for GET", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"another scheme", 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"address without a host", 400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"address with a user", 400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"CONNECT", 501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"half an escape", 400, "GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"no escape", 400, "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"encoded NUL", 400, "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"long target", 414, "GET /" + std::string(40, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"very long target", 414, "GET /" + std::string(180, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"endless target", 414, "GET /" + std::string(120, 'a')},
        // Header lines.
        {"line feed alone", 400, "GET / HTTP/1.1\nHost: a\n\n"},
        {"line feed alone in a header", 400, get + "A: b\nC: d\r\n\r\n"},
        {"line feed alone at the end", 400, get + "\n"},
        {"carriage return alone", 400, get + "A: b\rC: d\r\n\r\n"},
        {"carriage return twice", 400, get + "A: b\r\r\n\r\n"},
        {"folded line", 400, get + "A: b\r\n c\r\n\r\n"},
        {"line folded by a tab", 400, get + "A: b\r\n\tc\r\n\r\n"},
        {"fold in the first line", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
        {"folded empty value", 400, get + "A:\r\n b\r\n\r\n"},
        {"space before the colon", 400, get + "A : b\r\n\r\n"},
        {"no colon", 400, get + "Abc\r\n\r\n"},
        {"no name", 400, get + ": b\r\n\r\n"},
        {"bracket in a name", 400, get + "A[]: b\r\n\r\n"},
        {"NUL in a value", 400, get + std::string("A: b\0c\r\n\r\n", 10)},
        {"control character in a value", 400, get + "A: b\x01\r\n\r\n"},
        {"long header lines", 431, get + "A: " + std::string(250, 'b') + "\r\n\r\n"},
        {"endless header line", 431, get + "A: " + std::string(250, 'b')},
        {"many header lines", 431, get + "A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\n\r\n"},
        {"no Host", 400, "GET / HTTP/1.1\r\n\r\n"},
        {"two Hosts", 400, get + "Host: b\r\n\r\n"},
        {"the same Host twice", 400, get + "Host: a\r\n\r\n"},
        {"two Hosts on HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"},
        {"Hosts in a list", 400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
        {"Host with a space", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {"Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {"empty lines without end", 400, "\r\n\r\n\r\n\r\n\r\n\r\n"},
        {"line feed before the request", 400, "\n" + get + "\r\n"},
        {"unknown expectation", 417, get + "Expect: more\r\n\r\n"},
        // Where the body ends.
        {"no length", 400, post + "Content-Length:\r\n\r\n"},
        {"negative length", 400, post + "Content-Length: -1\r\n\r\n"},
        {"length with a sign", 400, post + "Content-Length: +1\r\n\r\n"},
        {"hexadecimal length", 400, post + "Content-Length: 0x1\r\n\r\n"},
        {"length in words", 400, post + "Content-Length: one\r\n\r\n"},
        {"length with a space", 400, post + "Content-Length: 1 1\r\n\r\n"},
        {"equal lengths in a list", 400, post + "Content-Length: 1, 1\r\n\r\nx"},
        {"a list of one", 400, post + "Content-Length: 1,\r\n\r\nx"},
        {"equal lengths twice", 400, post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
        {"different lengths", 400, post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
        {"length beyond 64 bits", 400, post + "Content-Length: 18446744073709551616\r\n\r\n"},
        {"length and coding", 400,
         post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"coding and length", 400,
         post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"},
        {"unknown coding and length", 400,
         post + "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
        {"coding on HTTP/1.0", 400,
         "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"unknown coding", 501, post + "Transfer-Encoding: gzip\r\n\r\n"},
        {"identity", 501, post + "Transfer-Encoding: identity\r\n\r\n"},
        {"nearly chunked", 501, post + "Transfer-Encoding: xchunked\r\n\r\n"},
        {"quoted chunked", 501, post + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
        {"chunked and then not", 501, post + "Transfer-Encoding: chunked, identity\r\n\r\n"},
        {"gzip within chunked", 501, post + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
        {"empty coding", 501, post + "Transfer-Encoding:\r\n\r\n"},
        {"chunked twice", 400,
         post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"two codings", 400,
         post + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"large body by its claim", 413, post + "Content-Length: 31\r\n\r\n"},
        {"huge body by its claim", 413, post + "Content-Length: 9223372036854775807\r\n\r\n"},
        // Chunks.
        {"no chunk size", 400, chunked + "\r\nabc\r\n"},
        {"chunk size in words", 400, chunked + "xyz\r\nabc\r\n"},
        {"negative chunk size", 400, chunked + "-1\r\nabc\r\n"},
        {"chunk size with a prefix", 400, chunked + "0x1\r\na\r\n0\r\n\r\n"},
        {"chunk size beyond 64 bits", 400, chunked + "10000000000000000\r\na\r\n"},
        {"chunk longer than its size", 400, chunked + "1\r\nab\r\n0\r\n\r\n"},
        {"chunk ended by a line feed", 400, chunked + "1\na\r\n0\r\n\r\n"},
        {"line feed in an extension", 400, chunked + "1;a=\"\n\"\r\na\r\n0\r\n\r\n"},
        {"bad extension", 400, chunked + "1;;\r\na\r\n0\r\n\r\n"},
        {"large chunk by its claim", 413, chunked + "1f\r\nx"},
        {"large body in chunks", 413, chunked + "1e\r\n" + std::string(30, 'x') + "\r\n1\r\n"},
        {"huge chunk", 413, chunked + "ffffffffffffffff\r\n"},
        {"folded trailer", 400, chunked + "0\r\nA: b\r\n c\r\n\r\n"},
        {"malformed trailer", 400, chunked + "0\r\nA b\r\n\r\n"},
        {"length in a trailer", 400, chunked + "0\r\nContent-Length: 1\r\n\r\n"},
    };
}

TEST(RequestParser, RefusesWhatIsMalformedAmbiguousOrTooLarge) {
    for (const Refused& row : refused_requests()) {
        Outcome outcome = parse(row.bytes, tight());
        EXPECT_EQ(outcome.refused, row.status) << row.why << "\n" << describe(outcome);
        EXPECT_TRUE(outcome.requests.empty()) << row.why;
        EXPECT_TRUE(outcome.sentence.ends_with(".")) << row.why << ": " << outcome.sentence;
    }
}

struct Accepted {
    std::string bytes;
    std::string expected;
};

std::vector<Accepted> accepted_streams() {
    return {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / path=/ query= minor=1 keep=1\nHost=a\nbody="},
        {"GET /a/b?c=d&e HTTP/1.1\r\nhOST:a\r\n\r\n",
         "GET /a/b?c=d&e path=/a/b query=c=d&e minor=1 keep=1\nhOST=a\nbody="},
        {"GET /%41%2f%25%7e HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /%41%2f%25%7e path=/A%2F%25~ query= minor=1 keep=1\nHost=a\nbody="},
        {"GET /x?%zz HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /x?%zz path=/x query=%zz minor=1 keep=1\nHost=a\nbody="},
        {"GET http://b.c:80/d?e HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET http://b.c:80/d?e path=/d query=e minor=1 keep=1\nHost=a\nbody="},
        {"GET HTTP://b?e HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET HTTP://b?e path=/ query=e minor=1 keep=1\nHost=a\nbody="},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
         "OPTIONS * path=* query= minor=1 keep=1\nHost=a\nbody="},
        {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
         "OPTIONS http://a path=* query= minor=1 keep=1\nHost=a\nbody="},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / path=/ query= minor=1 keep=1\nHost=\nbody="},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
         "GET / path=/ query= minor=1 keep=1\nHost=[::1]:80\nbody="},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: \t b c \t\r\nB:\r\n\r\n",
         "GET / path=/ query= minor=1 keep=1\nHost=a\nA=b c\nB=\nbody="},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: \xff\r\n\r\n",
         "GET / path=/ query= minor=1 keep=1\nHost=a\nA=\xff\nbody="},
        {"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n",
         "BREW /pot path=/pot query= minor=1 keep=1\nHost=a\nbody="},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET / path=/ query= minor=1 keep=1\nHost=a\nbody="},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
         "GET / path=/ query= minor=1 keep=0\nHost=a\nConnection=x, Close\nbody="},
        {"GET / HTTP/1.0\r\n\r\n", "GET / path=/ query= minor=0 keep=0\nbody="},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "GET / path=/ query= minor=0 keep=1\nConnection=keep-alive\nbody="},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n",
         "GET / path=/ query= minor=1 keep=1\nHost=a\nUpgrade=b\nConnection=upgrade\nbody="},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
         "POST / path=/ query= minor=1 keep=1\nHost=a\nContent-Length=0\nbody="},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nab\r\nc",
         "POST / path=/ query= minor=1 keep=1\nHost=a\nContent-Length=005\nbody=ab\r\nc"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
         "POST / path=/ query= minor=1 keep=1\nHost=a\nTransfer-Encoding=Chunked\nbody="},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0B;n=v;m=\"q \\\" s\"\r\n\r\n 0\r\n\r\n\r\nx\r\n0\r\nSum: t\r\n\r\n",
         "POST / path=/ query= minor=1 keep=1\nHost=a\nTransfer-Encoding=chunked\n"
         "body=abc\r\n 0\r\n\r\n\r\nx\ntrailer Sum=t"},
    };
}

TEST(RequestParser, ReadsWhatIsWellFormed) {
    for (const Accepted& row : accepted_streams()) {
        Outcome outcome = parse(row.bytes);
        ASSERT_EQ(outcome.requests.size(), 1U) << row.bytes << "\n" << describe(outcome);
        EXPECT_EQ(describe(outcome.requests[0]), row.expected);
        EXPECT_EQ(outcome.unconsumed, 0U) << row.bytes;
        EXPECT_EQ(outcome.refused, 0) << row.bytes;
    }
}

/// Every stream above, and some of them behind one another as a pipelining client sends them.
std::vector<std::string> all_streams() {
    std::vector<std::string> streams;
    std::string pipeline;
    for (const Accepted& row : accepted_streams()) {
        streams.push_back(row.bytes);
        if (pipeline.size() < 600) pipeline += row.bytes;
        // What follows must not change what a request means, whether it is good or not.
        streams.push_back(row.bytes + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    streams.push_back(pipeline);
    streams.push_back(accepted_streams().back().bytes + pipeline);
    for (const Refused& row : refused_requests()) {
        streams.push_back(row.bytes);
        streams.push_back("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy" + row.bytes);
    }
    return streams;
}

// Goal: the network's cuts never show. Method: each stream whole, cut once at every place, and
// byte by byte must give the same requests and the same refusal.
TEST(RequestParser, GivesTheSameAnswerHoweverTheBytesAreCut) {
    RequestLimits limits = tight();
    for (const std::string& stream : all_streams()) {
        std::string whole = describe(parse(stream, limits));
        for (std::size_t cut = 1; cut < stream.size(); ++cut) {
            Feeder feeder(limits);
            feeder.feed(std::string_view(stream).substr(0, cut));
            feeder.feed(std::string_view(stream).substr(cut));
            ASSERT_EQ(describe(feeder.end()), whole) << "cut at " << cut << " of:\n" << stream;
        }
        Feeder feeder(limits);
        for (char byte : stream)
            feeder.feed(std::string_view(&byte, 1));
        ASSERT_EQ(describe(feeder.end()), whole) << "byte by byte:\n" << stream;
    }
}

TEST(RequestParser, AcceptsWhatReachesALimitExactly) {
    RequestLimits limits = tight();
    std::string target = "/" + std::string(39, 'a');
    EXPECT_EQ(parse("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n", limits).refused, 0);

    std::string head = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
    std::string fill(limits.head_bytes_max - head.size() - 4, 'b');
    EXPECT_EQ(parse(head + fill + "\r\n\r\n", limits).requests.size(), 1U);
    EXPECT_EQ(parse(head + fill + "b\r\n\r\n", limits).refused, 431);

    std::string body(30, 'x');
    std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_EQ(parse(post + "Content-Length: 30\r\n\r\n" + body, limits).requests.size(), 1U);
    EXPECT_EQ(
        parse(post + "Transfer-Encoding: chunked\r\n\r\n1e\r\n" + body + "\r\n0\r\n\r\n", limits)
            .requests.size(),
        1U);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", limits)
                  .requests.size(),
              1U);
}

TEST(RequestParser, DoesNotReadForEverBehindChunkFraming) {
    Feeder feeder((RequestLimits()));
    feeder.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string chunk = "1;" + std::string(200, 'e') + "\r\nx\r\n";
    int sent = 0;
    for (; feeder.end().refused == 0 && sent < 1000; ++sent)
        feeder.feed(chunk);
    EXPECT_EQ(feeder.end().refused, 400);
    EXPECT_LT(sent, 120);
}

TEST(RequestParser, DoesNotKeepAnEndlessChunkHead) {
    std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(parse(head + "1;" + std::string(17 * 1024, 'e')).refused, 400);
    EXPECT_EQ(parse(head + std::string(17 * 1024, '0')).refused, 400);
    EXPECT_EQ(parse(head + "0\r\nA: " + std::string(17 * 1024, 'b')).refused, 400);
}

TEST(RequestParser, TakesManySmallChunks) {
    std::string stream = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 100'000; ++i)
        stream += "1\r\nx\r\n";
    Outcome outcome = parse(stream + "0\r\n\r\n");
    ASSERT_EQ(outcome.requests.size(), 1U) << describe(outcome);
    EXPECT_EQ(outcome.requests[0].body, std::string(100'000, 'x'));
}

TEST(RequestParser, SaysWhenThePeerWaitsForContinue) {
    Feeder feeder((RequestLimits()));
    feeder.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n");
    EXPECT_TRUE(feeder.parser().continue_expected());
    feeder.feed("ab");
    EXPECT_FALSE(feeder.parser().continue_expected());
    EXPECT_EQ(feeder.end().requests.size(), 1U);
}

TEST(RequestParser, ExpectsNoContinueOnHttp10NorWithoutABody) {
    Feeder old((RequestLimits()));
    old.feed("POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_FALSE(old.parser().continue_expected());

    Feeder empty((RequestLimits()));
    empty.feed("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_FALSE(empty.parser().continue_expected());
}

TEST(RequestParser, KnowsWhetherItStandsBetweenMessages) {
    Feeder feeder((RequestLimits()));
    EXPECT_TRUE(feeder.parser().between_messages());
    feeder.feed("\r\n");
    EXPECT_TRUE(feeder.parser().between_messages());
    feeder.feed("G");
    EXPECT_FALSE(feeder.parser().between_messages());
    feeder.feed("ET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    EXPECT_FALSE(feeder.parser().between_messages());
    feeder.feed("x");
    EXPECT_TRUE(feeder.parser().between_messages());
}

TEST(RequestParser, StaysRefused) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    EXPECT_EQ(parser.read_head("\n", request).status, Status::refused);
    EXPECT_EQ(parser.read_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n", request).status,
              Status::refused);
    EXPECT_EQ(parser.read_body("", request).status, Status::refused);
}

TEST(RequestParser, ClearsWhatThePreviousRequestLeft) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    EXPECT_EQ(parser.read_head("PUT /a?b HTTP/1.0\r\nX: y\r\n\r\n", request).status, Status::head);
    request.set_parameter("name", "value");
    request.body = "left";
    request.trailers().add("left", "over");
    EXPECT_EQ(parser.read_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n", request).status, Status::head);
    EXPECT_EQ(describe(request), "GET / path=/ query= minor=1 keep=1\nHost=a\nbody=");
    EXPECT_EQ(request.parameter("name"), "");
}

// Goal: what stood before a request never shows, although its header lines are not read again when
// they are the same. Method: every request behind every other one, whatever a handler has done with
// that, against a parser that has read nothing before.
TEST(RequestParser, ReadsARequestTheSameWayWhateverStoodBeforeIt) {
    std::vector<std::string> heads;
    for (const char* line : {"GET / HTTP/1.1", "GET / HTTP/1.0", "POST /some/%41?where HTTP/1.1",
                             "OPTIONS * HTTP/1.1", "BAD"}) {
        for (const char* fields :
             {"", "Host: a\r\n", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: a\r\nX: y\r\n",
              "Host: a\r\nConnection: close\r\n", "Host: a\r\nConnection: keep-alive\r\n",
              "Host: a\r\nContent-Length: 2\r\n",
              "Host: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n",
              "Host: a\r\nTransfer-Encoding: chunked\r\n", "Host: a\r\nExpect: x\r\n"})
            heads.push_back(std::string(line) + "\r\n" + fields + "\r\n");
    }
    auto body_of = [](const std::string& head) -> std::string {
        if (head.find("Content-Length") != std::string::npos) return "ab";
        return head.find("chunked") != std::string::npos ? "2\r\nab\r\n0\r\nT: u\r\n\r\n" : "";
    };
    auto read = [&](RequestParser& parser, http::Request& request, const std::string& head) {
        const std::string bytes = head + body_of(head);
        std::string_view rest = bytes;
        RequestParser::Step step = parser.read_head(rest, request);
        std::string seen = parser.continue_expected() ? "waits " : "";
        rest.remove_prefix(step.consumed);
        while (step.status != Status::refused && parser.body_follows()) {
            step = parser.read_body(rest, request);
            request.body += step.data;
            rest.remove_prefix(step.consumed);
        }
        if (step.status == Status::refused) return std::to_string(parser.refusal().status);
        return seen + describe(request) + std::string(rest);
    };
    for (const std::string& second : heads) {
        RequestParser fresh((RequestLimits()));
        http::Request fresh_request;
        const std::string expected = read(fresh, fresh_request, second);
        for (const std::string& first : heads) {
            for (int handler = 0; handler < 4; ++handler) {
                RequestParser parser((RequestLimits()));
                http::Request request;
                if (read(parser, request, first).size() < 4) continue;  // it was refused
                http::Request taken;
                if (handler == 1) taken = std::move(request);
                if (handler == 2) request.add_header("Added", "by a handler");
                if (handler == 3) request.headers().clear();
                ASSERT_EQ(read(parser, request, second), expected)
                    << "handler " << handler << " behind\n"
                    << first;
            }
        }
    }
}

TEST(RequestParser, GivesTheBodyPieceByPieceAndHoldsNone) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    RequestParser::Step step = parser.read_head(head + "ab", request);
    EXPECT_EQ(step.status, Status::head);
    EXPECT_EQ(step.consumed, head.size());
    EXPECT_EQ(parser.body_length(), 5U);
    step = parser.read_body("ab", request);
    EXPECT_EQ(step.status, Status::data);
    EXPECT_EQ(step.data, "ab");
    EXPECT_EQ(parser.read_body("", request).status, Status::need_more);
    EXPECT_EQ(parser.bytes_wanted(), 3U);
    EXPECT_EQ(parser.read_body("cdeGET", request).data, "cde");
    EXPECT_FALSE(parser.body_follows());
    EXPECT_EQ(parser.read_body("GET", request).status, Status::complete);
    EXPECT_TRUE(request.body.empty());
}

TEST(RequestParser, HoldsEachBodyToTheLimitItIsGiven) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    std::string sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    EXPECT_EQ(parser.read_head(sized, request).status, Status::head);
    parser.limit_body(5);
    EXPECT_EQ(parser.read_body("abcde", request).status, Status::data);

    EXPECT_EQ(parser.read_head(sized, request).status, Status::head);
    parser.limit_body(4);
    EXPECT_EQ(parser.read_body("", request).status, Status::refused);
    EXPECT_EQ(parser.refusal().status, 413);

    RequestParser chunked((RequestLimits()));
    std::string coded = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(chunked.read_head(coded, request).status, Status::head);
    EXPECT_FALSE(chunked.body_length().has_value());
    chunked.limit_body(4);
    EXPECT_EQ(chunked.read_body("4\r\nabcd\r\n", request).status, Status::data);
    EXPECT_EQ(chunked.read_body("\r\n1\r\n", request).status, Status::refused);
    EXPECT_EQ(chunked.refusal().status, 413);
}

}  // namespace
}  // namespace troupe::http_internal

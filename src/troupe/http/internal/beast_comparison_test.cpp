// Our reading of a request's head beside Boost.Beast's, which many servers use, over random changes
// of good heads.
//
// Method: both read the same bytes. Where both accept, they must have seen the same request. Where
// one refuses what the other accepts, the reason must be in one of the two tables below, which say
// for every intended difference why it is one. Each must also come up.

#include <troupe/base/random.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {
namespace {

namespace beast = boost::beast::http;

struct Difference {
    std::string_view refusal;
    std::string_view why;
};

// Our refusals of what Beast accepts.
constexpr Difference kWeRefuse[] = {
    {"A header line is folded, which is obsolete.",
     "readers differ in what a folded line says, and RFC 9112 lets us refuse it"},
    {"A request has exactly one Host line.", "the server behind us may go by the other one"},
    {"The Host line is malformed.", "a list, or what no host is made of, is read in two ways"},
    {"The length of the body is not clear.", "a coding in HTTP/1.0, or two of them"},
    {"The only transfer coding this server knows is \"chunked\".",
     "Beast leaves other codings to its user"},
    {"There are several Content-Length lines.", "Beast takes them when they are equal"},
    {"The request target is neither a path nor an http address.", "Beast does not look into it"},
    {"A request target has no fragment.", "where it ends is read in two ways"},
    {"The path holds a \"%\" without two hexadecimal digits.", "Beast does not look into it"},
    {"The path holds an encoded NUL.", "Beast does not look into it"},
    {"The only expectation this server knows is \"100-continue\".", "Beast leaves it to its user"},
    {"This server is not a proxy.", "Beast leaves CONNECT to its user"},
    {"This server knows no method of that length.", "Beast bounds the head, and not its parts"},
};

// Beast's refusals of what we accept.
constexpr Difference kBeastRefuses[] = {
    {"bad method", "an empty line before a request, which RFC 9112 asks us to skip"},
    {"bad value", "a Connection line that is no list of tokens: we find no token we know in it"},
};

/// What a reader made of a head: the request, or why it is refused, or that it is not whole.
struct Reading {
    bool whole = false;
    std::string refusal;
    std::string request;
};

/// Beast moves lines of one name together.
std::string in_order(std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    std::string all;
    for (const std::string& line : lines)
        all += line;
    return all;
}

Reading read_ours(std::string_view head) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    Reading reading;
    const RequestParser::Step step = parser.read_head(head, request);
    if (step.status == RequestParser::Status::refused) reading.refusal = parser.refusal().sentence;
    if (step.status != RequestParser::Status::head) return reading;
    reading.whole = true;
    reading.request = request.method + " " + std::string(request.target()) + " " +
                      std::to_string(request.minor_version) + "\n";
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < request.headers().size(); ++i) {
        const http::HeaderField field = request.headers().at(i);
        lines.push_back(std::string(field.name) + "=" + std::string(field.value) + "\n");
    }
    reading.request += in_order(std::move(lines));
    return reading;
}

Reading read_beasts(std::string_view head) {
    beast::request_parser<beast::empty_body> parser;
    parser.header_limit(64 * 1024);
    parser.skip(true);
    boost::system::error_code failed;
    parser.put(boost::asio::buffer(head.data(), head.size()), failed);
    Reading reading;
    if (failed && failed != beast::error::need_more) reading.refusal = failed.message();
    if (!reading.refusal.empty() || !parser.is_header_done()) return reading;
    reading.whole = true;
    const auto& request = parser.get();
    reading.request = std::string(request.method_string()) + " " + std::string(request.target()) +
                      " " + std::to_string(request.version() % 10) + "\n";
    std::vector<std::string> lines;
    for (const auto& field : request)
        lines.push_back(std::string(field.name_string()) + "=" + std::string(field.value()) + "\n");
    reading.request += in_order(std::move(lines));
    return reading;
}

/// A good head, changed in some places: by bytes that matter to a lexer, or by what other heads
/// have there.
std::string changed_head(Random& random, const std::vector<std::string>& heads) {
    constexpr std::string_view kBytes(
        "\r\n\t :;,%#?/\"()\x00\x01\x1f\x7f\x80\xff"
        "aZ09*",
        25);
    std::string head = heads[random.below(heads.size())];
    for (std::uint64_t changes = random.below(4); changes-- > 0;) {
        const std::size_t at = random.below(head.size());
        switch (random.below(5)) {
            case 0:
                head[at] = kBytes[random.below(kBytes.size())];
                break;
            case 1:
                head.insert(at, 1, kBytes[random.below(kBytes.size())]);
                break;
            case 2:
                head.erase(at, 1 + random.below(3));
                break;
            case 3: {
                const std::string& other = heads[random.below(heads.size())];
                const std::size_t from = random.below(other.size());
                head.insert(at, other.substr(from, random.below(24)));
                break;
            }
            default: {  // a whole line of another one, behind a line
                const std::string& other = heads[random.below(heads.size())];
                const std::size_t line = other.find("\r\n", random.below(other.size() - 4));
                const std::size_t end = other.find("\r\n", line + 2);
                const std::size_t here = head.find("\r\n", at);
                if (here != std::string::npos) head.insert(here, other.substr(line, end - line));
                break;
            }
        }
        if (head.empty()) head = "x";
    }
    return head;
}

const std::vector<std::string> kHeads = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /some/path?a=b&c=%20d HTTP/1.1\r\nHost: example.org:80\r\nAccept: */*\r\n\r\n",
    "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n",
    "HEAD /%41%2f HTTP/1.0\r\nConnection: keep-alive\r\nUser-Agent: x (y; z)\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nExpect: 100-continue\r\n\r\n",
    "DELETE http://a/b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Space: \t a \t\r\n\r\n",
    "M-SEARCH /\x80 HTTP/1.1\r\nhOST: a\r\nConnection: close, x\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "A-METHOD-OF-THIRTY-TWO-CHARACTERS / HTTP/1.1\r\nHost: a\r\n\r\n",
};

/// Looks a refusal up and counts it.
testing::AssertionResult is_intended(const Difference* table, std::size_t size,
                                     const std::string& refusal,
                                     std::map<std::string, int>& counts) {
    const bool listed = std::any_of(table, table + size, [&](const Difference& difference) {
        return difference.refusal == refusal;
    });
    ++counts[refusal];
    if (listed) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "only one of the two refuses, with: " << refusal;
}

bool has_connection_line(std::string head) {
    std::transform(head.begin(), head.end(), head.begin(), &lower);
    return head.find("\r\nconnection:") != std::string::npos;
}

TEST(RequestParserBesideBeast, ReadsTheSameRequestsButForTheDifferencesListed) {
    std::map<std::string, int> ours;
    std::map<std::string, int> beasts;
    int both_accept = 0;
    Random random(1);
    for (int i = 0; i < 300'000 && !HasFailure(); ++i) {
        const std::string head = changed_head(random, kHeads);
        const Reading our = read_ours(head);
        const Reading their = read_beasts(head);
        if (our.whole && their.whole) {
            ++both_accept;
            EXPECT_EQ(our.request, their.request) << head;
        } else if (their.whole) {
            EXPECT_TRUE(is_intended(kWeRefuse, std::size(kWeRefuse), our.refusal, ours)) << head;
        } else if (our.whole) {
            EXPECT_TRUE(is_intended(kBeastRefuses, std::size(kBeastRefuses), their.refusal, beasts))
                << head;
            EXPECT_TRUE(their.refusal != "bad value" || has_connection_line(head)) << head;
        }
    }
    EXPECT_GT(both_accept, 10'000);
    for (const Difference& difference : kWeRefuse)
        EXPECT_GT(ours[std::string(difference.refusal)], 0) << difference.refusal;
    for (const Difference& difference : kBeastRefuses)
        EXPECT_GT(beasts[std::string(difference.refusal)], 0) << difference.refusal;
}

}  // namespace
}  // namespace troupe::http_internal

#include <troupe/http/internal/forwarding.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::http_internal {
namespace {

using http::Forwarding;
using http::Origin;
using http::Request;

using Lines = std::vector<std::pair<std::string, std::string>>;

/// A request over a connection from 10.0.0.9, where 10.0.0.0/8 is trusted.
Request request_with(const Lines& lines, Forwarding how, bool proxied = true) {
    Request request;
    request.add_header("Host", "inside:8080");
    for (const auto& [name, value] : lines)
        request.add_header(name, value);
    Origin origin;
    origin.peer = origin.client = IpAddress::parse("10.0.0.9").value_or(IpAddress());
    origin.proxied = proxied;
    origin.forwarding = how;
    note_origin(request, origin, IpNetworks::parse("10.0.0.0/8").value_or(IpNetworks()));
    return request;
}

std::string client_of(const Lines& lines, Forwarding how = Forwarding::x_forwarded) {
    return to_string(request_with(lines, how).client_address());
}

std::string client_of(const std::string& value) {
    return client_of(Lines{{"X-Forwarded-For", value}});
}

std::string client_of_forwarded(const std::string& value) {
    return client_of(Lines{{"Forwarded", value}}, Forwarding::forwarded);
}

TEST(Forwarding, ReadsTheHopsFromTheirEndAsFarAsTheyAreTrusted) {
    EXPECT_EQ(client_of("1.2.3.4"), "1.2.3.4");
    EXPECT_EQ(client_of("6.6.6.6, 1.2.3.4"), "1.2.3.4") << "the first may say anything";
    EXPECT_EQ(client_of("6.6.6.6, 1.2.3.4, 10.1.1.1, 10.2.2.2"), "1.2.3.4");
    EXPECT_EQ(client_of("10.1.1.1"), "10.1.1.1") << "all of them are trusted: the farthest";
    EXPECT_EQ(client_of(Lines{{"X-Forwarded-For", "6.6.6.6"}, {"x-forwarded-for", "1.2.3.4"}}),
              "1.2.3.4");
    EXPECT_EQ(client_of(Lines{}), "10.0.0.9");
    EXPECT_EQ(client_of("1.2.3.4:567"), "1.2.3.4");
    EXPECT_EQ(client_of("[2001:db8::1]:567"), "2001:db8::1");
    EXPECT_EQ(client_of("2001:db8::1"), "2001:db8::1");
}

TEST(Forwarding, StopsAtWhatIsNoAddress) {
    for (const std::string rubbish :
         {"", ",", "unknown", "1.2.3", "[::1", "1.2.3.4x", "\"1.2.3.4\"", "[::1]x", "_hidden"}) {
        EXPECT_EQ(client_of(rubbish), "10.0.0.9") << rubbish;
        EXPECT_EQ(client_of("6.6.6.6, " + rubbish + ", 10.1.1.1"), "10.1.1.1") << rubbish;
    }
    std::string many = "6.6.6.6";
    for (int i = 0; i < 100; ++i)
        many += ", 10.0.0.1";
    EXPECT_EQ(client_of(many), "10.0.0.1") << "as many as anybody needs";
}

TEST(Forwarding, ReadsRfc7239) {
    EXPECT_EQ(client_of_forwarded("for=1.2.3.4"), "1.2.3.4");
    EXPECT_EQ(client_of_forwarded("For=\"[2001:db8::1]:4711\";proto=https"), "2001:db8::1");
    EXPECT_EQ(client_of_forwarded("for=6.6.6.6, for=1.2.3.4;by=10.0.0.1, for=10.1.1.1"), "1.2.3.4");
    EXPECT_EQ(client_of_forwarded("for=6.6.6.6, for=_secret, for=10.1.1.1"), "10.1.1.1");
    EXPECT_EQ(client_of_forwarded("proto=https"), "10.0.0.9");
}

TEST(Forwarding, AQuoteThatAClientHasOpenedSwallowsNothing) {
    EXPECT_EQ(client_of_forwarded("for=6.6.6.6;x=\", for=1.2.3.4"), "1.2.3.4");
    EXPECT_EQ(client_of_forwarded("for=6.6.6.6;x=\", for=\"1.2.3.4:5\";host=\"a,b\""), "1.2.3.4");
    EXPECT_EQ(client_of_forwarded("for=6.6.6.6;x=\"\\, for=1.2.3.4"), "1.2.3.4");
    EXPECT_EQ(client_of("\", 1.2.3.4"), "1.2.3.4");
}

TEST(Forwarding, BelievesOnlyOneKindOfLine) {
    EXPECT_EQ(client_of(Lines{{"Forwarded", "for=6.6.6.6"}, {"X-Forwarded-For", "1.2.3.4"}}),
              "1.2.3.4")
        << "the proxy has passed on what its client said";
    EXPECT_EQ(client_of(Lines{{"Forwarded", "for=1.2.3.4"}, {"X-Forwarded-For", "6.6.6.6"}},
                        Forwarding::forwarded),
              "1.2.3.4");
}

TEST(Forwarding, BelievesNobodyWhoIsNotTrusted) {
    const Request request = request_with({{"X-Forwarded-For", "1.2.3.4"},
                                          {"X-Forwarded-Proto", "https"},
                                          {"X-Forwarded-Host", "outside"}},
                                         Forwarding::x_forwarded, false);
    EXPECT_EQ(to_string(request.client_address()), "10.0.0.9");
    EXPECT_FALSE(request.secure());
    EXPECT_EQ(request.host(), "inside:8080");
}

TEST(Forwarding, TellsTheSchemeAndTheHostThatTheClientUsed) {
    Request request = request_with({{"X-Forwarded-For", "1.2.3.4"},
                                    {"X-Forwarded-Proto", "http, HTTPS"},
                                    {"X-Forwarded-Host", "evil, shop.example"}},
                                   Forwarding::x_forwarded);
    EXPECT_TRUE(request.secure());
    EXPECT_EQ(request.host(), "shop.example");
    request =
        request_with({{"Forwarded",
                       "for=6.6.6.6;host=evil;proto=http, for=1.2.3.4;host=\"shop.example:8443\";"
                       "proto=https, for=10.1.1.1;proto=http"}},
                     Forwarding::forwarded);
    EXPECT_TRUE(request.secure());
    EXPECT_EQ(request.host(), "shop.example:8443");
    request = request_with({{"Forwarded", "for=1.2.3.4"}}, Forwarding::forwarded);
    EXPECT_FALSE(request.secure());
    EXPECT_EQ(request.host(), "inside:8080");
}

}  // namespace
}  // namespace troupe::http_internal

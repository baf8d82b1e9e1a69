#include <troupe/http/client_request.hpp>

#include <gtest/gtest.h>

namespace troupe::http {
namespace {

TEST(ClientRequest, KnowsWhichMethodsAreHarmlessTwice) {
    for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
        EXPECT_TRUE(ClientRequest(method, "http://a/").idempotent()) << method;
    for (const char* method : {"POST", "PATCH", "get", "FROB"})
        EXPECT_FALSE(ClientRequest(method, "http://a/").idempotent()) << method;
    EXPECT_TRUE(ClientRequest("POST", "http://a/").idempotent(true).idempotent());
    EXPECT_FALSE(ClientRequest("GET", "http://a/").idempotent(false).idempotent());
}

struct Redirected {
    const char* method;
    int status;
    const char* becomes;
    bool keeps_body;
};

TEST(ClientRequest, IsRedirectedAsRfc9110Says) {
    for (const Redirected& one : {
             Redirected{"GET", 301, "GET", true},
             Redirected{"POST", 301, "GET", false},
             Redirected{"PUT", 301, "PUT", true},
             Redirected{"POST", 302, "GET", false},
             Redirected{"DELETE", 302, "DELETE", true},
             Redirected{"POST", 303, "GET", false},
             Redirected{"PUT", 303, "GET", false},
             Redirected{"HEAD", 303, "HEAD", true},
             Redirected{"POST", 307, "POST", true},
             Redirected{"POST", 308, "POST", true},
             Redirected{"GET", 308, "GET", true},
         }) {
        ClientRequest request(one.method, "http://a/");
        request.body("abc").header("Content-Type", "text/plain").header("Accept", "x");
        request.redirect(one.status, "http://a/b", true);
        EXPECT_EQ(request.method(), one.becomes) << one.method << " " << one.status;
        EXPECT_EQ(request.url(), "http://a/b");
        EXPECT_EQ(request.body(), one.keeps_body ? "abc" : "") << one.method << " " << one.status;
        EXPECT_EQ(request.headers().find("Content-Type").has_value(), one.keeps_body);
        EXPECT_TRUE(request.headers().find("Accept").has_value());
    }
}

TEST(ClientRequest, ShowsNoOtherServerItsSecrets) {
    ClientRequest request("GET", "http://a/");
    request.header("Authorization", "x").header("cookie", "y").header("Accept", "z");
    ClientRequest stays = request;
    stays.redirect(302, "http://a/b", true);
    EXPECT_TRUE(stays.headers().find("Authorization").has_value());
    request.redirect(302, "http://b/", false);
    EXPECT_FALSE(request.headers().find("Authorization").has_value());
    EXPECT_FALSE(request.headers().find("Cookie").has_value());
    EXPECT_TRUE(request.headers().find("Accept").has_value());
}

}  // namespace
}  // namespace troupe::http

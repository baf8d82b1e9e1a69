#include <troupe/http/internal/request_writer.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http_internal {
namespace {

using http::ClientErrc;
using http::ClientRequest;

std::string written(const ClientRequest& request, RequestBody body = RequestBody::whole) {
    const Result<http::Url> url = http::Url::parse(request.url());
    EXPECT_TRUE(url.has_value());
    const Result<std::string> head = write_request_head(request, *url, body);
    if (head) return *head;
    EXPECT_EQ(head.error(), ClientErrc::bad_request);
    return "refused: " + head.error().text();
}

TEST(RequestWriter, RefusesWhatCouldBeReadAsTwoRequests) {
    for (const char* method :
         {"", "G ET", "GET\r\n", "GET /x HTTP/1.1\r\nA:", "G\xc3\xa4T", "G(T"}) {
        EXPECT_EQ(written(ClientRequest(method, "http://a/")), "refused: the method is malformed");
    }
    for (const char* name : {"", "A b", "A:", "A\r\nB", "\xc3\xa4"}) {
        EXPECT_EQ(written(ClientRequest("GET", "http://a/").header(name, "x")),
                  "refused: the name of a header line is malformed");
    }
    for (const char* value : {"x\r\nB: y", "x\n", "\x01", "x\x7f"}) {
        EXPECT_EQ(written(ClientRequest("GET", "http://a/").header("A", value)),
                  "refused: the header line A holds a control character");
    }
}

TEST(RequestWriter, RefusesWhatIsTheClientsOwnAffair) {
    for (const char* name : {"Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade",
                             "Expect", "TE", "Trailer", "Keep-Alive"}) {
        EXPECT_EQ(written(ClientRequest("GET", "http://a/").header(name, "x")),
                  "refused: the header line " + std::string(name) + " is written by the client");
    }
    EXPECT_EQ(written(ClientRequest("CONNECT", "http://a/")),
              "refused: this client has no use for CONNECT");
}

TEST(RequestWriter, WritesRequests) {
    EXPECT_EQ(written(ClientRequest("GET", "http://Example.com/x?y#z").header("A", "b\tc")),
              "GET /x?y HTTP/1.1\r\nHost: example.com\r\nA: b\tc\r\n\r\n");
    EXPECT_EQ(written(ClientRequest("POST", "http://[::1]:81").body("abc")),
              "POST / HTTP/1.1\r\nHost: [::1]:81\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(written(ClientRequest("PUT", "http://a/")),
              "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(written(ClientRequest("POST", "http://a/"), RequestBody::chunked),
              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
}

}  // namespace
}  // namespace troupe::http_internal

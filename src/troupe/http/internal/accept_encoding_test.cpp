#include <troupe/http/internal/accept_encoding.hpp>

#include <gtest/gtest.h>

namespace troupe::http_internal {
namespace {

bool prefers(const char* value) {
    http::Request request;
    request.add_header("Accept-Encoding", value);
    return prefers_gzip(request);
}

TEST(AcceptEncoding, SaysThatGzipIsWelcome) {
    for (const char* value :
         {"gzip", "GZIP", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*", "x-gzip",
          "deflate , gzip ; q=0.001", "identity;q=0.5, gzip;q=0.5", "gzip;q=1.000", ",,gzip"}) {
        EXPECT_TRUE(prefers(value)) << value;
    }
}

TEST(AcceptEncoding, SaysThatItIsNot) {
    for (const char* value : {"", "br", "identity", "gzip;q=0", "gzip;q=0.000, *", "*;q=0",
                              "gzip;q=0, br", "identity;q=1, gzip;q=0.5", "gzip;q=2", "gzip;q=abc",
                              "gzip;q=0.0001", "gzipped", "gzip;level=3"}) {
        EXPECT_FALSE(prefers(value)) << value;
    }
    EXPECT_FALSE(prefers_gzip(http::Request())) << "nothing was said";
}

TEST(AcceptEncoding, MayHaveSeveralLines) {
    http::Request request;
    request.add_header("Accept-Encoding", "br");
    request.add_header("Accept-Encoding", "gzip");
    EXPECT_TRUE(prefers_gzip(request));
}

}  // namespace
}  // namespace troupe::http_internal

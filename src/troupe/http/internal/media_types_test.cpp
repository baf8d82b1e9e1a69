#include <troupe/http/internal/media_types.hpp>

#include <gtest/gtest.h>

namespace troupe::http_internal {
namespace {

TEST(MediaTypes, AreKnownByTheEndOfAName) {
    EXPECT_EQ(media_type_of("index.html"), "text/html; charset=utf-8");
    EXPECT_EQ(media_type_of("a/b.min.JS"), "text/javascript; charset=utf-8");
    EXPECT_EQ(media_type_of("photo.JPEG"), "image/jpeg");
    EXPECT_EQ(media_type_of("x.wasm"), "application/wasm");
    for (const char* name : {"", "README", "a.html/b", ".", "a.", "x.exe", "html"}) {
        EXPECT_EQ(media_type_of(name), "application/octet-stream") << name;
    }
}

TEST(MediaTypes, SayWhetherCompressingHelps) {
    for (const char* type : {"text/html; charset=utf-8", "text/event-stream", "application/json",
                             "application/json ; charset=utf-8", "image/svg+xml",
                             "application/problem+json", "application/wasm", "TEXT/plain"}) {
        EXPECT_TRUE(is_compressible(type)) << type;
    }
    for (const char* type : {"", "image/png", "application/gzip", "application/octet-stream",
                             "video/mp4", "font/woff2", "application/zip"}) {
        EXPECT_FALSE(is_compressible(type)) << type;
    }
}

}  // namespace
}  // namespace troupe::http_internal

#include <troupe/http/internal/gzip.hpp>
#include <troupe/http/internal/test_folder.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http_internal {
namespace {

std::string gzipped(std::string_view text) {
    std::string out;
    GzipWriter writer(6);
    writer.write(text, GzipWriter::Flush::end, out);
    return out;
}

TEST(Gzip, ComesBackAsItWas) {
    for (const std::string& text :
         {std::string(), std::string("a"), std::string(1'000'000, 'x'), test_bytes(300'000)}) {
        std::string out = "before";
        EXPECT_EQ(gunzip(gzipped(text), text.size(), out), Gunzip::done) << text.size();
        EXPECT_TRUE(out == "before" + text);
    }
}

TEST(Gzip, CanBeReadUpToEachFlush) {
    GzipWriter writer(6);
    std::string sent;
    for (const char* piece : {"one ", "two ", "three"}) {
        writer.write(piece, GzipWriter::Flush::so_far, sent);
        std::string seen;
        EXPECT_EQ(gunzip(sent, 100, seen), Gunzip::malformed) << "it has no end yet";
        EXPECT_TRUE(seen.ends_with(piece)) << seen;
    }
    writer.write("", GzipWriter::Flush::end, sent);
    std::string seen;
    EXPECT_EQ(gunzip(sent, 100, seen), Gunzip::done);
    EXPECT_EQ(seen, "one two three");
}

TEST(Gzip, StopsAtItsLimit) {
    const std::string bomb = gzipped(std::string(10'000'000, '\0'));
    std::string out;
    EXPECT_EQ(gunzip(bomb, 9'999'999, out), Gunzip::too_large);
    out.clear();
    EXPECT_EQ(gunzip(bomb, 0, out), Gunzip::too_large);
    EXPECT_LE(out.size(), 1u) << "and no further";
}

TEST(Gzip, IsNothingElse) {
    const std::string right = gzipped("hello, hello, hello");
    std::string out;
    for (std::size_t size = 0; size < right.size(); ++size) {
        EXPECT_EQ(gunzip(right.substr(0, size), 100, out), Gunzip::malformed) << size;
    }
    for (std::size_t i = 10; i < right.size(); ++i) {
        std::string wrong = right;
        wrong[i] = static_cast<char>(wrong[i] ^ 1);
        EXPECT_NE(gunzip(wrong, 100, out), Gunzip::done) << i;
    }
    EXPECT_EQ(gunzip("hello", 100, out), Gunzip::malformed);
}

}  // namespace
}  // namespace troupe::http_internal

#include <troupe/http/internal/open_file.hpp>
#include <troupe/http/internal/test_folder.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace troupe::http_internal {
namespace {

constexpr OpenPolicy kBeneath{true, false};
constexpr OpenPolicy kWithLinks{true, true};
constexpr OpenPolicy kAnywhere{false, true};

class OpenFileTest : public testing::Test {
protected:
    OpenFileTest() {
        folder_.write("inner/a.txt", "hello");
        folder_.write("inner/deep/b.txt", "deep");
        folder_.write("outside.txt", "secret");
        folder_.link("a.txt", "inner/near");
        folder_.link("deep", "inner/folder_link");
        folder_.link("../outside.txt", "inner/out");
        folder_.link("/etc/passwd", "inner/absolute");
        folder_.link("/proc/self/root/etc/passwd", "inner/magic");
        root_ = open_for_reading(AT_FDCWD, folder_.path() + "/inner", kAnywhere, OpenWait::yes);
        EXPECT_EQ(root_.reason, 0);
        EXPECT_TRUE(root_.is_folder);
    }

    OpenFile open(const std::string& path, OpenPolicy policy = kBeneath) const {
        return open_for_reading(root_.descriptor->number(), path, policy, OpenWait::yes);
    }

    TestFolder folder_;
    OpenFile root_;
};

TEST_F(OpenFileTest, OpensWhatLiesInTheFolder) {
    const OpenFile file = open("a.txt");
    EXPECT_EQ(file.reason, 0);
    EXPECT_EQ(file.size, 5u);
    EXPECT_FALSE(file.is_folder);
    EXPECT_GT(file.modified_ns, 0);
    EXPECT_EQ(open("deep/b.txt").size, 4u);
    EXPECT_TRUE(open("deep").is_folder);
    EXPECT_EQ(open("nothing").reason, ENOENT);
    EXPECT_EQ(open("a.txt/b").reason, ENOTDIR);
}

TEST_F(OpenFileTest, GoesNowhereElse) {
    for (const char* path : {"../outside.txt", "deep/../../outside.txt", "/etc/passwd", "..", "out",
                             "absolute", "magic"}) {
        EXPECT_NE(open(path).reason, 0) << path;
        EXPECT_NE(open(path, kWithLinks).reason, 0) << path;
    }
}

TEST_F(OpenFileTest, FollowsLinksWithinOnlyWhenTold) {
    EXPECT_EQ(open("near").reason, ELOOP);
    EXPECT_EQ(open("folder_link/b.txt").reason, ELOOP);
    EXPECT_EQ(open("near", kWithLinks).size, 5u);
    EXPECT_EQ(open("folder_link/b.txt", kWithLinks).size, 4u);
}

TEST_F(OpenFileTest, APipeIsNoFileAndKeepsNobodyWaiting) {
    ASSERT_EQ(::mkfifo((folder_.path() + "/inner/pipe").c_str(), 0600), 0);
    EXPECT_EQ(open("pipe").reason, ENOENT);
}

TEST(ServablePath, HasNothingThatLeadsElsewhere) {
    for (const char* path : {"a", "a/b/c.txt", "a/", "a b", "...a", "a..b", "a/b..", "%2e%2e/a",
                             ".well-known/acme-challenge/x", "\xc3\xa4"}) {
        const bool hidden_ok = std::string_view(path).starts_with("...");
        EXPECT_TRUE(is_servable_path(path, hidden_ok)) << path;
    }
    using namespace std::string_literals;
    for (const std::string& path :
         {".."s, "../a"s, "a/.."s, "a/../b"s, "."s, "./a"s, "a/./b"s, "/a"s, "a//b"s, "/"s, "a\0b"s,
          "a\nb"s, "a\\b"s, "..\\a"s, "\x7f"s}) {
        EXPECT_FALSE(is_servable_path(path, true)) << path;
    }
    for (const char* path : {".git/config", "a/.env", ".htaccess", "a/.well-known/b"}) {
        EXPECT_FALSE(is_servable_path(path, false)) << path;
        EXPECT_TRUE(is_servable_path(path, true)) << path;
    }
}

}  // namespace
}  // namespace troupe::http_internal

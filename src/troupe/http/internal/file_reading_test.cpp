#include <troupe/http/internal/file_reading.hpp>
#include <troupe/http/internal/open_file.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace troupe::http_internal {
namespace {

using net_internal::on_both_engines;

/// Opens a file of that text, which goes with the folder.
OpenFile opened(const TestFolder& folder, const std::string& text) {
    const OpenPolicy anywhere{false, true};
    return open_for_reading(AT_FDCWD, folder.write("file", text), anywhere, OpenWait::yes);
}

Task<void> read_parts(System) {
    const TestFolder folder;
    const std::string text = test_bytes(200'000);
    const OpenFile file = opened(folder, text);
    const int descriptor = file.descriptor->number();
    // What is not in memory has to be waited for, and is the same.
    EXPECT_EQ(::fdatasync(descriptor), 0);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    const auto cold = co_await read_file(descriptor, 0, text.size());
    EXPECT_TRUE(cold && *cold == text);
    const auto warm = co_await read_file(descriptor, 1000, 500);
    EXPECT_TRUE(warm && *warm == text.substr(1000, 500));
    const auto rest = co_await read_file(descriptor, 199'000, 5'000);
    EXPECT_TRUE(rest && *rest == text.substr(199'000)) << "shorter only at the end";
    const auto none = co_await read_file(descriptor, 300'000, 10);
    EXPECT_TRUE(none && none->empty());
    const auto brought = co_await bring_into_memory(descriptor, 100'000, 500'000);
    EXPECT_TRUE(brought.has_value()) << "the end is no error here";
    const auto wrong = co_await read_file(-1, 0, 10);
    EXPECT_EQ(wrong.error(), Errc::failed);
    EXPECT_NE(wrong.error().text().find("Bad file descriptor"), std::string::npos);
}

TEST(FileReading, GivesWhatIsThereWhereverItIs) {
    on_both_engines(5, read_parts);
}

}  // namespace
}  // namespace troupe::http_internal

#pragma once

// For tests: a folder of files that goes with it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace troupe::http_internal {

class TestFolder {
public:
    TestFolder() {
        std::string path = testing::TempDir() + "troupe-files-XXXXXX";
        EXPECT_NE(::mkdtemp(path.data()), nullptr);
        path_ = path;
    }
    ~TestFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    const std::string& path() const { return path_; }

    /// Writes a file, and the folders it lies in. Gives its path.
    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = std::filesystem::path(path_) / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    void link(const std::string& target, const std::string& name) const {
        std::filesystem::create_symlink(target, std::filesystem::path(path_) / name);
    }

private:
    std::string path_;
};

/// So many bytes that do not repeat soon.
inline std::string test_bytes(std::size_t size) {
    std::string text(size, '\0');
    unsigned state = 1;
    for (char& c : text) {
        state = state * 1'664'525 + 1'013'904'223;
        c = static_cast<char>(state >> 24);
    }
    return text;
}

}  // namespace troupe::http_internal

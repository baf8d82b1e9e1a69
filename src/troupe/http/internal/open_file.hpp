#pragma once

// Opening files that a stranger has named.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// A descriptor that is closed with it.
class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const noexcept { return number_; }

private:
    const int number_;
};

/// What is known of an open file or folder.
struct OpenFile {
    std::shared_ptr<const Descriptor> descriptor;  // shared with the response that sends it
    std::uint64_t size = 0;
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;  // since 1970
    bool is_folder = false;
    int reason = 0;  // why it is not open: errno; EAGAIN, when that has to be waited for
};

/// What a path may lead through.
struct OpenPolicy {
    bool beneath = true;         // nothing above or beside the folder it begins in
    bool symbolic_links = true;  // those that stay beneath
};

/// Whether to wait for a disk. Only on the blocking pool.
enum class OpenWait : bool { no, yes };

/// Opens a file or folder for reading, relative to a folder or to the process's own (AT_FDCWD).
/// What is neither is not found. Where the kernel knows openat2 it sees to the policy, at every
/// step of the way; on older ones we walk ourselves, and follow no links beneath a folder.
OpenFile open_for_reading(int folder, const std::string& path, OpenPolicy policy, OpenWait wait);

/// Whether a path is one that a client may name: segments that are neither empty nor "." nor "..",
/// without backslashes and control characters, and, unless they are shown, none that begins with a
/// dot but a leading ".well-known" (RFC 8615). A "/" at its end is allowed.
bool is_servable_path(std::string_view path, bool shows_hidden);

}  // namespace troupe::http_internal

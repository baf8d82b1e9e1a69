#include <troupe/http/internal/open_file.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace troupe::http_internal {

namespace {

// NONBLOCK: a pipe among the files must not keep us until somebody writes to it.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

#ifndef RESOLVE_CACHED
constexpr std::uint64_t RESOLVE_CACHED = 0x20;
#endif

int open_by_kernel(int folder, const std::string& path, OpenPolicy policy, OpenWait wait) {
    open_how how{};
    how.flags = kFlags;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    if (policy.beneath) how.resolve |= RESOLVE_BENEATH;
    if (!policy.symbolic_links) how.resolve |= RESOLVE_NO_SYMLINKS;
    if (wait == OpenWait::no) how.resolve |= RESOLVE_CACHED;
    return static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
}

/// Segment by segment, so that none of them can be a link.
int open_by_walking(int folder, std::string_view path) {
    int at = ::fcntl(folder, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && !path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string segment(path.substr(0, slash));
        const bool is_last = slash == std::string_view::npos;
        path = is_last ? std::string_view() : path.substr(slash + 1);
        const int flags = kFlags | O_NOFOLLOW | (is_last ? 0 : O_DIRECTORY);
        const int next = ::openat(at, segment.empty() ? "." : segment.c_str(), flags);
        const int reason = errno;
        ::close(at);
        errno = reason;
        at = next;
    }
    return at;
}

int open_any_way(int folder, const std::string& path, OpenPolicy policy, OpenWait wait) {
    const int opened = open_by_kernel(folder, path, policy, wait);
    if (opened >= 0 || (errno != ENOSYS && errno != EINVAL && errno != EPERM)) return opened;
    // A kernel that is too old, or a sandbox that allows only what it knows.
    if (wait == OpenWait::no) return errno = EAGAIN, -1;
    if (policy.beneath) return open_by_walking(folder, path);
    return ::openat(folder, path.c_str(), kFlags);
}

}  // namespace

Descriptor::~Descriptor() {
    ::close(number_);
}

OpenFile open_for_reading(int folder, const std::string& path, OpenPolicy policy, OpenWait wait) {
    OpenFile file;
    const int opened = open_any_way(folder, path, policy, wait);
    if (opened < 0) {
        file.reason = errno;
        return file;
    }
    file.descriptor = std::make_shared<const Descriptor>(opened);
    struct stat status{};
    if (::fstat(opened, &status) != 0) {
        file.reason = errno;
        return file;
    }
    file.is_folder = S_ISDIR(status.st_mode);
    if (!file.is_folder && !S_ISREG(status.st_mode)) file.reason = ENOENT;
    file.size = static_cast<std::uint64_t>(status.st_size);
    file.inode = status.st_ino;
    file.modified_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
    return file;
}

bool is_servable_path(std::string_view path, bool shows_hidden) {
    for (char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '\\') return false;
    }
    for (bool first = true; !path.empty(); first = false) {
        const std::size_t slash = path.find('/');
        const std::string_view segment = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (segment.empty() || segment == "." || segment == "..") return false;
        const bool is_known = first && segment == ".well-known";
        if (segment.starts_with('.') && !shows_hidden && !is_known) return false;
    }
    return true;
}

}  // namespace troupe::http_internal

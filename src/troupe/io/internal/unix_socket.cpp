#include <troupe/base/error.hpp>
#include <troupe/io/internal/unix_socket.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace troupe::io_internal {

namespace {

std::unexpected<Error> failure(const std::string& path, int reason) {
    return error(Errc::failed, "listening at unix:" + path + ": " + std::strerror(reason));
}

/// Removes what a server has left behind at this path.
Result<void> remove_stale(const SocketAddress& address, const std::string& path) {
    struct stat file{};
    if (::lstat(path.c_str(), &file) != 0) {
        if (errno == ENOENT) return {};
        return failure(path, errno);
    }
    if (!S_ISSOCK(file.st_mode)) {
        return error(Errc::failed,
                     "listening at unix:" + path + ": there is a file, and it is no socket");
    }
    // To be refused is what only a socket that nobody listens at does.
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return failure(path, errno);
    const int connected = ::connect(probe, &address.any, address.bytes);
    const int reason = connected == 0 ? 0 : errno;
    ::close(probe);
    if (reason == ENOENT) return {};
    if (reason != ECONNREFUSED) {
        return error(Errc::already_registered, "unix:" + path + " is in use already");
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(path, errno);
    return {};
}

}  // namespace

UnixSocketFile::UnixSocketFile(UnixSocketFile&& other) noexcept
    : path_(std::exchange(other.path_, std::string())),
      device_(other.device_),
      number_(other.number_) {}

UnixSocketFile& UnixSocketFile::operator=(UnixSocketFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, std::string());
        device_ = other.device_;
        number_ = other.number_;
    }
    return *this;
}

Result<UnixSocketFile> UnixSocketFile::bind(int fd, const SocketAddress& address,
                                            std::uint32_t mode) {
    const std::string path = address.local.sun_path;
    TROUPE_TRY(remove_stale(address, path));
    if (::bind(fd, &address.any, address.bytes) != 0) {
        const int reason = errno;
        if (reason != EADDRINUSE) return failure(path, reason);
        return error(Errc::already_registered, "unix:" + path + " is in use already");
    }
    struct stat file{};
    if (::lstat(path.c_str(), &file) != 0) return failure(path, errno);
    UnixSocketFile owned(path, file.st_dev, file.st_ino);
    if (::chmod(path.c_str(), mode) != 0) return failure(path, errno);
    return owned;
}

void UnixSocketFile::remove() noexcept {
    struct stat file{};
    const bool ours = !path_.empty() && ::lstat(path_.c_str(), &file) == 0 &&
                      file.st_dev == device_ && file.st_ino == number_;
    if (ours) static_cast<void>(::unlink(path_.c_str()));
    path_.clear();
}

}  // namespace troupe::io_internal

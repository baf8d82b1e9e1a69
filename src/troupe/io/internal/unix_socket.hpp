#pragma once

/// The file that a Unix domain socket has.
///
/// The problem: it stays behind when its server dies, and then its successor cannot bind; but to
/// remove whatever lies at a path takes it from a server that is alive, or deletes somebody's file.
/// Our answer: only a socket is ever removed, and only after nobody has answered at it; and at the
/// end only the very file that was made here.

#include <troupe/base/result.hpp>
#include <troupe/io/internal/socket_address.hpp>

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace troupe::io_internal {

/// Owns the file of a socket that listens: it goes with this.
class UnixSocketFile {
public:
    UnixSocketFile() noexcept = default;
    UnixSocketFile(UnixSocketFile&& other) noexcept;
    UnixSocketFile& operator=(UnixSocketFile&& other) noexcept;
    ~UnixSocketFile() { remove(); }

    /// Binds a socket of ours to a path, in place of one that its server has left behind, with
    /// these permissions. Nobody can connect before it listens.
    ///
    /// Errors: already_registered, when somebody listens there; failed, for a file of another kind,
    ///         and what the machine refuses.
    static Result<UnixSocketFile> bind(int fd, const SocketAddress& address, std::uint32_t mode);

private:
    UnixSocketFile(std::string path, dev_t device, ino_t number)
        : path_(std::move(path)), device_(device), number_(number) {}
    void remove() noexcept;

    std::string path_;  // empty: none
    dev_t device_ = 0;
    ino_t number_ = 0;
};

}  // namespace troupe::io_internal

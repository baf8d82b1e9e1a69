#include <troupe/base/error.hpp>
#include <troupe/http/internal/file_reading.hpp>
#include <troupe/task/sleep.hpp>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace troupe::http_internal {

namespace {

/// Reads until the buffer is full or the file ends. 0, or why not.
int read_waiting(int descriptor, std::uint64_t offset, std::span<char> buffer, std::size_t& got) {
    while (got < buffer.size()) {
        const ssize_t read = ::pread(descriptor, buffer.data() + got, buffer.size() - got,
                                     static_cast<off_t>(offset + got));
        if (read == 0) return 0;
        if (read < 0 && errno == EINTR) continue;
        if (read < 0) return errno;
        got += static_cast<std::size_t>(read);
    }
    return 0;
}

/// A read on the blocking pool, with the memory it reads into: who waits for it may be gone.
struct PoolRead {
    std::string buffer;
    std::size_t got = 0;
    int reason = 0;
};

}  // namespace

std::size_t read_what_is_in_memory(int descriptor, std::uint64_t offset, std::span<char> buffer) {
    std::size_t got = 0;
    while (got < buffer.size()) {
        iovec room{buffer.data() + got, buffer.size() - got};
        const ssize_t read =
            ::preadv2(descriptor, &room, 1, static_cast<off_t>(offset + got), RWF_NOWAIT);
        if (read < 0 && errno == EINTR) continue;
        if (read <= 0) break;
        got += static_cast<std::size_t>(read);
    }
    return got;
}

Task<Result<std::string>> read_file(int descriptor, std::uint64_t offset, std::size_t bytes,
                                    std::string buffer) {
    PoolRead read;
    read.buffer = std::move(buffer);
    read.buffer.resize(bytes);
    read.got = read_what_is_in_memory(descriptor, offset, read.buffer);
    if (read.got < bytes) {
        auto wait = [descriptor, offset, read = std::move(read)]() mutable {
            read.reason = read_waiting(descriptor, offset, read.buffer, read.got);
            return std::move(read);
        };
        read = co_await or_return(co_await offload(std::move(wait)));
    }
    if (read.reason != 0) {
        co_return error(Errc::failed, std::string("reading a file: ") + std::strerror(read.reason));
    }
    read.buffer.resize(read.got);
    co_return std::move(read.buffer);
}

Task<Result<void>> bring_into_memory(int descriptor, std::uint64_t offset, std::uint64_t bytes) {
    // The machine reads ahead, so what comes last is missing if anything is.
    char last = 0;
    if (read_what_is_in_memory(descriptor, offset + bytes - 1, std::span(&last, 1)) == 1) {
        co_return Result<void>();
    }
    auto wait = [descriptor, offset, bytes] {
        std::string scratch(kFilePieceBytes, '\0');
        for (std::uint64_t at = offset; at < offset + bytes;) {
            std::size_t got = 0;
            const int reason = read_waiting(descriptor, at, scratch, got);
            if (reason != 0 || got == 0) return reason;
            at += got;
        }
        return 0;
    };
    const int reason = co_await or_return(co_await offload(wait));
    if (reason == 0) co_return Result<void>();
    co_return error(Errc::failed, std::string("reading a file: ") + std::strerror(reason));
}

}  // namespace troupe::http_internal

/// Sockets cost system calls, so what the reactor has told is remembered: a read is tried only
/// after an edge or after a read that filled its buffer, a write unless the last one found no room.
/// A request that arrives in one piece is one read. The ready bit is cleared before a read, never
/// after: an edge in between must not be lost.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/socket.hpp>
#include <troupe/io/internal/socket_address.hpp>
#include <troupe/io/internal/unix_socket.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

namespace troupe::io_internal {

namespace {

/// Owns a descriptor until the reactor does.
class Descriptor {
public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int get() const noexcept { return fd_; }
    bool valid() const noexcept { return fd_ >= 0; }
    void release() noexcept { fd_ = -1; }

private:
    int fd_;
};

Errc code_of(int reason) noexcept {
    switch (reason) {
        case EADDRINUSE:
            return Errc::already_registered;
        case ECONNREFUSED:
        case ENOENT:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EADDRNOTAVAIL:
            return Errc::unreachable;
        case ETIMEDOUT:
            return Errc::timed_out;
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
        case ENOTCONN:
            return Errc::closed;
        default:
            return Errc::failed;
    }
}

std::unexpected<Error> failure(const std::string& what, int reason) {
    return error(code_of(reason), what + ": " + std::strerror(reason));
}

/// A request and its answer are each one write here, so waiting for more only costs time.
void send_without_delay(int fd) noexcept {
    const int on = 1;
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

std::uint32_t bits_of(Direction direction) noexcept {
    switch (direction) {
        case Direction::read:
            return IoWatch::kReadable;
        case Direction::write:
            return IoWatch::kWritable;
        case Direction::both:
            break;
    }
    return IoWatch::kReadable | IoWatch::kWritable;
}

bool tell_observer(void* observer, Cell& cell) {
    return static_cast<Observer*>(observer)->ready(cell);
}

bool try_operation_again(Awaiting& record) {
    auto& operation = static_cast<Operation&>(record);
    if (operation.try_again()) return true;
    operation.target()->wait(*current_cell(), operation);  // perhaps for other bits from now on
    return false;
}

/// As sendfile. That a peer is gone would be a signal, which ends the process, and there is no flag
/// against it as there is for writing; here it is an error and nothing else.
ssize_t sendfile_without_signal(int to, int from, off_t at, std::size_t bytes) noexcept {
    sigset_t broken_pipe;
    sigset_t before;
    ::sigemptyset(&broken_pipe);
    ::sigaddset(&broken_pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    const ssize_t sent = ::sendfile(to, from, &at, bytes);
    const int reason = errno;
    if (::sigismember(&before, SIGPIPE) == 0) {
        // Also when something went before the end was met.
        const timespec at_once{};
        if (sent != static_cast<ssize_t>(bytes)) {
            ::sigtimedwait(&broken_pipe, nullptr, &at_once);
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    errno = reason;
    return sent;
}

/// Many of them are idle, so it is small: 40 bytes.
class SocketStream final : public StreamCore {
public:
    SocketStream(IoWatch& watch, const SocketAddress& peer) noexcept
        : peer_family_(static_cast<std::uint8_t>(peer.any.sa_family)), watch_(watch) {
        static_assert(AF_INET < 256 && AF_INET6 < 256 && AF_UNIX < 256);
        if (peer_family_ == AF_INET6) {
            peer_port_ = peer.v6.sin6_port;
            peer_v6_ = peer.v6.sin6_addr;
        } else if (peer_family_ == AF_INET) {
            peer_port_ = peer.v4.sin_port;
            peer_v4_ = peer.v4.sin_addr;
        }
    }

    bool read(std::span<char> buffer, Result<std::size_t>& result) override {
        // Taken in any case, so that what the read empties is not reported again.
        if (!watch_.take_ready(IoWatch::kReadable) && !more_to_read_) return false;
        for (;;) {
            const ssize_t got = ::recv(watch_.fd(), buffer.data(), buffer.size(), 0);
            if (got >= 0) {
                const auto bytes = static_cast<std::size_t>(got);
                // A short read has emptied the socket, and what comes next is a new edge. Only the
                // peer's end may have come with the edge already taken.
                more_to_read_ = bytes == buffer.size() || watch_.is_ready(IoWatch::kPeerFinished);
                result = bytes;
                return true;
            }
            if (errno == EINTR) continue;
            more_to_read_ = false;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
            result = failure("reading from " + to_string(peer()), errno);
            return true;
        }
    }

    Result<std::size_t> write(std::string_view data) override {
        if (!room_to_write_ && !watch_.take_ready(IoWatch::kWritable)) return 0;
        for (;;) {
            const ssize_t sent = ::send(watch_.fd(), data.data(), data.size(), MSG_NOSIGNAL);
            if (sent >= 0) {
                room_to_write_ = static_cast<std::size_t>(sent) == data.size();
                return static_cast<std::size_t>(sent);
            }
            if (errno == EINTR) continue;
            room_to_write_ = false;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
            return failure("writing to " + to_string(peer()), errno);
        }
    }

    bool sends_files() const noexcept override { return true; }

    Result<std::size_t> write_file(int descriptor, std::uint64_t offset,
                                   std::size_t bytes) override {
        if (!room_to_write_ && !watch_.take_ready(IoWatch::kWritable)) return 0;
        room_to_write_ = true;
        for (;;) {
            const ssize_t sent =
                sendfile_without_signal(watch_.fd(), descriptor, static_cast<off_t>(offset), bytes);
            // Fewer than asked for may be all there was in the file, so it says nothing of room.
            if (sent > 0) return static_cast<std::size_t>(sent);
            if (sent == 0) return error(Errc::failed, "the file has become shorter");
            if (errno == EINTR) continue;
            room_to_write_ = errno != EAGAIN && errno != EWOULDBLOCK;
            if (!room_to_write_) return 0;
            return failure("sending a file to " + to_string(peer()), errno);
        }
    }

    void wait_for(Cell& cell, Direction direction, std::uint32_t number) override {
        watch_.wait_for(bits_of(direction), cell, number, &try_operation_again);
    }

    void observe(Cell& cell, Observer& observer, Direction direction) override {
        watch_.observe(bits_of(direction), cell, &tell_observer, &observer);
    }

    Result<void> shutdown_write() override {
        if (::shutdown(watch_.fd(), SHUT_WR) == 0) return {};
        return failure("ending what is sent to " + to_string(peer()), errno);
    }

    Endpoint local() const override {
        SocketAddress address;
        if (::getsockname(watch_.fd(), &address.any, &address.bytes) != 0) return Endpoint({}, 0);
        return to_endpoint(address);
    }
    Endpoint peer() const override {
        SocketAddress address;
        if (peer_family_ == AF_UNIX) {
            if (::getpeername(watch_.fd(), &address.any, &address.bytes) != 0)
                return Endpoint({}, 0);
            return to_endpoint(address);
        }
        address.any.sa_family = peer_family_;
        if (peer_family_ == AF_INET6) {
            address.v6.sin6_port = peer_port_;
            address.v6.sin6_addr = peer_v6_;
        } else {
            address.v4.sin_port = peer_port_;
            address.v4.sin_addr = peer_v4_;
        }
        return to_endpoint(address);
    }

    void close() noexcept override {
        watch_.close();
        delete this;
    }
    void abort() noexcept override {
        const linger at_once{1, 0};
        ignore(::setsockopt(watch_.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
               "a socket that cannot be told is closed in order");
        close();
    }

private:
    std::uint16_t peer_port_ = 0;  // and the address: as the network writes them
    std::uint8_t peer_family_;
    bool more_to_read_ : 1 = false;
    bool room_to_write_ : 1 = true;
    IoWatch& watch_;
    union {
        in_addr peer_v4_;
        in6_addr peer_v6_;
    };
};
static_assert(sizeof(SocketStream) <= 40);

class SocketListener final : public ListenerCore {
public:
    SocketListener(Engine& engine, IoWatch& watch, UnixSocketFile file) noexcept
        : engine_(engine), watch_(watch), file_(std::move(file)) {}

    Accept accept(Result<StreamCore*>& result) override {
        if (!watch_.take_ready(IoWatch::kReadable) && !more_to_accept_)
            return Accept::nothing_there;
        for (;;) {
            SocketAddress peer;
            Descriptor accepted(
                ::accept4(watch_.fd(), &peer.any, &peer.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (accepted.valid()) {
                more_to_accept_ = true;
                if (peer.any.sa_family != AF_UNIX) send_without_delay(accepted.get());
                const Result<IoWatch*> watch = engine_.reactor()->open(accepted.get());
                if (!watch) return Accept::nothing_free;
                accepted.release();
                result = new SocketStream(**watch, peer);
                return Accept::done;
            }
            switch (errno) {
                case EAGAIN:
                    more_to_accept_ = false;
                    return Accept::nothing_there;
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                    more_to_accept_ = true;  // there is no edge for a descriptor that is freed
                    return Accept::nothing_free;
                case EBADF:
                case EINVAL:
                case ENOTSOCK:
                case EOPNOTSUPP:
                    result = failure("accepting at " + to_string(local()), errno);
                    return Accept::done;
                default:
                    continue;  // that connection was lost before it was accepted; the next one
            }
        }
    }

    void wait(Cell& cell, Operation& operation) override {
        watch_.wait_for(IoWatch::kReadable, cell, operation.number, &try_operation_again);
    }

    Endpoint local() const override {
        SocketAddress address;
        if (::getsockname(watch_.fd(), &address.any, &address.bytes) != 0) return Endpoint({}, 0);
        return to_endpoint(address);
    }

    void close() noexcept override {
        watch_.close();
        delete this;
    }

private:
    Engine& engine_;
    IoWatch& watch_;
    UnixSocketFile file_;  // of a Unix socket
    bool more_to_accept_ = false;
};

/// Waits until a connection is there or has failed.
class Connecting final : public Waitable {
public:
    explicit Connecting(IoWatch& watch) noexcept : watch_(watch) {}

    void wait(Cell& cell, Operation& operation) override {
        watch_.wait_for(IoWatch::kWritable, cell, operation.number, &try_operation_again);
    }

    /// False: not yet. Else `reason` is 0 or says why not.
    bool finished(int& reason) noexcept {
        if (!watch_.take_ready(IoWatch::kWritable)) return false;
        socklen_t bytes = sizeof reason;
        if (::getsockopt(watch_.fd(), SOL_SOCKET, SO_ERROR, &reason, &bytes) != 0) reason = errno;
        return true;
    }

private:
    IoWatch& watch_;
};

class Connected final : public Operation {
public:
    Connected(Connecting& connecting, Duration timeout) noexcept
        : Operation(&connecting, Direction::write, Interruptible::yes, "connect"),
          connecting_(connecting) {
        timeout_ = timeout;
    }
    /// 0, or what the machine says.
    Result<int> await_resume() {
        return done() ? Result<int>(reason_) : std::unexpected(interruption());
    }

private:
    bool attempt() override { return connecting_.finished(reason_); }

    Connecting& connecting_;
    int reason_ = 0;
};

}  // namespace

Result<ListenerCore*> listen_socket(Engine& engine, const Endpoint& endpoint,
                                    const ListenOptions& options) {
    TROUPE_TRY(const SocketAddress address, to_address(endpoint));
    Descriptor descriptor(
        ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const std::string what = "listening at " + to_string(endpoint);
    if (!descriptor.valid()) return failure(what, errno);
    // A server that is started again finds its port although old connections still fade away.
    const int on = 1;
    static_cast<void>(::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    if (options.reuse_port() &&
        ::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
        return failure(what + " beside others", errno);
    }
    UnixSocketFile file;
    if (endpoint.is_unix()) {
        TROUPE_TRY(file,
                   UnixSocketFile::bind(descriptor.get(), address, options.unix_permissions()));
    }
    if ((!endpoint.is_unix() && ::bind(descriptor.get(), &address.any, address.bytes) != 0) ||
        ::listen(descriptor.get(), options.backlog()) != 0) {
        const int reason = errno;
        if (reason == EADDRINUSE)
            return failure(to_string(endpoint) + " is in use already", reason);
        return failure(what, reason);
    }
    TROUPE_TRY(IoWatch* const watch, engine.reactor()->open(descriptor.get()));
    descriptor.release();
    return new SocketListener(engine, *watch, std::move(file));
}

Task<Result<Stream>> connect_socket(Engine* engine, Endpoint endpoint, Duration timeout) {
    const SocketAddress address = co_await or_return(to_address(endpoint));
    const std::string what = "connecting to " + to_string(endpoint);
    Descriptor descriptor(
        ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!descriptor.valid()) co_return failure(what, errno);
    if (!endpoint.is_unix()) send_without_delay(descriptor.get());
    // Begun before it is watched: an idle socket counts as hung up.
    if (::connect(descriptor.get(), &address.any, address.bytes) != 0 && errno != EINPROGRESS) {
        co_return failure(what, errno);
    }
    IoWatch* const watch = co_await or_return(engine->reactor()->open(descriptor.get()));
    descriptor.release();
    Stream stream(new SocketStream(*watch, address));
    Connecting connecting(*watch);
    const int reason = co_await or_return(co_await Connected(connecting, timeout));
    if (reason != 0) co_return failure(what, reason);
    co_return stream;
}

}  // namespace troupe::io_internal

#pragma once

/// A connection that coroutines read from and write to.
///
/// The problem: waiting for a socket must not cost a system call, an allocation or a turn unless
/// there is really something to wait for; and the same code must run on the deterministic engine,
/// which has no sockets.
///
/// The answer: an operation tries at once and suspends only when there is nothing there (or no
/// room). It lives in the frame of the coroutine that awaits it. When the socket becomes ready, the
/// operation is tried again inside the cell's turn, and the coroutine is resumed only when it has
/// something. Which network is behind a Stream is decided by the engine it was made on: sockets, or
/// an in-memory network (docs/design/0003-memory-network.md).

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/task/task.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string_view>
#include <utility>

namespace troupe {

class Engine;
struct TlsInfo;

/// Whether a stop of the actor ends what it waits for, with Errc::cancelled.
enum class Interruptible : bool { no, yes };

namespace io_internal {

class StreamCore;
struct StreamAccess;
class Waitable;

enum class Direction : std::uint8_t { read, write, both };

/// Who hears that a stream may be read from or written to again without awaiting it: an actor that
/// goes on handling messages meanwhile.
class Observer {
public:
    /// In a turn of the cell, between two messages or while a handler waits. True when that ends
    /// what the cell's coroutine waits for.
    virtual bool ready(Cell& cell) noexcept = 0;

protected:
    ~Observer() = default;
};

/// Something tried until it has an outcome, waiting for its socket in between.
class [[nodiscard]] Operation : public Awaiting {
public:
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    bool await_ready();
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self,
                       std::source_location place = std::source_location::current()) {
        where = place;
        return suspend(self);
    }

    /// Tries once more, in the turn of the cell that waits: true when there is an outcome.
    bool try_again() { return done_ = attempt(); }
    bool done() const noexcept { return done_; }
    Waitable* target() const noexcept { return target_; }
    Direction direction() const noexcept { return direction_; }

    /// The target has no deadline of its own any more, as it had when the wait began.
    void forget_target_deadline() noexcept { deadline = std::min(own_deadline_, scope_deadline); }

protected:
    Operation(Waitable* target, Direction direction, Interruptible interrupts,
              const char* name) noexcept
        : target_(target), direction_(direction) {
        what = name;
        interruptible = interrupts == Interruptible::yes;
    }
    ~Operation() = default;

    virtual bool attempt() = 0;

    /// Why the wait ended without an outcome.
    Error interruption() const;

    Duration timeout_ = Duration::max();
    Duration own_deadline_ = Duration::max();
    std::size_t moved_ = 0;  // bytes, so far

private:
    bool suspend(std::coroutine_handle<> self);

    Waitable* target_;
    Direction direction_;
    bool done_ = false;
};

class [[nodiscard]] Read final : public Operation {
public:
    Read(StreamCore* core, std::span<char> buffer, Interruptible interrupts) noexcept;

    /// Waits this long at most. Units: engine time.
    ///
    /// A new one, made in the awaiter's place: GCC 12 moves what it awaits by reference.
    Read within(Duration timeout) && {
        return Read(core_, buffer_, Interruptible(interruptible), timeout);
    }

    [[nodiscard("a read may fail or meet the end: check the Result")]] Result<std::size_t>
    await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    Read(StreamCore* core, std::span<char> buffer, Interruptible interrupts,
         Duration timeout) noexcept
        : Read(core, buffer, interrupts) {
        timeout_ = timeout;
    }
    bool attempt() override;

    StreamCore* core_;
    std::span<char> buffer_;
    Result<std::size_t> result_;
};

class [[nodiscard]] Write final : public Operation {
public:
    Write(StreamCore* core, std::string_view data, Interruptible interrupts) noexcept;

    /// Waits this long at most for the whole. Units: engine time.
    Write within(Duration timeout) && {
        return Write(core_, rest_, Interruptible(interruptible), timeout);
    }

    [[nodiscard("the peer may be gone: check the Result of a write")]] Result<void> await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    Write(StreamCore* core, std::string_view data, Interruptible interrupts,
          Duration timeout) noexcept
        : Write(core, data, interrupts) {
        timeout_ = timeout;
    }
    bool attempt() override;

    StreamCore* core_;
    std::string_view rest_;
    Result<void> result_;
};

class [[nodiscard]] Handshake final : public Operation {
public:
    Handshake(StreamCore* core, Interruptible interrupts) noexcept;

    /// Waits this long at most. Units: engine time.
    Handshake within(Duration timeout) && {
        return Handshake(core_, Interruptible(interruptible), timeout);
    }

    [[nodiscard("the two ends may not agree: check the Result")]] Result<void> await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    Handshake(StreamCore* core, Interruptible interrupts, Duration timeout) noexcept
        : Handshake(core, interrupts) {
        timeout_ = timeout;
    }
    bool attempt() override;

    StreamCore* core_;
    Result<void> result_;
};

}  // namespace io_internal

/// How far a transfer has come.
struct Transferred {
    std::size_t read = 0;
    std::size_t written = 0;
    bool ended = false;  ///< the peer has finished sending
};

namespace io_internal {

/// What a transfer waits for.
Direction direction_of(std::span<char> buffer, std::string_view data) noexcept;

/// Writes and reads what goes at once, and adds what has moved. True when the transfer is over by
/// it; a core that is null is a stream that was closed here.
bool transfer_at_once(StreamCore* core, std::span<char> buffer, std::string_view data,
                      Result<Transferred>& result, std::size_t& moved);

class [[nodiscard]] Transfer final : public Operation {
public:
    Transfer(StreamCore* core, std::span<char> buffer, std::string_view data,
             Interruptible interrupts) noexcept;

    /// Waits this long at most for something. Units: engine time.
    Transfer within(Duration timeout) && {
        return Transfer(core_, buffer_, data_, Interruptible(interruptible), timeout);
    }

    [[nodiscard("a transfer may fail or meet the end: check the Result")]] Result<Transferred>
    await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    Transfer(StreamCore* core, std::span<char> buffer, std::string_view data,
             Interruptible interrupts, Duration timeout) noexcept
        : Transfer(core, buffer, data, interrupts) {
        timeout_ = timeout;
    }
    bool attempt() override;

    StreamCore* core_;
    std::span<char> buffer_;
    std::string_view data_;
    Result<Transferred> result_;
};

class [[nodiscard]] SendFile final : public Operation {
public:
    SendFile(StreamCore* core, int descriptor, std::uint64_t offset, std::size_t bytes) noexcept;

    /// Waits this long at most for something to go. Units: engine time.
    SendFile within(Duration timeout) && {
        return SendFile(core_, descriptor_, offset_, bytes_, timeout);
    }

    [[nodiscard("the peer or the file may be gone: check the Result")]] Result<std::size_t>
    await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    SendFile(StreamCore* core, int descriptor, std::uint64_t offset, std::size_t bytes,
             Duration timeout) noexcept
        : SendFile(core, descriptor, offset, bytes) {
        timeout_ = timeout;
    }
    bool attempt() override;

    StreamCore* core_;
    int descriptor_;
    std::uint64_t offset_;
    std::size_t bytes_;
    Result<std::size_t> result_;
};

}  // namespace io_internal

/// One end of a connection. Closed when it goes.
///
/// It belongs to one actor or task at a time and may be moved to another, for example as an
/// argument of a message, while nobody waits for it. It must not outlive its engine.
///
/// Errors:  closed, when the connection is broken or was closed here; failed, for what the machine
///          refuses. The end of what the peer sends is no error.
/// Threads: in the turn of the actor or task it belongs to; suspends that, never the worker.
class Stream {
public:
    /// No connection: every operation answers `closed`.
    Stream() noexcept = default;
    explicit Stream(io_internal::StreamCore* core) noexcept : core_(core) {}
    Stream(Stream&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    Stream& operator=(Stream&& other) noexcept {
        if (this != &other) {
            close();
            core_ = std::exchange(other.core_, nullptr);
        }
        return *this;
    }
    ~Stream() { close(); }

    bool is_open() const noexcept { return core_ != nullptr; }

    /// Waits for something to read and puts what there is into the buffer, which stays the
    /// caller's and must live meanwhile. Gives the number of bytes; 0: the peer has finished
    /// sending (or the buffer is empty). `.within(5s)` bounds the wait.
    ///
    /// Errors:  as above; timed_out; cancelled, only when interruptible. Nothing is lost then.
    io_internal::Read read_some(std::span<char> buffer,
                                Interruptible interruptible = Interruptible::no) noexcept {
        return io_internal::Read(core_, buffer, interruptible);
    }

    /// Writes all of `data`, which stays the caller's and must live meanwhile. Tries at once and
    /// waits only for the rest.
    ///
    /// Errors:  as above; timed_out and cancelled as for read_some. How much of the data went is
    ///          unknown then: close the stream.
    io_internal::Write write_all(std::string_view data,
                                 Interruptible interruptible = Interruptible::no) noexcept {
        return io_internal::Write(core_, data, interruptible);
    }

    /// Reads what there is into the buffer and writes what goes of `data`, and waits only while it
    /// can do neither: for whoever must not stop listening because the peer does not. An empty
    /// buffer is not read into; empty data is not written. Not both.
    ///
    /// Errors:  as above; timed_out and cancelled as for read_some. What was transferred before
    ///          either has been told.
    io_internal::Transfer transfer(std::span<char> buffer, std::string_view data,
                                   Interruptible interruptible = Interruptible::no) noexcept {
        return io_internal::Transfer(core_, buffer, data, interruptible);
    }

    /// Whether send_file() works: over a socket without a layer on it, not in memory nor over TLS.
    bool sends_files() const noexcept;

    /// Sends up to so many bytes of an open file from there, which the machine does without us
    /// reading them. Tries at once and waits only while nothing goes. Gives the number of bytes,
    /// at least 1 (0: none were asked for). The descriptor stays the caller's.
    ///
    /// Errors:  as above; timed_out; failed, also when the file ends before `offset`.
    /// Threads: as above; a worker waits for the disk when the bytes are not in memory.
    io_internal::SendFile send_file(int descriptor, std::uint64_t offset,
                                    std::size_t bytes) noexcept {
        return io_internal::SendFile(core_, descriptor, offset, bytes);
    }

    /// Waits until both ends have agreed on how they speak: TLS, see tls.hpp. At once on a plain
    /// stream. Whoever just reads or writes waits for it on the way.
    ///
    /// Errors:  as above; timed_out; cancelled as for read_some; TlsErrc.
    io_internal::Handshake handshake(Interruptible interruptible = Interruptible::no) noexcept {
        return io_internal::Handshake(core_, interruptible);
    }

    /// What was agreed on; nullopt: nothing as yet, or the stream is plain.
    std::optional<TlsInfo> tls() const;

    /// What read_some would give without waiting; nullopt: nothing there now.
    Result<std::optional<std::size_t>> try_read(std::span<char> buffer);

    /// Writes as much as there is room for and gives the number of bytes; 0: no room now. What did
    /// not go comes again, in front of anything else.
    Result<std::size_t> try_write(std::string_view data);

    /// Tells `observer` once when there may be something to read, or room to write, again: for
    /// components, after a try_read or try_write that gave nothing, in place of an await. It stays
    /// the caller's and must live as long as the stream, which from now on stays with the actor
    /// whose turn this is.
    void observe(io_internal::Observer& observer, io_internal::Direction direction);

    /// Tells the peer that nothing more comes. Reading goes on. What was written arrives first.
    Result<void> shutdown_write();

    /// Ends the connection; what was written still arrives, if the peer has not sent anything that
    /// was not read. Does nothing on a closed stream.
    void close() noexcept;

    /// Both ends' addresses. Empty endpoints on a closed stream.
    Endpoint local() const;
    Endpoint peer() const;

private:
    friend struct io_internal::StreamAccess;

    io_internal::StreamCore* core_ = nullptr;
};

/// Connects to a listener.
///
/// Errors:  unreachable, when nobody listens there or no way leads there; timed_out; cancelled by a
///          stop of the actor; failed, for a host that is no address, and what the machine refuses.
/// Threads: in an actor or task of this engine; suspends it, never the worker.
/// Units:   `timeout` is engine time; without one the machine gives up after some minutes.
Task<Result<Stream>> connect(Engine& engine, Endpoint endpoint, Duration timeout = Duration::max());

}  // namespace troupe

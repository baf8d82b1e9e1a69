#pragma once

/// What a Stream and a Listener are made of: the seam between the handles and the two networks.

#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/scheduler/cell.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::io_internal {

/// Something a cell can wait for.
class Waitable {
public:
    Waitable() = default;
    Waitable(const Waitable&) = delete;
    Waitable& operator=(const Waitable&) = delete;

    /// Makes `cell`, which has just begun to await `operation`, try it again when that may help.
    virtual void wait(Cell& cell, Operation& operation) = 0;

    /// Counts an operation that found everything there, and moved so many bytes. True after so much
    /// in a row that others on the same worker should have a turn.
    bool has_run_long(std::size_t bytes) noexcept {
        effort_ += kEffort + static_cast<std::uint32_t>(std::min<std::size_t>(bytes, kEffortMax));
        return effort_ >= kEffortMax;
    }
    void has_waited() noexcept { effort_ = 0; }

    /// When every wait for it ends, whatever else was said. Units: engine time.
    virtual Duration deadline() const { return Duration::max(); }
    /// What was not done by then; empty: the wait had a deadline of its own.
    virtual std::string overdue() const { return std::string(); }

protected:
    virtual ~Waitable() = default;

private:
    // A peer that sends or takes faster than we do would otherwise keep the worker for itself. As
    // many small operations as a turn handles messages, or bytes that take some tens of
    // microseconds to copy and more to work on. An operation costs about as much as so many bytes.
    static constexpr std::uint32_t kEffort = 1024;
    static constexpr std::uint32_t kEffortMax = 64 * kEffort;
    std::uint32_t effort_ = 0;
};

/// One end of a connection.
class StreamCore : public Waitable {
public:
    /// True with a number of bytes (0: the end) or an error in `result`; false: nothing there now.
    virtual bool read(std::span<char> buffer, Result<std::size_t>& result) = 0;
    /// 0: no room now. `data` is not empty. Who has had no room, or room for a part, comes again
    /// with the bytes that did not go, in front of any others.
    virtual Result<std::size_t> write(std::string_view data) = 0;
    virtual Result<void> shutdown_write() = 0;
    /// Whether write_file() works: where the machine moves a file's bytes by itself.
    virtual bool sends_files() const noexcept { return false; }
    /// As write(), with bytes of a file. Nothing at that offset any more is the error `failed`.
    virtual Result<std::size_t> write_file(int /*descriptor*/, std::uint64_t /*offset*/,
                                           std::size_t /*bytes*/) {
        return error(Errc::failed, "this stream sends no files");
    }
    /// True with an outcome: both ends have agreed on how they speak, where there is anything to be
    /// agreed on. False: it takes longer.
    virtual bool handshake(Result<void>&) { return true; }
    /// As wait(), for what a layer above needs.
    virtual void wait_for(Cell& cell, Direction direction, std::uint32_t number) = 0;
    void wait(Cell& cell, Operation& operation) override {
        wait_for(cell, operation.direction(), operation.number);
    }
    virtual std::optional<TlsInfo> tls() const { return std::nullopt; }
    /// Tells the observer once, in a turn of `cell`, when trying again may help.
    virtual void observe(Cell& cell, Observer& observer, Direction direction) = 0;
    virtual Endpoint local() const = 0;
    virtual Endpoint peer() const = 0;
    /// Closes and frees it.
    virtual void close() noexcept = 0;
    /// The same, and the peer hears of a reset.
    virtual void abort() noexcept { close(); }
};

/// The core of a stream, for whoever puts a layer over it.
struct StreamAccess {
    static StreamCore* core(Stream& stream) noexcept { return stream.core_; }
    static StreamCore* release(Stream& stream) noexcept {
        return std::exchange(stream.core_, nullptr);
    }
};

class ListenerCore : public Waitable {
public:
    enum class Accept : std::uint8_t { done, nothing_there, nothing_free };
    /// `done` with a connection or an error in `result`.
    virtual Accept accept(Result<StreamCore*>& result) = 0;
    virtual Endpoint local() const = 0;
    virtual void close() noexcept = 0;
};

/// Waits for one connection.
class AcceptOnce final : public Operation {
public:
    explicit AcceptOnce(ListenerCore& core) noexcept
        : Operation(&core, Direction::read, Interruptible::yes, "accept"), core_(core) {}

    /// nullptr: there are no descriptors left, try again later.
    Result<StreamCore*> await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    bool attempt() override {
        result_ = nullptr;
        return core_.accept(result_) != ListenerCore::Accept::nothing_there;
    }

    ListenerCore& core_;
    Result<StreamCore*> result_ = nullptr;
};

}  // namespace troupe::io_internal

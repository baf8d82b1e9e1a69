#include <troupe/base/error.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/internal/memory_network.hpp>
#include <troupe/io/internal/socket.hpp>
#include <troupe/io/reset.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/timer.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace troupe {

namespace io_internal {

namespace {

std::unexpected<Error> closed_here() {
    return error(Errc::closed, "the stream is closed");
}

}  // namespace

bool Operation::await_ready() {
    if (!try_again()) return false;
    return target_ == nullptr || !target_->has_run_long(moved_);
}

bool Operation::suspend(std::coroutine_handle<> self) {
    target_->has_waited();
    if (done_) {
        begin_await(*this, self);
        yielding = true;  // has_run_long: the outcome is here, the others go first
        return true;
    }
    if (!begin_wait(*this, self)) return yielding;
    Cell& cell = *current_cell();
    if (timeout_ != Duration::max()) {
        // A long deadline is not worth reading the exact clock for, as in an ask.
        const Engine& engine = cell.engine();
        const bool coarse = timeout_ >= std::chrono::seconds(1);
        const Duration now = coarse ? engine.coarse_now() + engine.coarse_lag() : engine.now();
        if (timeout_ < Duration::max() - now) own_deadline_ = now + timeout_;
    }
    const Duration first = std::min(own_deadline_, target_->deadline());
    if (first != Duration::max()) arm_deadline(cell, first);
    target_->wait(cell, *this);
    return true;
}

Error Operation::interruption() const {
    if (timed_out) {
        std::string overdue = target_->overdue();
        if (!overdue.empty()) return Error(Errc::timed_out, std::move(overdue), where);
        return Error(Errc::timed_out,
                     std::string(what) + ": nothing within " +
                         std::to_string(timeout_.count() / 1'000'000) + " ms",
                     where);
    }
    return cancelled_error(*this);
}

Read::Read(StreamCore* core, std::span<char> buffer, Interruptible interrupts) noexcept
    : Operation(core, Direction::read, interrupts, "read"), core_(core), buffer_(buffer) {}

bool Read::attempt() {
    if (core_ == nullptr) {
        result_ = closed_here();
        return true;
    }
    if (buffer_.empty()) {
        result_ = 0;
        return true;
    }
    const bool read = core_->read(buffer_, result_);
    moved_ = read ? result_.value_or(0) : 0;
    return read;
}

Write::Write(StreamCore* core, std::string_view data, Interruptible interrupts) noexcept
    : Operation(core, Direction::write, interrupts, "write"), core_(core), rest_(data) {}

bool Write::attempt() {
    if (core_ == nullptr) {
        result_ = closed_here();
        return true;
    }
    while (!rest_.empty()) {
        Result<std::size_t> written = core_->write(rest_);
        if (!written) {
            result_ = std::unexpected(std::move(written).error());
            return true;
        }
        if (*written == 0) return false;
        rest_.remove_prefix(*written);
        moved_ += *written;
    }
    return true;
}

// Once both ends agree it waits for room, if for anything; until then the layer knows for what.
Handshake::Handshake(StreamCore* core, Interruptible interrupts) noexcept
    : Operation(core, Direction::write, interrupts, "handshake"), core_(core) {}

bool Handshake::attempt() {
    if (core_ == nullptr) {
        result_ = closed_here();
        return true;
    }
    return core_->handshake(result_);
}

Direction direction_of(std::span<char> buffer, std::string_view data) noexcept {
    if (data.empty()) return Direction::read;
    return buffer.empty() ? Direction::write : Direction::both;
}

Transfer::Transfer(StreamCore* core, std::span<char> buffer, std::string_view data,
                   Interruptible interrupts) noexcept
    : Operation(core, direction_of(buffer, data), interrupts, "transfer"),
      core_(core),
      buffer_(buffer),
      data_(data) {}

bool transfer_at_once(StreamCore* core, std::span<char> buffer, std::string_view data,
                      Result<Transferred>& result, std::size_t& moved) {
    if (core == nullptr) {
        result = closed_here();
        return true;
    }
    if (!data.empty()) {
        const Result<std::size_t> written = core->write(data);
        if (!written) {
            result = std::unexpected(written.error());
            return true;
        }
        result->written = moved = *written;
    }
    Result<std::size_t> read;
    if (buffer.empty() || !core->read(buffer, read)) return result->written > 0;
    // What went before a failure is told first; the failure comes up again.
    if (!read && result->written == 0) result = std::unexpected(read.error());
    if (!read) return true;
    result->read = *read;
    result->ended = *read == 0;
    moved += *read;
    return true;
}

bool Transfer::attempt() {
    return transfer_at_once(core_, buffer_, data_, result_, moved_);
}

SendFile::SendFile(StreamCore* core, int descriptor, std::uint64_t offset,
                   std::size_t bytes) noexcept
    : Operation(core, Direction::write, Interruptible::no, "send file"),
      core_(core),
      descriptor_(descriptor),
      offset_(offset),
      bytes_(bytes) {}

bool SendFile::attempt() {
    if (core_ == nullptr) {
        result_ = closed_here();
        return true;
    }
    if (bytes_ == 0) {
        result_ = 0;
        return true;
    }
    result_ = core_->write_file(descriptor_, offset_, bytes_);
    moved_ = result_.value_or(0);
    return !result_ || moved_ > 0;
}

}  // namespace io_internal

Result<std::optional<std::size_t>> Stream::try_read(std::span<char> buffer) {
    if (core_ == nullptr) return io_internal::closed_here();
    if (buffer.empty()) return 0;
    Result<std::size_t> result;
    if (!core_->read(buffer, result)) return std::nullopt;
    if (!result) return std::unexpected(std::move(result).error());
    return *result;
}

Result<std::size_t> Stream::try_write(std::string_view data) {
    if (core_ == nullptr) return io_internal::closed_here();
    if (data.empty()) return 0;
    return core_->write(data);
}

bool Stream::sends_files() const noexcept {
    return core_ != nullptr && core_->sends_files();
}

void Stream::observe(io_internal::Observer& observer, io_internal::Direction direction) {
    if (core_ != nullptr) core_->observe(*current_cell(), observer, direction);
}

Result<void> Stream::shutdown_write() {
    if (core_ == nullptr) return io_internal::closed_here();
    return core_->shutdown_write();
}

void Stream::close() noexcept {
    if (core_ != nullptr) std::exchange(core_, nullptr)->close();
}

Endpoint Stream::local() const {
    return core_ != nullptr ? core_->local() : Endpoint(std::string(), 0);
}

Endpoint Stream::peer() const {
    return core_ != nullptr ? core_->peer() : Endpoint(std::string(), 0);
}

std::optional<TlsInfo> Stream::tls() const {
    if (core_ == nullptr) return std::nullopt;
    return core_->tls();
}

Task<Result<Stream>> connect(Engine& engine, Endpoint endpoint, Duration timeout) {
    return engine.deterministic()
               ? io_internal::connect_in_memory(&engine, std::move(endpoint), timeout)
               : io_internal::connect_socket(&engine, std::move(endpoint), timeout);
}

void reset_connection(Stream stream) noexcept {
    if (io_internal::StreamCore* const core = io_internal::StreamAccess::release(stream)) {
        core->abort();
    }
}

}  // namespace troupe

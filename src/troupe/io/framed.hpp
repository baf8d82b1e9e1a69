#pragma once

#include <troupe/io/codec.hpp>
#include <troupe/io/stream.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace troupe {

/// A stream that is read and written in frames: `co_await lines.next()`, `co_await lines.send(s)`.
///
/// It belongs to one actor or task at a time, as its Stream does. After any error but `timed_out`
/// and `cancelled` of `next`, only closing it makes sense.
///
/// Threads: in the turn of the actor or task it belongs to; suspends that, never the worker.
template <codec::Codec C>
class Framed {
public:
    using Frame = typename C::Frame;

    Framed(Stream stream, C codec) : stream_(std::move(stream)), codec_(std::move(codec)) {}

    /// The next frame; nothing, when the peer has finished sending. `longest` bounds the wait for
    /// each piece of it, not for the whole.
    ///
    /// Errors:  those of the codec and of Stream; timed_out and cancelled lose nothing.
    Task<Result<std::optional<Frame>>> next(Duration longest = Duration::max(),
                                            Interruptible interruptible = Interruptible::yes) {
        for (;;) {
            std::string_view rest(buffer_.get() + begin_, end_ - begin_);
            Result<std::optional<Frame>> frame = codec_.decode(rest);
            begin_ = end_ - rest.size();
            if (!frame || *frame) co_return frame;
            if (ended_) co_return codec_.finish();
            if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
            const std::span<char> room(buffer_.get(), kBufferBytes);
            end_ = begin_ = 0;
            end_ =
                co_await or_return(co_await stream_.read_some(room, interruptible).within(longest));
            ended_ = end_ == 0;
        }
    }

    /// Sends a frame. `longest` bounds the wait for room for the whole.
    ///
    /// Errors:  those of the codec, and nothing has been sent; those of Stream, and part of it may
    ///          have been.
    Task<Result<void>> send(Frame frame, Duration longest = Duration::max(),
                            Interruptible interruptible = Interruptible::yes) {
        std::string bytes;
        co_await or_return(codec_.encode(frame, bytes));
        co_return co_await stream_.write_all(bytes, interruptible).within(longest);
    }

    Stream& stream() noexcept { return stream_; }

private:
    // As much as the first read of a connection usually brings.
    static constexpr std::size_t kBufferBytes = 4096;

    Stream stream_;
    C codec_;
    std::unique_ptr<char[]> buffer_;  // made by the first read
    std::size_t begin_ = 0;           // of what was read and not decoded
    std::size_t end_ = 0;
    bool ended_ = false;
};

}  // namespace troupe

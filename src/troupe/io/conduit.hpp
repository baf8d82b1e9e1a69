#pragma once

/// Streams whose other end is an actor: for protocols that carry many streams over one connection.
///
/// The problem: whoever handles one of the streams wants to read, write and wait as on any other
/// Stream, in its own actor; whoever has the connection must wait for the network and for all of
/// its streams at once, and for none of them alone.
///
/// The answer: a Conduit is the far end of one Stream: bytes are given and taken without waiting,
/// and it says what the near end has done. Its Junction knows which conduits have news, and waits
/// for the first of them or for the network, whichever comes sooner.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

namespace io_internal {
class ConduitState;
class JunctionState;

class [[nodiscard]] JunctionWait final : public Operation {
public:
    JunctionWait(JunctionState& junction, StreamCore* core, std::span<char> buffer,
                 std::string_view data, Interruptible interrupts) noexcept;

    /// Waits this long at most for something. Units: engine time.
    JunctionWait within(Duration timeout) && {
        return JunctionWait(junction_, core_, buffer_, data_, Interruptible(interruptible),
                            timeout);
    }

    [[nodiscard("a transfer may fail or meet the end: check the Result")]] Result<Transferred>
    await_resume() {
        return done() ? std::move(result_) : std::unexpected(interruption());
    }

private:
    JunctionWait(JunctionState& junction, StreamCore* core, std::span<char> buffer,
                 std::string_view data, Interruptible interrupts, Duration timeout) noexcept
        : JunctionWait(junction, core, buffer, data, interrupts) {
        timeout_ = timeout;
    }
    bool attempt() override;

    JunctionState& junction_;
    StreamCore* core_;
    std::span<char> buffer_;
    std::string_view data_;
    Result<Transferred> result_;
};

}  // namespace io_internal

/// Tells the far end of a stream something besides its bytes. A cheap handle.
///
/// Threads: any.
class ConduitBell {
public:
    explicit ConduitBell(std::shared_ptr<io_internal::ConduitState> state) noexcept
        : state_(std::move(state)) {}

    /// What was done before, the far end sees when it has heard this. What the bits mean is
    /// between the two ends.
    void ring(unsigned bits) const;

private:
    std::shared_ptr<io_internal::ConduitState> state_;  // shared by the two ends
};

/// The far end of a Stream. When it goes, the stream is `closed`.
///
/// Threads: in the turn of the junction's actor.
class Conduit {
public:
    Conduit() noexcept = default;
    Conduit(Conduit&&) noexcept = default;
    Conduit& operator=(Conduit&& other) noexcept;
    ~Conduit();

    bool is_open() const noexcept { return state_ != nullptr; }
    /// For whoever has the near end.
    ConduitBell bell() const { return ConduitBell(state_); }

    /// Gives bytes to be read from the stream. How many wait there is the giver's to limit.
    void give(std::string_view bytes);
    /// Nothing more comes: what was given is read, and then the end, or this error.
    void finish();
    void fail(Error why);

    /// How many bytes the near end has read since it was last asked.
    std::size_t take_read();
    /// How many bytes the near end has written that were not taken yet.
    std::size_t written() const;
    /// Takes so many of them, at most written().
    void take(std::span<char> room);
    /// Whether the near end has finished writing, with shutdown_write.
    bool ended() const;
    /// Whether it has closed the stream.
    bool closed() const;
    /// What it has rung since it was last asked.
    unsigned take_rings();

private:
    friend class Junction;
    friend class io_internal::JunctionState;
    explicit Conduit(std::shared_ptr<io_internal::ConduitState> state) noexcept
        : state_(std::move(state)) {}

    std::shared_ptr<io_internal::ConduitState> state_;  // shared by the two ends
};

/// Where the far ends of streams come together.
class Junction {
public:
    Junction();
    ~Junction();
    Junction(const Junction&) = delete;
    Junction& operator=(const Junction&) = delete;

    struct Opened {
        Conduit far;
        Stream near;
    };
    /// Makes a stream. `number` is how its news are told apart, `bytes_max` how much may wait to be
    /// taken from it before its writer has to wait; `local` and `peer` is what it says of its ends.
    Opened open(std::uint64_t number, std::size_t bytes_max, Endpoint local, Endpoint peer);

    /// The numbers of the conduits whose near ends have done something since the last call, each
    /// once, in the order in which they began to.
    void take_news(std::vector<std::uint64_t>& numbers);

    /// As Stream::transfer, and goes on as well when there are news: then nothing may have been
    /// read or written. Both may be empty: then only news are waited for.
    ///
    /// Errors:  as Stream::transfer.
    /// Threads: in the turn of the one actor that the junction belongs to.
    io_internal::JunctionWait transfer(Stream& stream, std::span<char> buffer,
                                       std::string_view data,
                                       Interruptible interruptible = Interruptible::no) noexcept;

private:
    std::shared_ptr<io_internal::JunctionState> state_;  // shared with its conduits
};

}  // namespace troupe

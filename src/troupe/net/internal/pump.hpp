#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {
class Cell;
}

namespace troupe::net_internal {

class Feed;

struct PumpLimits {
    Duration write_timeout = std::chrono::seconds(30);
    Duration idle_timeout = Duration::max();
};

/// Moves bytes between a stream and actors.
///
/// The problem: a stream belongs to one actor, which handles one message at a time; but it has to
/// listen to the peer and to whoever wants to send, and to do the one must not keep it from the
/// other. Our answer: it waits for the peer in both directions at once, and that wait is cut short
/// by a signal, the nudge, which every sender posts behind its message. The handler then returns,
/// the messages are handled, and the last of them goes on waiting. So its mailbox is the bounded
/// queue of what is to be sent, and what has gathered there leaves in one write.
///
/// It reads only when the feed has asked for more, which is what makes the peer wait.
class Pump final : public Actor {
public:
    Pump(Stream stream, Ref<Feed> feed, const PumpLimits& limits)
        : stream_(std::move(stream)), feed_(feed), limits_(limits) {}

    /// Something to be sent.
    Task<void> write(std::string bytes);
    /// The feed has room for another piece.
    Task<void> more();
    /// Sends what there is and closes the connection.
    Task<void> finish();
    /// How that went; asked behind finish(), which is what the pump stays for.
    Result<void> finished();

    /// A sender has left a message: the nudge's arrival, in this actor's turn. True when that ends
    /// a wait.
    bool nudge(Cell& cell) noexcept;

private:
    Task<void> run();
    Task<void> go_on() { return run(); }
    Task<Result<void>> transfer(bool reads);
    bool make_way();
    Duration time_left(bool reads) const;
    Error timeout_error(bool reads) const;
    void end(const Error& why);

    Stream stream_;
    Ref<Feed> feed_;
    const PumpLimits limits_;
    std::unique_ptr<char[]> buffer_;  // made by the first read
    std::string output_;
    Duration written_at_{};  // when the peer last took something, or could begin to
    Duration heard_at_{};    // when something last came, or could begin to
    bool demand_ = false;    // the feed waits for more
    bool ended_ = false;     // the feed was told that nothing more comes
    bool nudged_ = false;
    bool finishing_ = false;  // somebody will ask how that went
    Result<void> outcome_;    // of finish()
};

// For handles: in an actor or task, but for try_write_to.
Task<Result<void>> write_to(Ref<Pump> pump, Result<void> encoded, std::string bytes);
Result<void> try_write_to(Ref<Pump> pump, std::string bytes);
Task<Result<void>> close_after_writing(Ref<Pump> pump);

}  // namespace troupe::net_internal

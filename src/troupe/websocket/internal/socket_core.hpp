#pragma once

#include <troupe/http/request.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/wire.hpp>
#include <troupe/websocket/options.hpp>
#include <troupe/websocket/socket.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace troupe::websocket_internal {

/// What a new socket gets from whoever spawns it.
struct Opening {
    // Shared by all connections of one route, or one client.
    std::shared_ptr<const websocket::Options> options;
    Stream stream;
    http::Request request;
    Agreement agreement;
    std::string received;
    Role role = Role::server;
};

/// Gives a member what its room has made, in a turn of the room's engine that is not the member's:
/// without a message, and without a turn. Only to one that has nothing to do and nothing before it,
/// so what it was sent earlier, and what it has sent, has gone before. False: nothing has happened.
bool deliver_at_once(const Ref<websocket::Socket>& member, const SharedFrames& frames);

/// The next socket that is built on this thread gets this.
class OpeningScope {
public:
    explicit OpeningScope(Opening& opening) noexcept;
    ~OpeningScope();
    OpeningScope(const OpeningScope&) = delete;
    OpeningScope& operator=(const OpeningScope&) = delete;
};

/// A Socket's part that its users need not see: its wire, and what is handled when.
class SocketCore final : private WireOwner {
public:
    SocketCore(websocket::Socket& socket, Cell& cell, std::optional<Opening> opening);
    /// A client's, which is opened later.
    SocketCore(websocket::Socket& socket, Cell& cell,
               std::shared_ptr<const websocket::Options> options);

    static SocketCore& of(websocket::Socket& socket) noexcept;

    void open();
    void open(Opening opening);
    /// In place of a wire that has ended: what is sent from now on waits for the next opening.
    void renew_wire();
    bool is_client() const noexcept { return wire.role() == Role::client; }
    /// One event, by its hook; the task may have to be awaited. Throws nothing.
    Task<void> dispatch(Event event);
    /// Awaits a hook. Should it wait for something, what it has sent leaves first.
    class HookAwaiter;
    HookAwaiter run(Task<void> hook);
    /// The hook that runs has thrown the current exception.
    void hook_threw();

    /// The hooks of all events so far have ended.
    void events_handled();

    /// No more events are handled as messages from now on.
    void begin_stop() noexcept { stopping_ = true; }
    /// For `on_stop`: goes on when the connection has ended.
    class EndAwaiter;
    EndAwaiter until_ended();

    /// Everything was handled, and nothing more comes.
    bool over() const noexcept { return wire.ended() && !wire.has_events(); }
    std::exception_ptr take_thrown() noexcept {
        return rare_ != nullptr ? std::exchange(rare_->thrown, nullptr) : nullptr;
    }

    std::string_view protocol() const noexcept {
        return rare_ != nullptr ? std::string_view(rare_->protocol) : std::string_view();
    }
    Cell& cell() const noexcept { return wire.cell(); }

    websocket::Socket& socket;
    Wire wire;
    Task<void> waiting;  // a hook that has to be awaited, until somebody does

private:
    void open_wire();
    void events_are_here(Cell& cell) noexcept override;
    void flush_behind(Cell& cell) noexcept override;
    bool wire_has_ended(Cell& cell) noexcept override;
    bool handle_at_once(Opcode kind, std::string& payload) override;

    /// What most connections have not, or not until their end.
    struct Rare {
        std::string protocol;
        std::string closed_reason;  // on_close has a view of it
        std::exception_ptr thrown;  // by a hook, until the actor ends with it
    };
    Rare& rare() {
        if (rare_ == nullptr) rare_ = std::make_unique<Rare>();
        return *rare_;
    }
    bool has_thrown() const noexcept { return rare_ != nullptr && rare_->thrown != nullptr; }

    std::unique_ptr<Opening> opening_;  // until on_open has ended, which is shown its request
    std::unique_ptr<Rare> rare_;
    const Awaiting* end_wait_ = nullptr;  // on_stop waits here
    bool stopping_ = false;
};

class SocketCore::HookAwaiter {
public:
    HookAwaiter(Task<void> hook, Wire& wire)
        : awaiter_(std::move(hook).operator co_await()), wire_(wire) {}
    HookAwaiter(const HookAwaiter&) = delete;
    HookAwaiter& operator=(const HookAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self) {
        const bool waits = awaiter_.await_suspend(self);
        // Only a later turn of this actor resumes the coroutine, so all of this is still here.
        if (waits) wire_.flush();
        return waits;
    }
    void await_resume() { awaiter_.await_resume(); }

private:
    Task<void>::Awaiter awaiter_;
    Wire& wire_;
};

class SocketCore::EndAwaiter {
public:
    explicit EndAwaiter(SocketCore& core) noexcept : core_(core) {}
    EndAwaiter(const EndAwaiter&) = delete;
    EndAwaiter& operator=(const EndAwaiter&) = delete;
    ~EndAwaiter() { core_.end_wait_ = nullptr; }

    bool await_ready() const noexcept { return core_.wire.ended(); }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        awaiting_.what = "close of a websocket";
        awaiting_.where = where;
        begin_await(awaiting_, self);
        core_.end_wait_ = &awaiting_;
    }
    void await_resume() const noexcept {}

private:
    SocketCore& core_;
    Awaiting awaiting_;
};

inline SocketCore::HookAwaiter SocketCore::run(Task<void> hook) {
    return HookAwaiter(std::move(hook), wire);
}
inline SocketCore::EndAwaiter SocketCore::until_ended() {
    return EndAwaiter(*this);
}

}  // namespace troupe::websocket_internal

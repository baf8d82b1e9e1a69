#pragma once

// A WebSocket connection as one coroutine that awaits the next message:
//
//     Task<void> echo(websocket::Session peer) {
//         while (auto message = co_await peer.next()) peer.send(*message);
//     }
//     router.get("/echo", websocket::session(echo));
//
// It is an actor all the same. While the coroutine waits for a message the actor handles its other
// mail; while it waits for something else, the peer's messages wait.

#include <troupe/http/request.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

namespace websocket_internal {
class SessionSocket;
}

namespace websocket {

/// A text or a binary message.
struct Message {
    std::string data;
    bool text = true;
};

/// The connection, as its coroutine has it: a handle, which belongs to the coroutine and ends with
/// it.
class Session {
public:
    explicit Session(websocket_internal::SessionSocket& socket) : socket_(&socket) {}

    class [[nodiscard("await it: a message, or nothing when the connection has ended")]] Next;

    /// Waits for the next message. Nothing: the connection has ended, and close_code() says how.
    /// Errors: none; the end of the connection is no error here.
    Next next();

    Sent send_text(std::string_view text);
    Sent send_binary(std::string_view bytes);
    Sent send(const Message& message);
    Sent ping(std::string_view payload = std::string_view());
    /// Ends the connection, behind all that was sent before. The end of the coroutine does it, too.
    void close(unsigned code = 1000, std::string_view reason = std::string_view());

    /// What the connection began with.
    const http::Request& request() const;
    std::size_t buffered() const;
    std::string_view protocol() const;
    /// For rooms.
    Member member(std::string name = std::string()) const;
    /// Once next() has given nothing: as for Socket::on_close.
    unsigned close_code() const;
    std::string_view close_reason() const;

private:
    websocket_internal::SessionSocket* socket_;
};

}  // namespace websocket

namespace websocket_internal {

/// The actor of a session.
///
/// Its coroutine is not a handler: it is resumed by those that bring messages, and parked when it
/// asks for the next one. Should it wait for something else meanwhile, the handler waits with it,
/// until it is parked again.
class SessionSocket : public websocket::Socket {
public:
    // For Session, which is no friend of Socket.
    using Socket::buffered;
    using Socket::close;
    using Socket::member;
    using Socket::ping;
    using Socket::protocol;
    using Socket::send_binary;
    using Socket::send_text;

    const http::Request& request() const { return request_; }
    unsigned close_code() const { return close_code_; }
    const std::string& close_reason() const { return close_reason_; }

    bool has_next() const { return message_.has_value() || closed_; }
    std::optional<websocket::Message> take_next() { return std::exchange(message_, std::nullopt); }
    void park(std::coroutine_handle<> at);

protected:
    virtual Task<void> begin(websocket::Session session) = 0;

private:
    class Parked;
    class Step;

    Task<void> on_open(const http::Request& request) final;
    Task<void> on_text(std::string text) final;
    Task<void> on_binary(std::string bytes) final;
    Task<void> on_close(unsigned code, std::string_view reason) final;

    Task<void> run();
    Task<void> step();
    void advance();

    http::Request request_;
    std::optional<websocket::Message> message_;
    std::string close_reason_;
    std::exception_ptr thrown_;
    Step* waiting_step_ = nullptr;    // of the handler that waits until it is parked
    std::coroutine_handle<> parked_;  // where it waits for a message; null while it does not
    unsigned close_code_ = 0;
    bool begun_ = false;
    bool closed_ = false;
    bool over_ = false;
    Task<void> body_;  // last: what it holds may look at the rest when it is destroyed
};

template <class F>
class SessionOf final : public SessionSocket {
public:
    explicit SessionOf(const F& function) : function_(function) {}

private:
    Task<void> begin(websocket::Session session) override { return function_(session); }

    const F function_;  // kept as long as its coroutine
};

template <class F>
consteval bool check_session() {
    constexpr bool kCallable = std::is_invocable_r_v<Task<void>, const F&, websocket::Session>;
    static_assert(kCallable, "a session is a coroutine Task<void>(websocket::Session)");
    return kCallable;
}

}  // namespace websocket_internal

namespace websocket {

class Session::Next {
public:
    explicit Next(websocket_internal::SessionSocket& socket) : socket_(socket) {}
    Next(const Next&) = delete;
    Next& operator=(const Next&) = delete;

    bool await_ready() const { return socket_.has_next(); }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) {
        socket_.park(self);
    }
    std::optional<Message> await_resume() { return socket_.take_next(); }

private:
    websocket_internal::SessionSocket& socket_;
};

inline Session::Next Session::next() {
    return Next(*socket_);
}

/// A handler that makes a session of every request for a WebSocket: as to<A>(), with a coroutine
/// function or closure `Task<void>(Session)` in place of an actor's class.
template <class F>
auto session(Options options, F function) {
    if constexpr (websocket_internal::check_session<F>()) {
        return to<websocket_internal::SessionOf<F>>(std::move(options), std::move(function));
    }
}
template <class F>
auto session(F function) {
    return session(Options(), std::move(function));
}

}  // namespace websocket
}  // namespace troupe

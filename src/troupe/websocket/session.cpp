#include <troupe/scheduler/cell.hpp>
#include <troupe/websocket/session.hpp>

#include <source_location>
#include <utility>

namespace troupe {

namespace websocket_internal {

/// The end of a coroutine's way: parked for good.
class SessionSocket::Parked {
public:
    explicit Parked(SessionSocket& socket) : socket_(socket) {}
    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) {
        socket_.park(self);
    }
    void await_resume() const noexcept {}

private:
    SessionSocket& socket_;
};

/// A handler runs the session's coroutine until it is parked, as it would run a task: it is
/// suspended meanwhile, and goes on at once when nothing had to be waited for.
class SessionSocket::Step {
public:
    explicit Step(SessionSocket& socket) : socket_(socket) {
        awaiting_.what = "step of a session";
        awaiting_.yielding = true;
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { socket_.waiting_step_ = nullptr; }

    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        awaiting_.where = where;
        socket_.advance();
        if (socket_.parked_) return false;
        handler_ = self;
        socket_.waiting_step_ = this;
        return true;
    }
    void await_resume() const noexcept {}

    /// The coroutine is parked, in a turn that has resumed it and not this handler. It is not for
    /// the coroutine to resume the handler, which may destroy it: the turn does, when it gets
    /// there, as if the handler had yielded.
    void go_on_later() { begin_await(awaiting_, handler_); }

private:
    SessionSocket& socket_;
    std::coroutine_handle<> handler_;
    Awaiting awaiting_;
};

void SessionSocket::park(std::coroutine_handle<> at) {
    parked_ = at;
    if (waiting_step_ != nullptr) std::exchange(waiting_step_, nullptr)->go_on_later();
}

Task<void> SessionSocket::on_open(const http::Request& request) {
    request_ = request;
    body_ = run();
    return step();
}

Task<void> SessionSocket::on_text(std::string text) {
    message_ = websocket::Message{std::move(text), true};
    return step();
}

Task<void> SessionSocket::on_binary(std::string bytes) {
    message_ = websocket::Message{std::move(bytes), false};
    return step();
}

Task<void> SessionSocket::on_close(unsigned code, std::string_view reason) {
    closed_ = true;
    close_code_ = code;
    close_reason_ = reason;
    return step();
}

/// Brings the coroutine to where it waits for the next message. A coroutine itself, since what it
/// runs may have to wait.
Task<void> SessionSocket::step() {
    co_await Step(*this);
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

/// Runs the coroutine until it is parked or waits for something else.
void SessionSocket::advance() {
    if (!std::exchange(begun_, true)) {
        body_.start();
    } else if (!over_) {
        task_internal::resume_chain(std::exchange(parked_, nullptr));
    }
}

Task<void> SessionSocket::run() {
    try {
        co_await begin(websocket::Session(*this));
    } catch (...) {
        thrown_ = std::current_exception();
    }
    over_ = true;
    if (!thrown_) close();
    co_await Parked(*this);
}

}  // namespace websocket_internal

namespace websocket {

Sent Session::send_text(std::string_view text) {
    return socket_->send_text(text);
}
Sent Session::send_binary(std::string_view bytes) {
    return socket_->send_binary(bytes);
}
Sent Session::send(const Message& message) {
    return message.text ? send_text(message.data) : send_binary(message.data);
}
Sent Session::ping(std::string_view payload) {
    return socket_->ping(payload);
}
void Session::close(unsigned code, std::string_view reason) {
    socket_->close(code, reason);
}
const http::Request& Session::request() const {
    return socket_->request();
}
std::size_t Session::buffered() const {
    return socket_->buffered();
}
std::string_view Session::protocol() const {
    return socket_->protocol();
}
Member Session::member(std::string name) const {
    return socket_->member(std::move(name));
}
unsigned Session::close_code() const {
    return socket_->close_code();
}
std::string_view Session::close_reason() const {
    return socket_->close_reason();
}

}  // namespace websocket
}  // namespace troupe

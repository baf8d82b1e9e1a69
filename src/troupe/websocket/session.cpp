#include <troupe/websocket/session.hpp>

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

/// A handler waits until the coroutine it has resumed is parked. The cell waits for whatever the
/// coroutine does.
class SessionSocket::StepAwaiter {
public:
    explicit StepAwaiter(SessionSocket& socket) : socket_(socket) {}
    StepAwaiter(const StepAwaiter&) = delete;
    StepAwaiter& operator=(const StepAwaiter&) = delete;
    ~StepAwaiter() { socket_.handler_ = nullptr; }
    bool await_ready() const noexcept { return socket_.parked_ != nullptr; }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) {
        socket_.handler_ = self;
    }
    void await_resume() const noexcept {}

private:
    SessionSocket& socket_;
};

void SessionSocket::park(std::coroutine_handle<> at) {
    parked_ = at;
    // The handler that has resumed it is still there, or waits for this.
    if (!stepping_ && handler_) task_internal::resume_chain(std::exchange(handler_, nullptr));
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

/// Resumes the coroutine, if it waits for what has come, until it is parked again. A coroutine
/// itself, since what it resumes may have to wait.
Task<void> SessionSocket::step() {
    const bool begins = !std::exchange(begun_, true);
    stepping_ = true;
    if (begins) {
        body_.start();
    } else if (parked_ && !over_) {
        task_internal::resume_chain(std::exchange(parked_, nullptr));
    }
    stepping_ = false;
    co_await StepAwaiter(*this);
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
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

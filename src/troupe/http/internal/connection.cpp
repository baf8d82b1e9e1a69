#include <troupe/actor/system.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::http_internal {

namespace {

// Responses to pipelined requests gather up to here before they are written.
constexpr std::size_t kOutputBytesMax = 64 * 1024;

// What an idle connection may keep of a buffer that has grown.
constexpr std::size_t kOutputBytesKept = 4 * 1024;

// How long, and for how many bytes, we listen to a peer that is told why we hang up. Closing at
// once would answer what it still sends with a reset, and a reset destroys the response on its way.
constexpr Duration kLingerTime = std::chrono::seconds(1);
constexpr Duration kLingerTimeOfAStop = std::chrono::milliseconds(200);  // somebody waits for us
constexpr std::size_t kLingerBytes = 1024 * 1024;

}  // namespace

/// Awaits a coroutine handler. Should it have to wait for something, the responses that have
/// gathered leave first: nobody waits for somebody else's slow request, and it is still one write
/// per turn, since a turn that waits is over.
class Connection::HandlerAwaiter {
public:
    HandlerAwaiter(Task<http::Response> handler, Connection& connection)
        : awaiter_(std::move(handler).operator co_await()), connection_(connection) {}
    HandlerAwaiter(const HandlerAwaiter&) = delete;
    HandlerAwaiter& operator=(const HandlerAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self) {
        bool waits = awaiter_.await_suspend(self);
        // Only a later turn of this actor resumes the handler, so all of this is still here.
        if (waits) connection_.write_what_goes();
        return waits;
    }
    http::Response await_resume() { return awaiter_.await_resume(); }

private:
    Task<http::Response>::Awaiter awaiter_;
    Connection& connection_;
};

Connection::Connection(std::shared_ptr<const ServerState> server,
                       std::shared_ptr<ConnectionPhase> phase, Stream stream)
    : server_(std::move(server)),
      phase_(std::move(phase)),
      stream_(std::move(stream)),
      parser_(server_->limits) {}

Task<void> Connection::serve() {
    bool connected = true;
    while (connected && open_) {
        RequestParser::Step step = parser_.advance(input_.pending(), request_);
        input_.consume(step.consumed);
        switch (step.status) {
            case RequestParser::Status::complete: {
                Asked asked{request_.method == "HEAD", request_.keep_alive, request_.minor_version};
                http::Response response;
                const Handler* handler = server_->router.find(request_, response);
                if (handler) response = co_await answer(*handler);
                write(std::move(response), asked);
                // Those behind it may be here already: their responses leave together.
                if (open_ && output_.size() < kOutputBytesMax) continue;
                break;
            }
            case RequestParser::Status::refused:
                write_refusal();
                break;
            case RequestParser::Status::need_more:
                if (parser_.continue_expected() && !continue_sent_) {
                    continue_sent_ = true;
                    output_ += "HTTP/1.1 100 Continue\r\n\r\n";
                }
                break;
        }
        connected = co_await flush();
        if (connected && step.status == RequestParser::Status::need_more) {
            connected = co_await receive();
        }
    }
    if (connected && peer_may_send_) co_await linger();
    stream_.close();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

/// Runs the handler. It is a root task: what it throws stops here and becomes a 500.
Task<http::Response> Connection::answer(const Handler& handler) {
    try {
        if (handler.plain()) co_return handler.answer(std::move(request_));
        co_return co_await HandlerAwaiter(handler.run(std::move(request_)), *this);
    } catch (...) {
        thrown_ = std::current_exception();
    }
    co_return http::text(500, "The handler of this request failed.").close();
}

void Connection::write(http::Response response, const Asked& asked) {
    Framing framing;
    framing.keep_alive = asked.keep_alive && !response.closes() && !phase_->closing();
    framing.head_only = asked.head_only;
    framing.minor_version = asked.minor_version;
    append_response(output_, response, framing, date_.at(system().engine().wall_now()));
    open_ = framing.keep_alive;
    // Whoever asked for the end has sent all it will.
    peer_may_send_ = !open_ && asked.keep_alive;
    continue_sent_ = false;
}

void Connection::write_refusal() {
    const ParseRefusal& refusal = parser_.refusal();
    write(http::text(refusal.status, std::string(refusal.sentence)).close(), Asked{false, true, 1});
}

/// Waits for bytes. False when there is nobody to wait for any more.
Task<bool> Connection::receive() {
    if (input_.pending().empty() && parser_.between_messages()) co_return co_await receive_first();

    Duration left = request_deadline_ - system().now();
    auto received = co_await stream_.read_some(input_.room(parser_.bytes_wanted())).within(left);
    if (received) {
        input_.received(*received);
        co_return *received > 0;
    }
    if (received.error() == Errc::timed_out) {
        write(http::text(408, "The request took too long to arrive.").close(),
              Asked{false, true, 1});
        co_return co_await flush();
    }
    co_return false;
}

/// Waits for a request to begin. A stop ends this wait and no other one.
Task<bool> Connection::receive_first() {
    // While requests come one after the other, there is a buffer to receive them into. A
    // connection that has been silent for this long gives it back and waits with a few bytes.
    constexpr Duration kBufferKept = std::chrono::seconds(2);

    request_.clear();
    if (output_.capacity() > kOutputBytesKept) std::string().swap(output_);
    if (!phase_->begin_waiting()) co_return false;
    Duration longest = server_->options.idle_timeout();
    Duration first = std::min(longest, kBufferKept);
    input_.release_if_large();
    std::span<char> room = input_.room(0);
    auto received = co_await stream_.read_some(room, Interruptible::yes).within(first);
    if (!received && received.error() == Errc::timed_out && longest > first) {
        input_.release();
        char few[16];
        received = co_await stream_.read_some(few, Interruptible::yes).within(longest - first);
        if (received) std::memcpy(input_.room(0).data(), few, *received);
    }
    if (!phase_->end_waiting() || !received || *received == 0) co_return false;
    input_.received(*received);
    request_deadline_ = system().now() + server_->options.request_timeout();
    co_return true;
}

/// Writes as much of what has gathered as goes without waiting. What is wrong with the peer comes
/// up again in the next flush.
void Connection::write_what_goes() {
    std::size_t gone = 0;
    while (gone < output_.size()) {
        Result<std::size_t> written = stream_.try_write(std::string_view(output_).substr(gone));
        if (!written || *written == 0) break;
        gone += *written;
    }
    output_.erase(0, gone);
}

/// Writes what has gathered. False when the peer does not take it.
Task<bool> Connection::flush() {
    if (output_.empty()) co_return true;
    auto written = co_await stream_.write_all(output_).within(server_->options.write_timeout());
    output_.clear();
    co_return written.has_value();
}

/// Says that nothing more will come, and listens to the peer until it knows.
Task<void> Connection::linger() {
    if (!stream_.shutdown_write()) co_return;
    Duration end = system().now() + (phase_->closing() ? kLingerTimeOfAStop : kLingerTime);
    for (std::size_t seen = 0; seen < kLingerBytes;) {
        input_.consume(input_.pending().size());
        Duration left = end - system().now();
        if (left <= Duration::zero()) break;
        Result<std::size_t> received = co_await stream_.read_some(input_.room(0)).within(left);
        if (!received || *received == 0) break;
        seen += *received;
    }
}

}  // namespace troupe::http_internal

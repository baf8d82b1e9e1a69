#include <troupe/actor/system.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/http/internal/answers.hpp>
#include <troupe/http/internal/chunk_decoder.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/http/internal/file_reading.hpp>
#include <troupe/http/internal/gatekeeper.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace troupe::http_internal {

namespace {

// Responses to pipelined requests gather up to here before they are written.
constexpr std::size_t kOutputBytesMax = 64 * 1024;

// What a streamed body gathers before it is written without being asked to.
constexpr std::size_t kStreamedBytesMax = 16 * 1024;

// A body from here on is sent from where it is, which saves the copy and costs a system call.
constexpr std::size_t kLargeBody = 32 * 1024;

// The peer has the time of one write for each of these.
constexpr std::size_t kSliceBytes = 64 * 1024;

// What a handler has not read of a body is read for it up to here. More than that is not worth
// keeping the connection for.
constexpr std::uint64_t kSkippedBytesMax = 256 * 1024;

// How long, and for how many bytes, we listen to a peer that is told why we hang up. Closing at
// once would answer what it still sends with a reset, and a reset destroys the response on its way.
constexpr Duration kLingerTime = std::chrono::seconds(1);
constexpr Duration kLingerTimeOfAStop = std::chrono::milliseconds(200);  // somebody waits for us
constexpr std::size_t kLingerBytes = 1024 * 1024;

// What is sent of a file before others on the worker have a turn, and before the next part is
// looked for in memory.
constexpr std::size_t kFileBytesAtOnce = 512 * 1024;

constexpr std::string_view kHead = "HEAD";

}  // namespace

/// Awaits a coroutine of the user's. Should it have to wait for something, what has gathered leaves
/// first: nobody waits for somebody else's slow request, and it is still one write per turn, since
/// a turn that waits is over.
template <class T>
class Connection::FlushingAwaiter {
public:
    FlushingAwaiter(Task<T> task, Connection& connection)
        : awaiter_(std::move(task).operator co_await()), connection_(connection) {}
    FlushingAwaiter(const FlushingAwaiter&) = delete;
    FlushingAwaiter& operator=(const FlushingAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self) {
        connection_.has_waited_ = false;
        bool waits = awaiter_.await_suspend(self);
        // Only a later turn of this actor resumes the coroutine, so all of this is still here.
        if (waits) connection_.write_what_goes();
        connection_.has_waited_ = waits;
        return waits;
    }
    T await_resume() { return awaiter_.await_resume(); }

private:
    typename Task<T>::Awaiter awaiter_;
    Connection& connection_;
};

template <class T>
Connection::FlushingAwaiter<T> Connection::flushing(Task<T> task) {
    return FlushingAwaiter<T>(std::move(task), *this);
}

/// To a connection, from itself: a coroutine of the user's has written something and has waited
/// before, so that nobody is called when it waits again. But signals are handled then.
struct Connection::WaitsAgain final : MailNode {
    explicit WaitsAgain(Connection& the_connection) : connection(the_connection) { ops = &kOps; }
    static void free(MailNode* node) noexcept {
        free_block(static_cast<WaitsAgain*>(node), sizeof(WaitsAgain));
    }
    static bool arrive(MailNode* node, Cell&) {
        static_cast<WaitsAgain*>(node)->connection.it_waits_again();
        free(node);
        return false;
    }
    static constexpr MailOps kOps{
        MailKind::signal, [](MailNode* node, const Error&) noexcept { free(node); }, &arrive};

    Connection& connection;  // of this generation of its cell
};

/// What has been written leaves when the function waits, or in its next write that has to.
void Connection::write_when_it_waits() {
    if (!has_waited_ || std::exchange(hears_of_wait_, true)) return;
    Cell& cell = *current_cell();
    post_signal(cell, cell.generation(),
                ::new (allocate_block(sizeof(WaitsAgain))) WaitsAgain(*this));
}

void Connection::it_waits_again() {
    hears_of_wait_ = false;
    // What is being sent at present is sent by whoever waits for that.
    if (!sending_) write_what_goes();
}

Connection::Connection(std::shared_ptr<const ServerState> server,
                       std::shared_ptr<net::ConnectionPhase> phase, std::shared_ptr<Place> place,
                       Ref<Gatekeeper> gatekeeper, Stream stream)
    : server_(std::move(server)),
      phase_(std::move(phase)),
      visitor_(*server_->admission, std::move(place)),
      gatekeeper_(gatekeeper),
      stream_(std::move(stream)),
      parser_(server_->limits) {}

Task<void> Connection::serve() {
    co_await arrive();
    while (connected_ && open_) {
        if (parser_.between_messages()) patience_ = server_->options.request_timeout();
        RequestParser::Step step = parser_.read_head(input_.pending(), request_);
        input_.consume(step.consumed);
        if (step.status == RequestParser::Status::head) {
            first_ = false;
            Asked asked{request_.method == kHead, request_.keep_alive, request_.minor_version};
            std::optional<http::Response> refusal = visitor_.admit(request_, system().engine());
            const Handler* handler = server_->router.find(request_);
            if (refusal) {
                server_->router.note_refusal(request_, refusal->status());
                ignore(write_small(*refusal, asked), "a sentence is small");
            } else if (can_answer_here(handler)) {
                http::Response response =
                    handler ? answer(*handler) : server_->router.refuse(request_);
                if (!write_small(response, asked)) co_await write_large(std::move(response), asked);
            } else {
                http::Response response = co_await wait_for_answer(handler);
                if (!write_small(response, asked)) co_await write_large(std::move(response), asked);
            }
            // Those behind it may be here already: their responses leave together.
            if (open_ && output_.size() < kOutputBytesMax) continue;
        } else if (step.status == RequestParser::Status::refused && speaks_http2()) {
            co_await go_on_in_http2();
        } else if (step.status == RequestParser::Status::refused) {
            note_unread(parser_.refusal().status);
            refuse(parser_.refusal());
        }
        write_what_goes();
        if (!output_.empty()) co_await flush();
        if (step.status == RequestParser::Status::need_more) co_await receive();
    }
    if (!output_.empty()) co_await flush();
    if (connected_) co_await linger();
    stream_.close();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

// ---- from a request to its response -------------------------------------------------------------

/// Whether there is nothing to wait for: a function answers, and the request is here.
bool Connection::can_answer_here(const Handler* handler) {
    bool plain = !handler || handler->kind() == HandlerKind::plain;
    if (!plain || server_->router.has_middleware()) return false;
    return !parser_.body_follows() || collect_what_is_here() == RequestParser::Status::complete;
}

http::Response Connection::answer(const Handler& handler) {
    try {
        return handler.answer(std::move(request_));
    } catch (...) {
        thrown_ = std::current_exception();
    }
    return failed_handler();
}

Task<http::Response> Connection::wait_for_answer(const Handler* handler) {
    http::Response response;
    bool streams = handler && handler->kind() == HandlerKind::streaming;
    if (streams) {
        parser_.limit_body(std::numeric_limits<std::uint64_t>::max());
    } else if (handler || !parser_.continue_expected()) {
        co_await collect_body();
    }
    if (!connected_ || body_refusal_.status != 0) {
        visitor_.count_malformed();
        const int status = body_refusal_.status != 0 ? body_refusal_.status : kCutShort;
        server_->router.note_refusal(request_, status);
    } else {
        if (handler || server_->router.has_middleware()) {
            response = co_await run(handler);
        } else {
            response = server_->router.refuse(request_);
        }
        if (streams) co_await skip_body();
    }
    if (body_refusal_.status == 0) co_return response;
    co_return refusal_of(std::exchange(body_refusal_, ParseRefusal()));
}

/// Runs a handler of any kind, through the middleware. It is a root task: what it throws stops here
/// and becomes a 500.
Task<http::Response> Connection::run(const Handler* handler) {
    const http::Router& router = server_->router;
    const InProgress working(server_->admission->overload());
    try {
        if (router.has_middleware()) {
            co_return co_await flushing(router.run(handler, std::move(request_), *this));
        }
        co_return co_await flushing(handler->run(std::move(request_), *this));
    } catch (...) {
        thrown_ = std::current_exception();
    }
    co_return failed_handler();
}

// ---- the body of a request ----------------------------------------------------------------------

/// Reads into the request as much of its body as is here.
RequestParser::Status Connection::collect_what_is_here() {
    while (parser_.body_follows()) {
        RequestParser::Step step = parser_.read_body(input_.pending(), request_);
        request_.body.append(step.data);
        input_.consume(step.consumed);
        if (step.status == RequestParser::Status::refused) body_refusal_ = parser_.refusal();
        if (step.status == RequestParser::Status::refused) return step.status;
        if (step.status == RequestParser::Status::need_more) return step.status;
    }
    return RequestParser::Status::complete;
}

Task<void> Connection::collect_body() {
    while (collect_what_is_here() == RequestParser::Status::need_more) {
        bool received = co_await receive_body();
        if (!received) co_return;
    }
}

/// Reads what a handler has left of the body, if that is little.
Task<void> Connection::skip_body() {
    input_.consume(std::exchange(shown_, 0));
    for (std::uint64_t skipped = 0; connected_ && parser_.body_follows();) {
        if (body_refusal_.status != 0 || parser_.continue_expected()) co_return;
        if (skipped + parser_.body_length().value_or(0) > kSkippedBytesMax) co_return;
        Result<std::string_view> piece = co_await next();
        if (piece) skipped += piece->size();
    }
    input_.consume(std::exchange(shown_, 0));
}

/// Waits for more of the body. False when none will come.
Task<bool> Connection::receive_body() {
    if (parser_.continue_expected() && !std::exchange(continue_sent_, true)) {
        output_.append("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (!output_.empty()) co_await flush();
    if (!connected_) co_return false;
    bool received = co_await receive_more();
    if (!received && connected_) body_refusal_ = kTooSlow;
    co_return received;
}

/// Why there is no more of the body.
Error Connection::body_error() const {
    if (!connected_) return Error(broken_, "the peer has left before the body was whole");
    if (body_refusal_.status == kTooSlow.status) {
        return Error(Errc::timed_out, "the body took too long to arrive");
    }
    return Error(Errc::failed, std::string(body_refusal_.sentence));
}

Task<Result<std::string_view>> Connection::next() {
    input_.consume(std::exchange(shown_, 0));
    while (connected_ && body_refusal_.status == 0) {
        if (!parser_.body_follows()) co_return std::string_view();
        RequestParser::Step step = parser_.read_body(input_.pending(), request_);
        if (step.status == RequestParser::Status::data) {
            shown_ = step.consumed;
            co_return step.data;
        }
        input_.consume(step.consumed);
        if (step.status == RequestParser::Status::refused) body_refusal_ = parser_.refusal();
        if (step.status != RequestParser::Status::need_more) continue;
        bool received = co_await receive_body();
        if (!received) break;
    }
    co_return std::unexpected(body_error());
}

// ---- the response -------------------------------------------------------------------------------

/// Decides how the connection goes on behind this response.
Framing Connection::frame(const http::Response& response, const Asked& asked) {
    Framing framing;
    framing.head_only = asked.head_only;
    framing.minor_version = asked.minor_version;
    bool ends_the_body = body_end(response, framing) == BodyEnd::close;
    framing.keep_alive = asked.keep_alive && !response.closes() && !ends_the_body &&
                         !phase_->closing() && !parser_.body_follows();
    open_ = framing.keep_alive && connected_;
    return framing;
}

/// Writes a response that leaves with others in one write. False, and nothing happened, when this
/// one is not small.
bool Connection::write_small(http::Response& response, const Asked& asked) {
    bool small = !response.producer() && !response.switches();
    if (!small || response.body().size() >= kLargeBody) return false;
    append_response(output_, response, frame(response, asked), date());
    continue_sent_ = false;
    // The next body finds the memory of this one.
    if (response.body().capacity() > request_.body.capacity()) {
        request_.body = response.take_body();
    }
    return true;
}

Task<void> Connection::write_large(http::Response response, Asked asked) {
    if (response.switches()) {
        co_await hand_over(response.take_next());
        co_return;
    }
    Framing framing = frame(response, asked);
    append_head(output_, response, framing, date());
    continue_sent_ = false;
    body_end_ = body_end(response, framing);
    if (body_end_ == BodyEnd::nothing_follows) co_return;
    if (response.producer()) {
        co_await write_streamed(std::move(response));
    } else {
        co_await flush();
        co_await send(response.body());
    }
}

/// Another protocol is spoken from here on, by another actor. A server that stops, and a request
/// that is not whole, get none.
Task<void> Connection::hand_over(std::unique_ptr<http::Takeover> next) {
    open_ = false;
    if (phase_->closing() || parser_.body_follows()) {
        refuse(ParseRefusal{503, "This server is about to stop."});
        co_return;
    }
    output_.append(next->head());
    co_await flush();
    if (!connected_) co_return;
    connected_ = false;  // it is not ours any more
    std::string received(input_.pending());
    ignore(co_await gatekeeper_.send<&Gatekeeper::take_over>(std::move(next), std::move(stream_),
                                                             std::move(received), visitor_.place()),
           "a server that is gone has no connections");
}

/// Whether the first that was received is how an HTTP/2 client begins, which no HTTP/1.1 parser
/// takes for a request.
bool Connection::speaks_http2() const {
    constexpr std::string_view kPreface = "PRI * HTTP/2";
    if (!first_ || !server_->options.http2().enabled()) return false;
    if (!input_.pending().starts_with(kPreface)) return false;
    const std::optional<TlsInfo> tls = stream_.tls();
    return !tls || tls->protocol == "h2";
}

/// Another actor has the connection from here on.
Task<void> Connection::go_on_in_http2() {
    open_ = connected_ = false;
    std::string received(input_.pending());
    ignore(co_await gatekeeper_.send<&Gatekeeper::go_on_in_http2>(
               std::move(stream_), std::move(received), visitor_.place()),
           "a server that is gone has no connections");
}

Task<void> Connection::write_streamed(http::Response response) {
    bool whole = false;
    body_left_ = response.length().value_or(0);
    trailer_lines_.clear();
    try {
        Result<void> written = co_await flushing(response.producer()->run(http::BodyWriter(*this)));
        whole = written.has_value() && (body_end_ != BodyEnd::length || body_left_ == 0);
    } catch (...) {
        thrown_ = std::current_exception();
    }
    if (!whole) {
        // That something is missing shows by the end of the connection.
        open_ = false;
    } else if (body_end_ == BodyEnd::chunks) {
        output_.append("0\r\n");
        output_.append(trailer_lines_);
        output_.append("\r\n");
    }
}

Task<Result<void>> Connection::write(std::string_view piece) {
    if (!connected_) co_return error(broken_, "the peer has left");
    if (piece.empty()) co_return Result<void>();
    if (!count_written(piece.size())) co_return error(Errc::failed, kBodyTooLong);
    bool in_chunks = body_end_ == BodyEnd::chunks;
    if (in_chunks) append_chunk_head(output_, piece.size());
    if (piece.size() < kLargeBody) {
        output_.append(piece);
    } else {
        co_await flush();
        co_await send(piece);
    }
    if (in_chunks) output_.append("\r\n");
    if (output_.size() >= kStreamedBytesMax) co_await flush();
    if (!connected_) co_return error(broken_, "the peer does not take the body");
    if (!output_.empty()) write_when_it_waits();
    co_return Result<void>();
}

/// False when the body becomes longer than was said.
bool Connection::count_written(std::uint64_t bytes) {
    if (body_end_ != BodyEnd::length) return true;
    if (bytes > body_left_) return false;
    body_left_ -= bytes;
    return true;
}

Task<Result<void>> Connection::write_file(int descriptor, std::uint64_t offset,
                                          std::uint64_t bytes) {
    if (!stream_.sends_files() || bytes < kLargeBody) {
        return BodySink::write_file(descriptor, offset, bytes);
    }
    return send_file(descriptor, offset, bytes);
}

Task<Result<void>> Connection::send_file(int descriptor, std::uint64_t offset,
                                         std::uint64_t bytes) {
    if (!count_written(bytes)) co_return error(Errc::failed, kBodyTooLong);
    const bool in_chunks = body_end_ == BodyEnd::chunks;
    if (in_chunks) append_chunk_head(output_, bytes);
    co_await flush();
    const Sending sending(*this);
    Duration patience = server_->options.write_timeout();
    std::size_t in_slice = 0;  // the peer has that time for each slice, as in send()
    while (connected_ && bytes > 0) {
        const std::uint64_t piece = std::min<std::uint64_t>(bytes, kFileBytesAtOnce);
        co_await or_return(co_await bring_into_memory(descriptor, offset, piece));
        for (std::uint64_t left = piece; left > 0;) {
            const Duration before = system().now();
            const Result<std::size_t> sent =
                co_await stream_.send_file(descriptor, offset, left).within(patience);
            date_ = nullptr;
            if (!sent) {
                // The head has gone, so a peer that is still there hears of it by the end.
                broken_ = sent.error() == Errc::timed_out ? Errc::timed_out : Errc::closed;
                connected_ = sent.error() == Errc::failed;
                co_return std::unexpected(sent.error());
            }
            left -= *sent;
            offset += *sent;
            bytes -= *sent;
            in_slice += *sent;
            patience -= std::min(patience, system().now() - before);
            if (in_slice < kSliceBytes) continue;
            in_slice = 0;
            patience = server_->options.write_timeout();
        }
    }
    if (in_chunks) output_.append("\r\n");
    if (!connected_) co_return error(broken_, "the peer does not take the body");
    co_return Result<void>();
}

Task<Result<void>> Connection::send_now() {
    co_await flush();
    look_out_for_its_end();
    if (!connected_) co_return error(broken_, "the peer has left");
    co_return Result<void>();
}

void Connection::watch_peer(Scope* scope) {
    peer_watch_.set(scope, *server_->endless_bodies);
    look_out_for_its_end();
}

/// To be told when there is something to read, unless something else is waited for in between: a
/// write that waits ends it, so every flush begins it anew.
void Connection::look_out_for_its_end() {
    // Requests that come meanwhile wait their turn; behind so much of them nobody looks for an end.
    constexpr std::size_t kInputBytesMax = 4096;
    if (!peer_watch_ || !connected_ || input_.size() > kInputBytesMax) return;
    stream_.observe(*this, io_internal::Direction::read);
}

/// The peer has sent something, or has left. In a turn, while a body is written that wants to know.
bool Connection::ready(Cell& cell) noexcept {
    if (!peer_watch_ || !connected_) return false;
    const auto received = stream_.try_read(input_.room());
    const bool is_there = received && (!*received || **received > 0);
    if (is_there) {
        input_.put(received->value_or(0));
        look_out_for_its_end();
        return false;
    }
    connected_ = false;
    return peer_watch_.peer_has_left(cell);
}

void Connection::trailer(std::string_view name, std::string_view value) {
    http::Response line;
    line.header(name, value);
    trailer_lines_ += line.header_lines();
}

/// There is no request, but what there is of one belongs in the access log.
void Connection::note_unread(int status) {
    parser_.tell_what_is_there(input_.pending(), request_);
    visitor_.count_unread(request_);
    server_->router.note_refusal(request_, status);
}

void Connection::refuse(const ParseRefusal& refusal) {
    http::Response response = refusal_of(refusal);
    ignore(write_small(response, Asked()), "a sentence is small");
}

/// The clock is read once a turn.
const DateCache::Text& Connection::date() {
    if (!date_) date_ = &dates_.at(system().engine().wall_now());
    return *date_;
}

// ---- the wire -----------------------------------------------------------------------------------

/// Waits until both ends have agreed on how they speak, and until it is known who the peer is. A
/// stop ends this as it does the wait for a request.
Task<void> Connection::arrive() {
    const http::ServerOptions& options = server_->options;
    if (options.tls() || options.proxy_protocol()) {
        connected_ = phase_->begin_waiting();
        if (!connected_) co_return;
        const Result<void> agreed = co_await stream_.handshake(Interruptible::yes);
        phase_->end_agreeing();
        connected_ = phase_->end_waiting() && agreed;
        if (!connected_) co_return;
    }
    connected_ = visitor_.arrive(stream_, false, system().now());
}

/// Waits for more of a request, or for the next one.
Task<void> Connection::receive() {
    if (parser_.between_messages() && input_.empty()) {
        co_await receive_first();
        co_return;
    }
    bool received = co_await receive_more();
    if (received) co_return;
    note_unread(connected_ ? kTooSlow.status : kCutShort);
    if (connected_) refuse(kTooSlow);
}

/// Waits for a request to begin. A stop ends this wait and no other one.
Task<void> Connection::receive_first() {
    // While requests come one after the other, there are buffers for them. A connection that has
    // been silent for this long gives them back and waits with a few bytes.
    constexpr Duration kBuffersKept = std::chrono::seconds(2);

    date_ = nullptr;
    input_.release_if_large();
    output_.release_if_large();
    connected_ = phase_->begin_waiting();
    if (!connected_) co_return;
    Duration longest = server_->options.idle_timeout();
    Duration first = std::min(longest, kBuffersKept);
    std::span<char> room = input_.room();
    auto received = co_await stream_.read_some(room, Interruptible::yes).within(first);
    if (!received && received.error() == Errc::timed_out && longest > first) {
        input_.release();
        output_.release();
        request_ = http::Request();
        char few[16];
        received = co_await stream_.read_some(few, Interruptible::yes).within(longest - first);
        if (received) std::memcpy(input_.room(sizeof few).data(), few, *received);
    }
    connected_ = phase_->end_waiting() && received && *received > 0;
    if (connected_) input_.put(*received);
}

/// Waits for more of what has begun, as long as patience lasts. False when none came.
Task<bool> Connection::receive_more() {
    date_ = nullptr;
    Duration before = system().now();
    std::size_t wanted = std::max<std::size_t>(parser_.bytes_wanted(), 1);
    auto received = co_await stream_.read_some(input_.room(wanted)).within(patience_);
    patience_ -= std::min(patience_, system().now() - before);
    if (!received && received.error() == Errc::timed_out) co_return false;
    connected_ = received && *received > 0;
    if (!connected_) co_return false;
    input_.put(*received);
    if (parser_.body_follows()) {
        Duration earned = server_->options.time_for_body_bytes(*received);
        patience_ = std::min(patience_ + earned, server_->options.request_timeout());
    }
    co_return true;
}

/// Writes as much of what has gathered as goes without waiting. What is wrong with the peer comes
/// up again in the next flush.
void Connection::write_what_goes() {
    while (connected_ && !output_.empty()) {
        Result<std::size_t> written = stream_.try_write(output_.pending());
        if (!written || *written == 0) break;
        output_.consume(*written);
    }
}

/// Writes what has gathered.
Task<void> Connection::flush() {
    co_await send(output_.pending());
    output_.consume(output_.size());
}

/// Writes, slice by slice: the peer has the time of one write for each.
Task<void> Connection::send(std::string_view bytes) {
    const Sending sending(*this);
    while (connected_ && !bytes.empty()) {
        std::string_view slice = bytes.substr(0, kSliceBytes);
        bytes.remove_prefix(slice.size());
        auto written = co_await stream_.write_all(slice).within(server_->options.write_timeout());
        if (written) continue;
        broken_ = written.error() == Errc::timed_out ? Errc::timed_out : Errc::closed;
        connected_ = false;
    }
    date_ = nullptr;
}

/// Says that nothing more will come, and listens to the peer until it knows. Also when it was the
/// peer that asked for the end: it may have sent more all the same.
Task<void> Connection::linger() {
    if (!stream_.shutdown_write()) co_return;
    Duration end = system().now() + (phase_->closing() ? kLingerTimeOfAStop : kLingerTime);
    for (std::size_t seen = 0; seen < kLingerBytes;) {
        input_.consume(input_.size());
        Duration left = end - system().now();
        if (left <= Duration::zero()) break;
        Result<std::size_t> received = co_await stream_.read_some(input_.room()).within(left);
        if (!received || *received == 0) break;
        seen += *received;
    }
}

}  // namespace troupe::http_internal

#include <troupe/actor/system.hpp>
#include <troupe/http/internal/answers.hpp>
#include <troupe/http/internal/h2_connection.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

namespace troupe::http_internal {

namespace {

constexpr Duration kNever = Duration::max();

// What gathers before it is written. While so much waits nothing is read: who does not listen is
// not listened to.
constexpr std::size_t kOutputBytesMax = 64 * 1024;

// What is read at once; a connection without requests waits with less.
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kReadBytesIdle = 1024;

// What an exchange may have written that the connection has not taken.
constexpr std::size_t kConduitBytes = 64 * 1024;

// The peer has the time of one write for each of these.
constexpr std::size_t kSliceBytes = 64 * 1024;

// Long enough for what was under way when the peer was told to begin nothing more, if its answer
// to that does not come.
constexpr Duration kNoticeTime = std::chrono::milliseconds(250);

// As for HTTP/1.1: to close with bytes unread would destroy what the peer has not read yet.
constexpr Duration kLingerTime = std::chrono::milliseconds(200);
constexpr std::size_t kLingerBytes = 1024 * 1024;

H2Session::Limits limits_of(const ServerState& server) {
    const http::Http2Options& options = server.options.http2();
    H2Session::Limits limits;
    limits.streams_max = options.streams_max();
    limits.stream_window_bytes = options.stream_window_bytes();
    limits.connection_window_bytes = options.connection_window_bytes();
    limits.resets = RateLimit{options.resets_per_second_max(), options.resets_burst()};
    limits.idle_frames =
        RateLimit{options.idle_frames_per_second_max(), options.idle_frames_burst()};
    limits.request = server.limits;
    return limits;
}

}  // namespace

/// A stream, and what becomes of its request.
struct H2Connection::Work final : H2Stream, H2Body {
    Work(std::int32_t the_id, Gauge& all) : H2Stream(the_id), all_(all) { all_.add(1); }
    ~Work() override { all_.add(-1); }

    std::size_t here() override { return far.written(); }
    bool ends() override { return far.ended() || (socket != Ref<Actor>() && far.closed()); }
    void take(std::span<char> room) override { far.take(room); }
    std::string_view trailer_lines() override {
        return answer ? std::string_view(answer->trailer_lines) : std::string_view();
    }

    const Handler* handler = nullptr;  // the router's
    Conduit far;                       // open: somebody has the near end
    std::shared_ptr<H2Answer> answer;  // shared with the exchange, while there is one
    Ref<Actor> socket;                 // has taken the stream over
    std::size_t unread = 0;            // bytes that were given, and not read yet
    std::size_t held = 0;              // that were collected, and not given back to the window
    bool admitted = false;             // its head was read
    bool collects = false;             // the body, for its handler
    bool whole = false;                // the response is all ours to send
    Duration input_due = kNever;       // the next of the request's body
    Duration slice_since = kNever;  // since when the peer could take a slice; kNever: it need not
    std::size_t slice_left = 0;

private:
    Gauge& all_;  // the server's, which outlives its connections
};

H2Connection::H2Connection(std::shared_ptr<const ServerState> server, std::shared_ptr<Place> place,
                           Stream stream, std::string received)
    : server_(std::move(server)),
      visitor_(*server_->admission, std::move(place)),
      stream_(std::move(stream)),
      local_(stream_.local()),
      peer_(stream_.peer()),
      session_(limits_of(*server_), *this) {
    input_.append(received);
}

H2Connection::~H2Connection() = default;

Task<void> H2Connection::serve() {
    now_ = began_at_ = idle_since_ = system().now();
    due(later(server_->options.request_timeout()));
    due(later(server_->options.idle_timeout()));
    due(later(server_->options.http2().lifetime_max()));
    bool connected = visitor_.arrive(stream_, true, now_);
    while (connected) {
        session_.receive(input_.pending(), now_);
        input_.consume(input_.size());
        hear_news();
        session_.fill(output_, kOutputBytesMax);
        if (output_.empty() && !session_.wants_input() && !session_.wants_output()) break;
        if (output_.empty()) {
            output_.release_if_large();
            slice_left_ = 0;
        } else if (slice_left_ == 0) {
            slice_left_ = kSliceBytes;
            slice_since_ = now_;
            due(later(server_->options.write_timeout()));
        }
        if (session_.inside_head() != inside_head_) {
            inside_head_ = !inside_head_;
            head_since_ = now_;
            due(later(server_->options.request_timeout()));
        }
        std::span<char> room;
        if (session_.wants_input() && output_.size() < kOutputBytesMax) {
            room = input_.room(session_.streams() == 0 ? kReadBytesIdle : kReadBytes);
        }
        const Duration wait = due_ == kNever ? kNever : std::max(due_ - now_, Duration::zero());
        const Interruptible interruptible = draining_ ? Interruptible::no : Interruptible::yes;
        Result<Transferred> moved =
            co_await junction_.transfer(stream_, room, output_.pending(), interruptible)
                .within(wait);
        now_ = system().now();
        date_ = nullptr;
        if (moved) {
            output_.consume(moved->written);
            slice_left_ -= std::min(slice_left_, moved->written);
            input_.put(moved->read);
            connected = !moved->ended;
        } else if (moved.error() == Errc::cancelled) {
            begin_to_drain();
        } else {
            connected = moved.error() == Errc::timed_out;
        }
        if (now_ >= due_) look_at_the_clock();
        connected = connected && stream_.is_open();
    }
    note_what_is_left();
    if (connected) co_await linger();
    stream_.close();
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

// ---- from a request to its response -------------------------------------------------------------

std::unique_ptr<H2Stream> H2Connection::make_stream(std::int32_t id) {
    return std::make_unique<Work>(id, server_->admission->http2_streams());
}

void H2Connection::on_refused(H2Stream& stream, const ParseRefusal& refusal) {
    refuse(static_cast<Work&>(stream), refusal);
}

void H2Connection::on_request(H2Stream& stream) {
    auto& work = static_cast<Work&>(stream);
    std::optional<http::Response> refusal = visitor_.admit(work.request, system().engine());
    work.admitted = true;
    work.handler = server_->router.find(work.request);
    if (refusal) {
        server_->router.note_refusal(work.request, refusal->status());
        return respond(work, std::move(*refusal));
    }
    if (work.request.opens_websocket || work.input_ended) return handle(work);

    work.input_due = later(server_->options.request_timeout());
    due(work.input_due);
    if (work.handler != nullptr && work.handler->kind() == HandlerKind::streaming) {
        return begin_exchange(work);
    }
    if (work.body_length > server_->limits.body_bytes_max) return refuse(work, kBodyTooLarge);
    if (work.wants_continue && work.handler == nullptr) return handle(work);
    if (work.wants_continue) session_.say_continue(work);
    work.collects = true;
}

void H2Connection::on_data(H2Stream& stream, std::string_view bytes) {
    auto& work = static_cast<Work&>(stream);
    if (work.input_due != kNever) {
        const Duration earned = server_->options.time_for_body_bytes(bytes.size());
        work.input_due =
            std::min(work.input_due + earned, later(server_->options.request_timeout()));
    }
    if (work.far.is_open()) {
        work.unread += bytes.size();
        work.far.give(bytes);
    } else if (work.collects) {
        collect(work, bytes);
    } else {
        session_.consume(work, bytes.size());
    }
}

/// Keeps it with the request. The connection's window is open again at once: it is the stream's
/// that holds the peer back, unless this is the one that has to go on so that any does.
void H2Connection::collect(Work& work, std::string_view bytes) {
    session_.consume_of_connection(bytes.size());
    if (work.request.body.size() + bytes.size() > server_->limits.body_bytes_max) {
        uncollect(work);
        return refuse(work, kBodyTooLarge);
    }
    work.request.body.append(bytes);
    collected_ += bytes.size();
    work.held += bytes.size();
    let_go_on();
}

void H2Connection::uncollect(Work& work) {
    if (!std::exchange(work.collects, false)) return;
    collected_ -= work.request.body.size();
    let_go_on();
}

/// Opens the windows of those whose bodies may be collected further.
void H2Connection::let_go_on() {
    bool is_first = true;
    const bool all_go_on = collected_ <= server_->options.http2().connection_window_bytes();
    session_.for_each([&](H2Stream& one) {
        auto& other = static_cast<Work&>(one);
        if (!other.collects) return;
        if (all_go_on || is_first) {
            session_.consume_of_stream(other, std::exchange(other.held, 0));
        }
        is_first = false;
    });
}

void H2Connection::on_end(H2Stream& stream) {
    auto& work = static_cast<Work&>(stream);
    work.input_due = kNever;
    if (work.far.is_open()) {
        if (work.answer) work.answer->trailers = std::move(work.request.trailers());
        work.far.finish();
    } else if (work.collects) {
        uncollect(work);
        handle(work);
    }
}

/// All that its handler wants to see of the request is here.
void H2Connection::handle(Work& work) {
    const bool plain = work.handler == nullptr || work.handler->kind() == HandlerKind::plain;
    if (!plain || server_->router.has_middleware()) return begin_exchange(work);
    respond(work, work.handler != nullptr ? answer(*work.handler, std::move(work.request))
                                          : server_->router.refuse(work.request));
}

http::Response H2Connection::answer(const Handler& handler, http::Request request) {
    try {
        return handler.answer(std::move(request));
    } catch (...) {
        spawn<H2Exchange>().tell<&H2Exchange::fail>(std::current_exception());
    }
    return failed_handler();
}

/// Answers a request that is malformed, or does not come whole.
void H2Connection::refuse(Work& work, const ParseRefusal& refusal) {
    note_unhandled(work, refusal.status);
    respond(work, refusal_of(refusal));
}

/// What no handler has seen belongs in the access log all the same.
void H2Connection::note_unhandled(Work& work, int status) {
    if (work.answered || work.far.is_open()) return;
    session_.tell_what_is_there(work);
    if (work.admitted) {
        visitor_.count_malformed();
    } else {
        visitor_.count_unread(work.request);
    }
    server_->router.note_refusal(work.request, status);
}

/// The same for all that the end of the connection has cut short.
void H2Connection::note_what_is_left() {
    session_.for_each(
        [this](H2Stream& stream) { note_unhandled(static_cast<Work&>(stream), kCutShort); });
    if (session_.begun()) return;
    // It has begun as such clients do, and has not gone on so.
    http::Request request;
    request.method = "PRI";
    request.path = "*";
    visitor_.count_unread(request);
    server_->router.note_refusal(request, kCutShort);
}

/// Sends it, unless there has been a response before.
void H2Connection::respond(Work& work, http::Response response) {
    if (work.answered) return;
    if (response.switches()) return take_over(work, std::move(response), Stream());
    if (response.producer() != nullptr) return begin_delivery(work, std::move(response));
    work.whole = true;
    session_.respond(work, std::move(response), date());
    begin_to_send(work);
}

/// Makes the stream's conduit. False: too many are at work, perhaps for requests that were given
/// up.
bool H2Connection::open(Work& work, std::size_t bytes_max, Stream& near) {
    if (exchanges() >= server_->options.http2().streams_max()) {
        session_.reset(work, H2Code::refused_stream);
        return false;
    }
    Junction::Opened opened =
        junction_.open(static_cast<std::uint64_t>(work.id), bytes_max, local_, peer_);
    work.far = std::move(opened.far);
    if (work.input_ended) work.far.finish();
    near = std::move(opened.near);
    ++exchanges_;
    return true;
}

H2Exchange::Begin H2Connection::beginning_of(Work& work) {
    H2Exchange::Begin begin;
    begin.server = server_;
    begin.bell = work.far.bell();
    begin.answer = work.answer = std::make_shared<H2Answer>();
    begin.head_only = work.head_only;
    return begin;
}

void H2Connection::begin_exchange(Work& work) {
    Stream near;
    if (!open(work, kConduitBytes, near)) return;
    H2Exchange::Begin begin = beginning_of(work);
    begin.stream = std::move(near);
    begin.request = std::move(work.request);
    begin.handler = work.handler;
    if (work.body_length_known) begin.body_length = work.body_length;
    begin.continue_expected = work.wants_continue;
    spawn<H2Exchange>(std::move(begin)).tell<&H2Exchange::serve>();
}

/// A function has answered with a body that is to be made: that waits, which is not for here.
void H2Connection::begin_delivery(Work& work, http::Response response) {
    Stream near;
    if (!open(work, kConduitBytes, near)) return;
    H2Exchange::Begin begin = beginning_of(work);
    begin.stream = std::move(near);
    spawn<H2Exchange>(std::move(begin)).tell<&H2Exchange::deliver>(std::move(response));
}

/// The stream is another actor's from here on. Its actor is a child of ours, and told by us when
/// the server stops.
void H2Connection::take_over(Work& work, http::Response response, Stream near) {
    if (draining_) {
        return respond(work, refusal_of(ParseRefusal{503, "This server is about to stop."}));
    }
    if (!near.is_open() && !open(work, kConduitBytes, near)) return;
    const std::unique_ptr<http::Takeover> next = response.take_next();
    work.reads_on = true;
    work.input_due = kNever;
    session_.respond(work, response, date(), work);
    work.socket = next->begin(*this, std::move(near), std::string());
}

// ---- what the streams tell ----------------------------------------------------------------------

void H2Connection::hear_news() {
    junction_.take_news(news_);
    for (const std::uint64_t number : news_) {
        const auto id = static_cast<std::int32_t>(number);
        if (H2Stream* const stream = session_.find(id)) {
            hear(static_cast<Work&>(*stream));
        } else if (const auto orphan = orphans_.find(id);
                   orphan != orphans_.end() && orphan->second.closed()) {
            orphans_.erase(orphan);
        }
    }
    news_.clear();
}

void H2Connection::hear(Work& work) {
    if (!work.far.is_open()) return;
    const std::size_t read = std::min(work.far.take_read(), work.unread);
    work.unread -= read;
    session_.consume(work, read);
    const unsigned rings = work.far.take_rings();
    if ((rings & H2Answer::kContinue) != 0 && !work.input_ended && !work.answered) {
        session_.say_continue(work);
    }
    if ((rings & H2Answer::kResponse) != 0) hear_response(work);
    if (work.far.written() > 0 || work.ends()) {
        session_.resume(work);
        begin_to_send(work);
    }
    if (!work.far.closed()) return;
    if (work.socket != Ref<Actor>()) {
        work.reads_on = false;
        if (work.end_sent && !work.input_ended) session_.reset(work, H2Code::no_error);
    } else if (work.whole) {
        work.far = Conduit();
        --exchanges_;
    } else if (!work.ends()) {
        session_.reset(work, H2Code::internal_error);
    }
}

void H2Connection::hear_response(Work& work) {
    if (work.answered) return;
    H2Answer& answer = *work.answer;
    if (answer.response.switches()) {
        return take_over(work, std::move(answer.response), std::move(answer.near));
    }
    Framing framing;
    framing.head_only = work.head_only;
    work.whole = answer.response.producer() == nullptr ||
                 body_end(answer.response, framing) == BodyEnd::nothing_follows;
    if (work.whole) {
        session_.respond(work, std::move(answer.response), date());
    } else {
        session_.respond(work, answer.response, date(), work);
    }
    begin_to_send(work);
}

void H2Connection::on_closed(H2Stream& stream, std::uint32_t code) {
    auto& work = static_cast<Work&>(stream);
    const bool too_many = code == static_cast<std::uint32_t>(H2Code::refused_stream);
    note_unhandled(work, too_many ? 503 : kCutShort);
    uncollect(work);
    session_.consume_of_connection(work.unread);
    if (work.far.is_open()) {
        --exchanges_;
        work.far.fail(Error(Errc::closed, "the peer has given the request up"));
        // A handler that goes on although nobody waits for it counts until it has ended.
        if (!work.far.closed()) orphans_.emplace(work.id, std::move(work.far));
    }
    if (session_.streams() != 0) return;
    idle_since_ = now_;
    due(later(server_->options.idle_timeout()));
}

// ---- time ---------------------------------------------------------------------------------------

Duration H2Connection::later(Duration delay) const {
    return delay < kNever - now_ ? now_ + delay : kNever;
}

void H2Connection::due(Duration when) {
    due_ = std::min(due_, when);
}

/// The clock is read once a turn.
const DateCache::Text& H2Connection::date() {
    if (!date_) date_ = &dates_.at(system().engine().wall_now());
    return *date_;
}

/// There is something to send on this stream: from now on the peer has to take it.
void H2Connection::begin_to_send(Work& work) {
    if (work.slice_since != kNever || !work.answered) return;
    work.slice_since = now_;
    work.slice_left = kSliceBytes;
    due(later(server_->options.write_timeout()));
}

void H2Connection::on_sent(H2Stream& stream, std::size_t bytes) {
    auto& work = static_cast<Work&>(stream);
    work.slice_left -= std::min(work.slice_left, bytes);
    const bool waits_for_us = work.far.is_open() && work.far.written() == 0;
    if (work.output_ended || waits_for_us) {
        work.slice_since = kNever;
    } else if (work.slice_left == 0) {
        work.slice_since = kNever;
        begin_to_send(work);
    }
}

/// Something may be late. Finds out what, and what may be next.
void H2Connection::look_at_the_clock() {
    const http::ServerOptions& options = server_->options;
    due_ = kNever;
    const auto over = [this](Duration since, Duration longest) {
        if (longest == kNever) return false;
        if (now_ - since >= longest) return true;
        due(since + longest);
        return false;
    };
    if (slice_left_ != 0 && over(slice_since_, options.write_timeout())) return stream_.close();
    if (!session_.begun() && over(began_at_, options.request_timeout())) return stream_.close();
    if (inside_head_ && over(head_since_, options.request_timeout())) {
        session_.terminate(H2Code::enhance_your_calm);
    }
    if (over(began_at_, options.http2().lifetime_max())) begin_to_drain();
    if (session_.streams() == 0 && over(idle_since_, options.idle_timeout())) {
        session_.terminate(H2Code::no_error);
    }
    if (draining_ && !last_told_ && over(drains_since_, kNoticeTime)) on_notice_heard();
    session_.for_each([this](H2Stream& stream) { look_at(static_cast<Work&>(stream)); });
}

void H2Connection::look_at(Work& work) {
    const Duration write_timeout = server_->options.write_timeout();
    if (work.slice_since != kNever && now_ - work.slice_since >= write_timeout) {
        work.slice_since = kNever;
        if (work.far.is_open()) {
            work.far.fail(Error(Errc::timed_out, "the peer does not take the body"));
        }
        session_.reset(work, H2Code::cancel);
        return;
    }
    if (work.slice_since != kNever) due(work.slice_since + write_timeout);
    if (work.input_due == kNever) return;
    // Who is held back by our own window is not late.
    const bool held_back =
        2 * (work.unread + work.held) >= server_->options.http2().stream_window_bytes();
    if (held_back) work.input_due = later(server_->options.request_timeout());
    if (work.input_due > now_) return due(work.input_due);
    work.input_due = kNever;
    uncollect(work);
    if (work.far.is_open()) {
        work.far.fail(Error(Errc::timed_out, "the body took too long to arrive"));
    }
    if (!work.answered) return refuse(work, kTooSlow);
    session_.reset(work, H2Code::cancel);
}

// ---- the end ------------------------------------------------------------------------------------

/// In two steps: what the peer sends before it has heard of it is answered like any other request.
void H2Connection::begin_to_drain() {
    if (std::exchange(draining_, true)) return;
    drains_since_ = now_;
    due(later(kNoticeTime));
    session_.notice();
    session_.for_each([](H2Stream& stream) {
        auto& work = static_cast<Work&>(stream);
        if (work.socket != Ref<Actor>()) work.socket.stop();
    });
}

void H2Connection::on_notice_heard() {
    if (!draining_ || std::exchange(last_told_, true)) return;
    session_.go_away();
}

/// Says that nothing more will come, and listens to the peer until it knows.
Task<void> H2Connection::linger() {
    if (!stream_.shutdown_write()) co_return;
    const Duration end = system().now() + kLingerTime;
    for (std::size_t seen = 0; seen < kLingerBytes;) {
        const Duration left = end - system().now();
        if (left <= Duration::zero()) break;
        Result<std::size_t> received =
            co_await stream_.read_some(input_.room(kReadBytesIdle)).within(left);
        if (!received || *received == 0) break;
        seen += *received;
    }
}

}  // namespace troupe::http_internal

#include <troupe/base/block_pool.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/websocket/internal/wire.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace troupe::websocket_internal {

namespace {

constexpr unsigned kAbnormal = 1006;
constexpr unsigned kPolicy = 1008;
constexpr unsigned kTryAgainLater = 1013;
constexpr unsigned kCrashed = 1011;

// With so much to be handled nothing more is read.
constexpr std::size_t kInboxBytesMax = 64 * 1024;
constexpr std::size_t kInboxEventsMax = 1024;

// What is read at once, and before others on the worker have a turn.
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kReadInARowMax = 4 * kReadBytes;

// How much of what comes behind the end is waited for. To close with bytes unread would answer them
// with a reset, which destroys what the peer has not read yet.
constexpr std::size_t kThrownAwayMax = 1024 * 1024;

/// What a worker reads into: bytes are decoded at once, so no connection needs a buffer of its own.
[[gnu::noinline]] std::span<char> reading_space() {
    thread_local const std::unique_ptr<char[]> bytes =
        std::make_unique_for_overwrite<char[]>(kReadBytes);
    return {bytes.get(), kReadBytes};
}

Duration later(Duration now, Duration delay) noexcept {
    return delay < Duration::max() - now ? now + delay : Duration::max();
}

std::string number_text(std::uint32_t number) {
    std::string text(sizeof number, '\0');
    std::memcpy(text.data(), &number, sizeof number);
    return text;
}

}  // namespace

// ---- signals to ourselves -----------------------------------------------------------------------

/// Every connection has one, so it is one cache line: whose it is the cell knows.
struct Wire::Timer : TimerNode {
    static void free(MailNode* node) noexcept {
        free_block_of<sizeof(Timer)>(static_cast<Timer*>(node));
    }
    static bool arrive(MailNode* node, Cell& cell) {
        const bool late = node->tag == kLate;
        free(node);
        if (late) return false;
        Wire& wire = wire_in(cell);
        wire.timer_ = nullptr;
        wire.timer_at_ = kNever;
        return wire.time_is_up();
    }
    static void drop(MailNode* node, const Error&) noexcept { free(node); }

    static constexpr MailOps kOps{MailKind::signal, &drop, &arrive};
    /// The tag, once the connection has ended; nobody else looks at it.
    static constexpr std::uint32_t kLate = 1;
};

struct Wire::FlushSignal : MailNode {
    Wire* wire = nullptr;  // null: it is gone

    static void free(MailNode* node) noexcept {
        free_block(static_cast<FlushSignal*>(node), sizeof(FlushSignal));
    }
    static bool arrive(MailNode* node, Cell&) {
        Wire* const wire = static_cast<FlushSignal*>(node)->wire;
        free(node);
        if (wire == nullptr) return false;
        wire->flush_ = nullptr;
        return wire->flush_is_due();
    }
    static void drop(MailNode* node, const Error&) noexcept { free(node); }

    static constexpr MailOps kOps{MailKind::signal, &drop, &arrive};
};

Wire::Wire(WireOwner& owner, Cell& cell, Role role,
           std::shared_ptr<const websocket::Options> options)
    : owner_(owner), cell_(cell), options_(std::move(options)), role_(role) {
    static_assert(sizeof(Timer) == kBlockAlignment);
}

Wire::Traffic::Traffic(const Wire& wire)
    : decoder(wire.role_, wire.options_->message_bytes_max()),
      outbox(*wire.options_, wire.role_ == Role::client ? &wire.cell_.engine() : nullptr) {
    decoder.use_deflate(wire.terms_);
    outbox.use_deflate(wire.terms_);
}

Wire::Traffic& Wire::traffic() {
    if (traffic_ == nullptr) traffic_ = std::make_unique<Traffic>(*this);
    return *traffic_;
}

/// All that the next message does not need. Between two signals, or messages of the actor.
void Wire::give_back() {
    if (phase_ != Phase::open || has_events() || traffic_->head_bytes != 0) return;
    if (inside_message() || !traffic_->outbox.empty()) return;
    if (traffic_->decoder.rest() && traffic_->outbox.rest()) {
        traffic_.reset();
    } else {
        traffic_->events = std::vector<Event>();
    }
}

/// Still open: the actor has failed or was killed.
Wire::~Wire() {
    if (talks()) {
        Outbox& outbox = traffic().outbox;
        outbox.drop_messages();
        outbox.add_close(close_payload(kCrashed, "the actor has ended"));
        const std::string_view last = outbox.pending();
        ignore(stream_.try_write(last), "whether it is heard changes nothing");
        ignore(stream_.shutdown_write(), "the same");
    }
    end();
    if (flush_ != nullptr) flush_->wire = nullptr;
}

void Wire::open(Stream stream, const Agreement& agreement, std::string received) {
    stream_ = std::move(stream);
    layered_ = stream_.tls().has_value();
    phase_ = Phase::open;
    terms_ = agreement.deflate;
    if (traffic_ != nullptr) {  // something was sent already
        traffic_->decoder.use_deflate(terms_);
        traffic_->outbox.use_deflate(terms_);
    }
    heard_at_ = now();
    ping_at_ = later(heard_at_, options_->ping_interval());
    add_event(Event::Kind::opened, 0, std::string());
    if (!received.empty()) decode(received.data(), received.size());
    flush();
    receive();
    settle();
}

// ---- what arrives -------------------------------------------------------------------------------

bool Wire::ready(Cell&) noexcept {
    observed_ = 0;
    if (blocked_) flush();
    if (phase_ == Phase::lingering) {
        throw_away();
    } else if (handles_at_once()) {
        more_to_read_ = true;
    } else {
        receive();
    }
    // Whoever has pinged or closed waits for the answer, not for the actor.
    if (!nothing_to_send() && !blocked_) flush();
    return after_signal();
}

/// The actor comes to what was received before anything else happens to it, so it may as well read
/// by itself: a message that is handled when it is found need not wait in the inbox.
bool Wire::handles_at_once() const noexcept {
    return cell_.batch_ == nullptr && cell_.awaiting_ == nullptr && !events_posted_ &&
           !has_events() && may_receive();
}

bool Wire::flush_is_due() noexcept {
    if (cell_.batch_ != nullptr && cell_.awaiting_ == nullptr) {
        owner_.flush_behind(cell_);
        return false;
    }
    flush();
    return after_signal();
}

bool Wire::time_is_up() noexcept {
    take_in();  // what the peer has said counts before its time is up
    const Duration at = now();
    if (at >= close_due_ && phase_ == Phase::answering) {
        answer_close();  // the actor takes its time, and the peer is not to wait for it
    } else if (at >= close_due_) {
        tell_closed(kAbnormal, "the peer did not agree to the end in time");
        end();
    }
    if (at >= write_due_) lose(Error(Errc::timed_out, "the peer takes nothing"));
    if (at >= pong_due_) {
        const Duration extended = later(heard_at_, options_->pong_timeout());
        if (extended > at) {
            pong_due_ = extended;
        } else if (!may_receive()) {
            pong_due_ = later(at, options_->pong_timeout());  // it is we who do not listen
        } else {
            lose(Error(Errc::timed_out, "the peer did not answer a ping"));
        }
    }
    if (at >= ping_at_) {
        judge_speed(at);
        send_ping(at);
    }
    return after_signal();
}

/// Whatever has changed: the actor, the reactor and the clock are told.
bool Wire::after_signal() noexcept {
    if (!in_use_ && traffic_ != nullptr) give_back();
    if (has_events() || more_to_read_ || phase_ == Phase::ended) post_events();
    observe();
    arm();
    return phase_ == Phase::ended && owner_.wire_has_ended(cell_);
}

void Wire::post_events() {
    if (std::exchange(events_posted_, true)) return;
    owner_.events_are_here(cell_);
}

void Wire::observe() {
    const bool reads = may_receive() || phase_ == Phase::lingering;
    const bool listens = reads && !more_to_read_;
    constexpr std::uint8_t kReads = 1;
    constexpr std::uint8_t kWrites = 2;
    const auto wanted =
        static_cast<std::uint8_t>((listens ? kReads : 0) | (blocked_ ? kWrites : 0));
    // A layer may have to wait for something else than before.
    if ((wanted == observed_ && !layered_) || wanted == 0 || !stream_.is_open()) return;
    observed_ = wanted;
    stream_.observe(*this, wanted == kReads    ? io_internal::Direction::read
                           : wanted == kWrites ? io_internal::Direction::write
                                               : io_internal::Direction::both);
}

// ---- reading ------------------------------------------------------------------------------------

bool Wire::may_receive() const noexcept {
    if (reads_no_more_ || (phase_ != Phase::open && phase_ != Phase::closing)) return false;
    if (traffic_ == nullptr) return true;
    const bool inbox_full = traffic_->event_bytes >= kInboxBytesMax ||
                            traffic_->events.size() - traffic_->next_event >= kInboxEventsMax;
    const bool outbox_full = buffered() > options_->send_buffer_bytes_max() / 2;
    return !inbox_full && (!outbox_full || phase_ == Phase::closing);
}

/// Whether there was nothing left.
bool Wire::receive() {
    more_to_read_ = false;
    std::size_t total = 0;
    while (may_receive()) {
        if (total >= kReadInARowMax) {
            more_to_read_ = true;
            return false;
        }
        const std::span<char> space = reading_space();
        const std::size_t head_bytes = traffic_ != nullptr ? traffic_->head_bytes : 0;
        if (head_bytes != 0) std::memcpy(space.data(), traffic_->head, head_bytes);
        const auto got = stream_.try_read(space.subspan(head_bytes));
        if (!got) {
            lose(got.error());
            return true;
        }
        if (!*got) return true;
        if (**got == 0) return receive_end();
        total += **got;
        received_bytes_ += **got;
        decode(space.data(), head_bytes + **got);
    }
    return false;
}

bool Wire::receive_end() {
    tell_closed(kAbnormal, "the peer has ended the connection without a close");
    end();
    return true;
}

void Wire::decode(char* bytes, std::size_t size) {
    FrameDecoder& decoder = traffic().decoder;
    std::size_t used = 0;
    bool alive = false;
    while (!reads_no_more_ && used != size) {
        const FrameDecoder::Step step = decoder.advance(bytes + used, size - used);
        used += step.consumed;
        if (step.status == FrameDecoder::Status::need_more) break;
        switch (step.status) {
            case FrameDecoder::Status::message:
                take_message();
                break;
            case FrameDecoder::Status::ping:
                if (phase_ == Phase::open)
                    traffic_->outbox.add_control(Opcode::pong, decoder.payload());
                break;
            case FrameDecoder::Status::pong:
                take_pong(decoder.payload());
                continue;  // one that answers nothing proves nothing
            case FrameDecoder::Status::close:
                take_close();
                break;
            default:
                take_rubbish();
        }
        alive = true;
    }
    traffic_->head_bytes = 0;
    if (reads_no_more_) return;
    if (alive || decoder.inside_message()) heard_at_ = now();
    if (decoder.inside_data()) use();
    traffic_->head_bytes = static_cast<std::uint8_t>(size - used);
    std::memcpy(traffic_->head, bytes + used, size - used);
}

void Wire::take_message() {
    use();
    const Opcode kind = traffic_->decoder.kind();
    // What comes behind our own close is read for the peer's alone.
    if (phase_ == Phase::open && hand_over_ != 0) {
        const bool more = owner_.handle_at_once(kind, traffic_->decoder.message());
        hand_over_ = more ? static_cast<std::uint16_t>(hand_over_ - 1) : std::uint16_t{0};
        return;
    }
    std::string payload = traffic_->decoder.take_payload();
    if (phase_ != Phase::open) return;
    add_event(kind == Opcode::text ? Event::Kind::text : Event::Kind::binary, 0,
              std::move(payload));
}

void Wire::take_pong(std::string_view payload) {
    std::uint32_t number = 0;
    if (payload.size() != sizeof number) return;
    std::memcpy(&number, payload.data(), sizeof number);
    if (number <= pong_number_ || number > ping_number_) return;
    pong_number_ = number;
    heard_at_ = now();
    if (pong_number_ == ping_number_) pong_due_ = kNever;
}

/// The peer says nothing more, but still listens: what it said before is handled first, and may be
/// answered.
void Wire::take_close() {
    peer_closed_ = true;
    answer();
    tell_closed(traffic_->decoder.close_code(), traffic_->decoder.payload());
    if (nothing_to_send()) written_out();
}

/// What was right before it counts, however the network has cut the bytes.
void Wire::take_rubbish() {
    if (phase_ != Phase::open)
        return fail(traffic_->decoder.close_code(), traffic_->decoder.problem());
    goes_alone_ = true;
    answer();
    tell_closed(traffic_->decoder.close_code(), std::string(traffic_->decoder.problem()));
}

/// Nothing more is read, and our close is due behind what is still to be handled.
void Wire::answer() {
    reads_no_more_ = true;
    answer_code_ = static_cast<std::uint16_t>(traffic_->decoder.close_code());
    pong_due_ = ping_at_ = kNever;
    if (close_sent_) return;
    phase_ = Phase::answering;
    close_due_ = later(now(), options_->close_timeout());
}

void Wire::answer_close() {
    if (phase_ != Phase::answering) return;
    traffic_->outbox.add_close(close_payload(
        answer_code_, peer_closed_ ? std::string_view() : traffic_->decoder.problem()));
    close_sent_ = true;
    phase_ = Phase::closing;
    close_due_ = later(now(), options_->close_timeout());
    want_flush();
}

/// Reads and forgets, until the peer has heard of the end.
void Wire::throw_away() {
    for (;;) {
        const auto got = stream_.try_read(reading_space());
        if (got && !*got) return;
        received_bytes_ += got ? **got : 0;
        if (!got || **got == 0 || received_bytes_ > kThrownAwayMax) return end();
    }
}

// ---- events -------------------------------------------------------------------------------------

void Wire::add_event(Event::Kind kind, unsigned code, std::string payload) {
    traffic().event_bytes += payload.size();
    traffic_->events.emplace_back(kind, static_cast<std::uint16_t>(code), std::move(payload));
}

Event Wire::take_event() {
    Traffic& traffic = *traffic_;
    Event event = std::move(traffic.events[traffic.next_event++]);
    traffic.event_bytes -= event.payload.size();
    if (event.kind == Event::Kind::closed) answer_close();
    if (!has_events()) {
        traffic.events.clear();
        traffic.next_event = 0;
    }
    return event;
}

void Wire::hand_over(unsigned messages) {
    if (phase_ == Phase::fresh || phase_ == Phase::ended) return;
    hand_over_ = static_cast<std::uint16_t>(messages);
    read_all_ = receive();
    hand_over_ = 0;
}

void Wire::events_handled() {
    events_posted_ = false;
    flush_held_ = false;
    const bool read_all = std::exchange(read_all_, false);
    if (phase_ == Phase::fresh || phase_ == Phase::ended) {
        if (has_events()) post_events();
        return;
    }
    if (!read_all) receive();
    flush();
    settle();
}

void Wire::tell_closed(unsigned code, std::string reason) {
    if (std::exchange(closed_told_, true)) return;
    add_event(Event::Kind::closed, code, std::move(reason));
}

// ---- sending ------------------------------------------------------------------------------------

Outbox::Taken Wire::send(Opcode kind, std::string_view payload) {
    use();
    const Outbox::Taken taken = traffic().outbox.add(kind, payload);
    if (taken != Outbox::Taken::yes) was_full_ = true;
    if (taken == Outbox::Taken::overflow) fail(kTryAgainLater, "too much waits to be sent");
    want_flush();
    return taken;
}

Outbox::Taken Wire::send(SharedFrames frames) {
    if (goes_straight()) {
        write_straight(std::move(frames));
        return Outbox::Taken::yes;
    }
    use();
    const Outbox::Taken taken = traffic().outbox.add(std::move(frames));
    if (taken != Outbox::Taken::yes) was_full_ = true;
    if (taken == Outbox::Taken::overflow) fail(kTryAgainLater, "too much waits to be sent");
    if (cell_.batch_ != nullptr || flush_ != nullptr) {
        want_flush();
    } else {
        // The message it came with has nothing behind it.
        flush();
        settle();
    }
    return taken;
}

/// Nothing waits before it, and nothing is at hand that could leave together with it.
bool Wire::goes_straight() const noexcept {
    return phase_ == Phase::open && role_ == Role::server && !blocked_ && !flush_held_ &&
           flush_ == nullptr && cell_.batch_ == nullptr && nothing_to_send();
}

/// Most members of a room only listen: what is for all of them is written from where it is, and
/// nothing is made for it here unless some of it does not go.
void Wire::write_straight(SharedFrames frames) {
    const std::string_view small = frames->frames(window_bits());
    const std::string_view chosen = small.empty() ? frames->frames() : small;
    const Result<std::size_t> written = stream_.try_write(chosen);
    if (traffic_ != nullptr && !small.empty()) traffic_->outbox.forget_window();
    if (written && *written == chosen.size()) return;
    use();
    // An error comes up again.
    traffic().outbox.add_rest(std::move(frames), chosen, written.value_or(0), !small.empty());
    want_flush();
}

bool Wire::send_at_once(const SharedFrames& frames) {
    if (!goes_straight()) return false;
    write_straight(frames);
    return true;
}

bool Wire::ping(std::string_view payload) {
    const bool added = traffic().outbox.add_control(Opcode::ping, payload);
    if (added) want_flush();
    return added;
}

void Wire::want_flush() {
    if (flush_held_ || flush_ != nullptr || phase_ == Phase::fresh || phase_ == Phase::ended) {
        return;
    }
    flush_ = ::new (allocate_block(sizeof(FlushSignal))) FlushSignal;
    flush_->ops = &FlushSignal::kOps;
    flush_->wire = this;
    post_signal(cell_, cell_.generation(), flush_);
}

void Wire::release_flush() {
    flush_held_ = false;
    if (!nothing_to_send()) want_flush();
}

void Wire::flush() {
    if (phase_ == Phase::fresh || phase_ == Phase::lingering) return;
    if (buffered() > options_->send_buffer_bytes_max() / 2) was_full_ = true;
    bool moved = false;
    while (phase_ != Phase::ended) {
        const std::string_view bytes =
            traffic_ != nullptr ? traffic_->outbox.pending() : std::string_view();
        if (bytes.empty()) {
            blocked_ = false;
            write_due_ = kNever;
            return written_out();
        }
        const Result<std::size_t> written = stream_.try_write(bytes);
        if (!written) return lose(written.error());
        if (*written == 0) {
            if (!blocked_ || moved) write_due_ = later(now(), options_->write_timeout());
            blocked_ = true;
            return;
        }
        traffic_->outbox.consume(*written);
        moved = true;
    }
}

/// Nothing waits any more.
void Wire::written_out() {
    if (std::exchange(was_full_, false) && phase_ == Phase::open) {
        add_event(Event::Kind::drained, 0, std::string());
    }
    if (close_sent_ && (peer_closed_ || goes_alone_)) linger();
}

// ---- the end ------------------------------------------------------------------------------------

void Wire::close(unsigned code, std::string_view reason) {
    if (phase_ == Phase::fresh) return end();
    if (!talks()) return;
    traffic().outbox.add_close(close_payload(code, reason));
    close_sent_ = true;
    phase_ = Phase::closing;
    close_due_ = later(now(), options_->close_timeout());
    pong_due_ = ping_at_ = kNever;
    want_flush();
}

void Wire::fail(unsigned code, std::string_view reason) {
    if (!talks() && phase_ != Phase::closing) return;
    reads_no_more_ = true;
    goes_alone_ = true;
    pong_due_ = ping_at_ = kNever;
    if (!close_sent_) {
        traffic().outbox.drop_messages();
        traffic_->outbox.add_close(close_payload(code, reason));
        close_sent_ = true;
        close_due_ = later(now(), options_->close_timeout());
    }
    phase_ = Phase::closing;
    tell_closed(code, std::string(reason));
    want_flush();
}

/// The connection is broken, or as good as that.
void Wire::lose(const Error& why) {
    if (phase_ == Phase::ended) return;
    tell_closed(kAbnormal, why.text());
    end();
}

/// All is said. A server ends the connection first, so that what lingers of it is the server's; a
/// client waits for that.
void Wire::linger() {
    phase_ = Phase::lingering;
    pong_due_ = ping_at_ = write_due_ = kNever;
    received_bytes_ = 0;
    close_due_ = later(now(), options_->close_timeout());
    if (role_ == Role::server && !stream_.shutdown_write()) return end();
    throw_away();
}

void Wire::end() {
    phase_ = Phase::ended;
    stream_.close();
    blocked_ = false;
    more_to_read_ = false;
    pong_due_ = ping_at_ = write_due_ = close_due_ = kNever;
    if (timer_ == nullptr) return;
    if (cell_.engine().cancel_timer(timer_)) {
        Timer::free(timer_);
    } else {
        timer_->tag = Timer::kLate;
    }
    timer_ = nullptr;
    timer_at_ = kNever;
}

// ---- time ---------------------------------------------------------------------------------------

Duration Wire::now() const noexcept {
    return cell_.engine().now();
}

void Wire::send_ping(Duration at) {
    ping_at_ = later(at, options_->ping_interval());
    if (phase_ != Phase::open) return;
    in_use_ = std::exchange(used_, false);  // silent for a while, it may well stay so
    received_bytes_ = 0;
    if (traffic().outbox.add_control(Opcode::ping, number_text(ping_number_ + 1))) ++ping_number_;
    if (pong_due_ == kNever) pong_due_ = later(at, options_->pong_timeout());
    flush();
}

/// A message that takes its time between two pings has to come at some speed.
void Wire::judge_speed(Duration) {
    const bool inside = inside_message();
    const bool all_along = std::exchange(was_inside_, inside) && inside;
    if (!all_along || !may_receive()) return;
    const auto seconds = options_->ping_interval() / std::chrono::duration<double>(1);
    if (static_cast<double>(received_bytes_) <
        seconds * static_cast<double>(options_->bytes_per_second_min())) {
        fail(kPolicy, "the message comes too slowly");
    }
}

Duration Wire::next_deadline() const noexcept {
    return std::min({ping_at_, pong_due_, write_due_, close_due_});
}

/// One timer is enough for all: it stays on the clock when its time moves back, and looks again.
void Wire::arm() {
    const Duration deadline = next_deadline();
    if (timer_at_ <= deadline) return;
    if (timer_ == nullptr) {
        timer_ = ::new (allocate_block_of<sizeof(Timer)>()) Timer;
        timer_->ops = &Timer::kOps;
        timer_->target = &cell_;
        timer_->generation = cell_.generation();
    } else if (!cell_.engine().cancel_timer(timer_)) {
        return;  // it is here any moment, and looks again
    }
    timer_->deadline = timer_at_ = deadline;
    cell_.engine().start_timer(timer_);
}

}  // namespace troupe::websocket_internal

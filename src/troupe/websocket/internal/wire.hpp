#pragma once

// One end of a WebSocket connection, within the actor it belongs to.
//
// The problem: an actor handles one message at a time, and must not wait for its socket while it
// does: pings have to be answered and sent, deadlines kept and bytes taken off its hands while a
// handler waits for something else; and the actor must go on handling its mail while the peer is
// silent.
//
// The answer: nobody awaits the socket. What the engine has to tell (there is something to read,
// there is room to write, time is up) arrives as signals in the actor's turn, between two messages
// or while a handler waits, and is dealt with there and then: bytes become frames, control frames
// are answered, messages are put into the inbox. Only those are the actor's to handle, one after
// the other, like its other mail. Nothing is read while the inbox or half of the send buffer is
// full, so a peer that is faster than its handler, or does not listen, has to wait.
//
// All that was sent in a turn leaves in one write: the first send of a turn posts a signal that is
// handled behind the mail at hand.
//
// Most connections are silent most of the time, so what only a message in one or the other
// direction needs is made for the first of them, and given back when a ping finds that the
// connection was not used since the one before. What the peer's compression may still refer to is
// kept.

#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/websocket/internal/encoded.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/outbox.hpp>
#include <troupe/websocket/options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {
class Cell;
class Engine;
}  // namespace troupe

namespace troupe::websocket_internal {

/// What the actor is to handle.
struct Event {
    enum class Kind : std::uint8_t { opened, text, binary, drained, closed };
    Kind kind;
    std::uint16_t code = 0;  // of a close
    std::string payload;     // or the reason
};

/// What the wire asks of its actor.
class WireOwner {
public:
    /// There is something for the actor to do: it calls take_event until there are none, and then
    /// events_handled.
    virtual void events_are_here(Cell& cell) noexcept = 0;
    /// The actor is to call flush behind the mail at hand.
    virtual void flush_behind(Cell& cell) noexcept = 0;
    /// A message, while the actor takes them over; it may have the payload. False: no more of them.
    virtual bool handle_at_once(Opcode kind, std::string& payload) = 0;
    /// The connection is no more, and nothing will come. True when that ends what the actor's
    /// coroutine waits for.
    virtual bool wire_has_ended(Cell& cell) noexcept = 0;

protected:
    ~WireOwner() = default;
};

class Wire final : private io_internal::Observer {
public:
    /// The options are shared by all connections of one route, or one client.
    Wire(WireOwner& owner, Cell& cell, Role role,
         std::shared_ptr<const websocket::Options> options);
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    // All of it in the turn of the actor.

    /// The handshake is done. `received` is what came behind it.
    void open(Stream stream, const Agreement& agreement, std::string received);

    bool takes_messages() const noexcept { return phase_ == Phase::fresh || talks(); }
    Outbox::Taken send(Opcode kind, std::string_view payload);
    Outbox::Taken send(SharedFrames frames);
    /// The same from outside of the actor's turn, while its cell is held: where nothing waits, and
    /// nothing is at hand. False: nothing has happened.
    bool send_at_once(const SharedFrames& frames);
    bool ping(std::string_view payload);
    std::size_t buffered() const noexcept {
        return traffic_ != nullptr ? traffic_->outbox.buffered() : 0;
    }
    std::uint64_t messages_dropped() const noexcept {
        return traffic_ != nullptr ? traffic_->outbox.messages_dropped() : 0;
    }

    /// Begins the end: the frame leaves behind what was sent before.
    void close(unsigned code, std::string_view reason);
    /// The same at once: what waits is not sent any more.
    void fail(unsigned code, std::string_view reason);

    /// Writes what goes without waiting.
    void flush();
    /// Until events_handled, which flushes, the actor's sends ask for no flush of their own.
    void hold_flush() noexcept { flush_held_ = true; }
    /// Or until here: what was sent meanwhile leaves behind the mail at hand.
    void release_flush();
    /// To be called when the actor has done something on its own account.
    void settle() {
        ignore(after_signal(), "nobody awaits anything: this is the actor's own turn");
    }

    bool has_events() const noexcept {
        return traffic_ != nullptr && traffic_->next_event != traffic_->events.size();
    }
    Event take_event();
    /// Reads, and has the owner handle up to so many messages as they are found: none waits before
    /// them. What is found after that goes to the inbox, as it does while a handler waits.
    void hand_over(unsigned messages);
    /// What the actor was to read and handle by itself goes to the inbox: it will not come to it.
    void take_in() {
        if (more_to_read_) receive();
    }
    /// The actor has handled some: there may be room for more.
    void events_handled();

    Role role() const noexcept { return role_; }
    bool ended() const noexcept { return phase_ == Phase::ended; }
    std::string peer() const { return to_string(stream_.peer()); }
    /// Of the window for what we send; 0 without compression.
    int window_bits() const noexcept { return terms_.on ? our_window_bits() : 0; }
    /// Whether it holds nothing but what an idle connection needs.
    bool at_rest() const noexcept { return traffic_ == nullptr; }
    Cell& cell() const noexcept { return cell_; }
    const std::shared_ptr<const websocket::Options>& options() const noexcept { return options_; }

private:
    enum class Phase : std::uint8_t {
        fresh,      // not opened yet: what is sent waits
        open,       //
        answering,  // the last has come: our close follows when what came before it was handled
        closing,    // our close was sent
        lingering,  // nothing is said any more: until the peer knows, what it sends is thrown away
        ended,
    };
    /// What a connection has while it is used.
    struct Traffic {
        explicit Traffic(const Wire& wire);

        FrameDecoder decoder;
        Outbox outbox;
        std::vector<Event> events;
        std::size_t next_event = 0;
        std::size_t event_bytes = 0;
        std::uint8_t head_bytes = 0;
        char head[kFrameHeadBytesMax];  // the beginning of a frame that was cut
    };
    struct Timer;
    struct FlushSignal;
    friend struct Timer;
    friend struct FlushSignal;

    bool ready(Cell& cell) noexcept override;
    bool time_is_up() noexcept;
    bool flush_is_due() noexcept;
    bool after_signal() noexcept;

    bool talks() const noexcept { return phase_ == Phase::open || phase_ == Phase::answering; }
    bool may_receive() const noexcept;
    bool handles_at_once() const noexcept;
    bool receive();
    bool receive_end();
    void decode(char* bytes, std::size_t size);
    void take_message();
    void take_pong(std::string_view payload);
    void take_close();
    void take_rubbish();
    void answer();
    void answer_close();
    void throw_away();

    Traffic& traffic();
    void use() noexcept { in_use_ = used_ = true; }
    void give_back();
    bool nothing_to_send() const noexcept {
        return traffic_ == nullptr || traffic_->outbox.empty();
    }
    bool inside_message() const noexcept {
        return traffic_ != nullptr && traffic_->decoder.inside_message();
    }
    int our_window_bits() const noexcept {
        return role_ == Role::server ? terms_.server_window_bits : terms_.client_window_bits;
    }

    bool goes_straight() const noexcept;
    void write_straight(SharedFrames frames);
    void want_flush();
    void written_out();
    void tell_closed(unsigned code, std::string reason);
    void linger();
    void lose(const Error& why);
    void end();
    void add_event(Event::Kind kind, unsigned code, std::string payload);
    void post_events();
    void observe();

    void send_ping(Duration now);
    void judge_speed(Duration now);
    Duration next_deadline() const noexcept;
    void arm();
    Duration now() const noexcept;

    static constexpr Duration kNever = Duration::max();

    WireOwner& owner_;
    Cell& cell_;
    const std::shared_ptr<const websocket::Options> options_;  // as the constructor says
    Stream stream_;
    std::unique_ptr<Traffic> traffic_;
    Timer* timer_ = nullptr;        // on the clock, or on its way to us
    FlushSignal* flush_ = nullptr;  // on its way to us
    Duration timer_at_ = kNever;    // its deadline; its memory is far from ours, too

    DeflateTerms terms_;
    std::uint16_t hand_over_ = 0;    // so many messages to the actor, past the inbox
    std::uint16_t answer_code_ = 0;  // of the close that answers what came last
    Role role_;
    Phase phase_ = Phase::fresh;
    bool close_sent_ : 1 = false;     // our close frame is in the outbox or gone
    bool peer_closed_ : 1 = false;    // the peer's has come
    bool reads_no_more_ : 1 = false;  // what was received is wrong, or was the last
    bool goes_alone_ : 1 = false;     // the peer need not agree to the end
    bool more_to_read_ : 1 = false;   // we stopped before there was nothing left
    bool blocked_ : 1 = false;        // there are bytes that did not go
    bool layered_ : 1 = false;        // the stream speaks TLS
    bool in_use_ : 1 = false;         // by messages, since the last ping but one
    bool flush_held_ = false;
    bool used_ = false;         // by a message, since the last ping
    bool closed_told_ = false;  // the actor knows
    bool was_full_ = false;     // tell the actor when all has gone
    bool was_inside_ = false;   // of a message, at the last ping
    bool events_posted_ = false;
    bool read_all_ = false;      // just now
    std::uint8_t observed_ = 0;  // for what the stream is: IoWatch's memory is far from ours

    // Engine time; kNever when it does not matter.
    Duration ping_at_ = kNever;
    Duration pong_due_ = kNever;   // the peer has to answer until then
    Duration write_due_ = kNever;  // the peer has to take something until then
    Duration close_due_ = kNever;  // the peer has to agree to the end, or to hear it, until then
    Duration heard_at_{};

    std::uint64_t received_bytes_ = 0;  // since the last ping; while lingering: in all
    std::uint32_t ping_number_ = 0;     // of the last ping of ours
    std::uint32_t pong_number_ = 0;     // of the last one that was answered
};

/// The wire of the Socket that lives in a cell.
Wire& wire_in(Cell& cell) noexcept;

}  // namespace troupe::websocket_internal

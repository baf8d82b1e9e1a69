#pragma once

// A WebSocket connection as an actor:
//
//     class Chat : public websocket::Socket {
//     public:
//         explicit Chat(Ref<Room> room) : room_(room) {}
//         void hear(std::string line) { send_text(line); }                // a message like any
//         other
//     private:
//         Task<void> on_text(std::string line) override {
//             room_.tell<&Room::say>(std::move(line));
//             return {};
//         }
//         Ref<Room> room_;
//     };
//     router.get("/chat", websocket::to<Chat>(room));                     // upgrade.hpp
//
// Hooks are handled one after the other, like all that the actor is sent; one that is a coroutine
// may await whatever it likes. What the protocol asks for (pongs, pings, deadlines, the handshake
// of the end) goes on meanwhile.

#include <troupe/actor/actor.hpp>
#include <troupe/http/request.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

namespace websocket_internal {
class Encoded;
struct Opening;
class SocketCore;
}  // namespace websocket_internal

namespace websocket {

/// What became of a message to the peer.
enum class Sent : std::uint8_t {
    yes,       ///< it leaves with all that this turn sends, or waits in the send buffer
    dropped,   ///< the send buffer is full, and its policy is to drop this one
    closed,    ///< the connection has ended, or its end has begun: perhaps by this message
    not_utf8,  ///< a text has to be
    too_long,  ///< a ping carries 125 bytes at most
};

/// What the rooms know of a member.
struct Member;
class Client;
class Options;

class Socket : public Actor {
public:
    ~Socket() override;

    /// Sends what a room has made for all its members. For rooms.
    void deliver(std::shared_ptr<const websocket_internal::Encoded> frames);

protected:
    /// Gets its connection from whoever spawns it. Spawned without one it is never opened, and
    /// what it sends is kept: for tests.
    Socket();

    // ---- hooks ----

    /// The connection is open: before everything else.
    virtual Task<void> on_open(const http::Request&) { return {}; }
    /// A text, which is UTF-8.
    virtual Task<void> on_text(std::string) { return {}; }
    virtual Task<void> on_binary(std::string) { return {}; }
    /// All that waited in the send buffer has left, which was half full or worse.
    virtual Task<void> on_drain() { return {}; }
    /// The connection has ended, or is about to and will bring nothing more: once, and last; the
    /// actor ends behind it. `code` is the peer's, 1005 when it gave none, or why the connection
    /// ended here: 1006 when it broke or the peer was silent, 1011 when a hook has thrown. An actor
    /// that is killed, or fails in a message that is not one of these hooks, has no time for it.
    virtual Task<void> on_close(unsigned, std::string_view) { return {}; }

    // ---- verbs: the actor's own turn ----

    Sent send_text(std::string_view text);
    Sent send_binary(std::string_view bytes);
    /// Asks the peer for a sign of life; the answer is not told. Pings are sent anyway.
    Sent ping(std::string_view payload = std::string_view());
    /// Ends the connection, behind all that was sent before. A code that nobody may send is left
    /// out; a reason is cut to 123 bytes.
    void close(unsigned code = 1000, std::string_view reason = std::string_view());

    /// Bytes that wait to be sent.
    std::size_t buffered() const noexcept;
    /// Messages that did not fit the send buffer.
    std::uint64_t messages_dropped() const noexcept;
    /// The subprotocol that was agreed on; empty: none.
    std::string_view protocol() const noexcept;

    /// This connection as a room sees it; `name` is shown to the others.
    Member member(std::string name = std::string()) const;

    Task<void> on_stop(const ExitReason& reason) final;

private:
    friend class websocket_internal::SocketCore;
    friend class Client;

    /// A client's: it has no connection yet. The options are shared by all it will have.
    explicit Socket(std::shared_ptr<const Options> options);

    Task<Result<void>> on_start() final;
    virtual Result<void> begin_connection();
    void open_connection(websocket_internal::Opening opening);
    /// What is sent from now on waits for the next connection.
    void renew_connection();
    /// The connection has ended, with all its hooks: whether the actor goes on without.
    virtual bool goes_on_unconnected() { return false; }
    void handle_events();
    void go_on_as_coroutine();
    Task<void> handle_rest();
    void flush_now();

    std::unique_ptr<websocket_internal::SocketCore> core_;
};

/// Made by Socket::member.
struct Member {
    Ref<Socket> socket;
    std::string name;
    int window_bits = 0;  ///< of what it can inflate; 0: nothing

    Member() = default;
    Member(Ref<Socket> the_socket, std::string the_name, int the_window_bits = 0)
        : socket(the_socket), name(std::move(the_name)), window_bits(the_window_bits) {}
};

}  // namespace websocket
}  // namespace troupe

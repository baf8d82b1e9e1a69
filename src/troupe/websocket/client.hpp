#pragma once

// The other end of a WebSocket: an actor that connects, and connects again when the connection is
// lost.
//
//     class Prices : public websocket::Client {
//     public:
//         explicit Prices(std::string url) : Client(std::move(url)) {}
//     private:
//         Task<void> on_connected() override {
//             send_text("subscribe gold");                         // on every connection anew
//             return {};
//         }
//         Task<void> on_text(std::string line) override { ... }
//     };
//     tree.child<Prices>("prices", "ws://example.org/prices");     // or system.spawn<Prices>(...)
//
// It is a Socket, with its hooks and verbs, whose actor outlives its connections: it keeps what it
// knows, its address and its mail. What is sent while there is no connection waits in the send
// buffer, by its limits and its policy; what a connection had not sent when it was lost is lost
// with it. A lost connection is not a crash; a hook that throws is one, and then the supervisor
// starts the actor again, which connects at once.

#include <troupe/actor/actor_timer.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/request.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/client_options.hpp>
#include <troupe/websocket/socket.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

namespace websocket_internal {
class Dialer;
struct Opening;
}  // namespace websocket_internal

namespace websocket {

class Client : public Socket {
protected:
    /// `url` begins with "ws://" or "wss://". One that is none ends the actor before it has
    /// begun: start_failed, with ClientErrc::bad_url as its cause.
    explicit Client(std::string url, ClientOptions options = ClientOptions());
    ~Client() override;

    // ---- hooks: those of Socket, and ----

    /// There is a connection, the first or a further one; protocol() says what was agreed on.
    /// on_close tells of the end of each, and the next one follows.
    virtual Task<void> on_connected() { return {}; }
    /// There is none: an attempt has failed, or the connection has ended. The next attempt follows
    /// after `delay`.
    virtual void on_retry(const Error&, Duration) {}

    // ---- verbs ----

    bool connected() const noexcept { return connected_; }
    /// Ends the connection, and the actor behind it: there is no further one.
    void close(unsigned code = 1000, std::string_view reason = std::string_view());

private:
    friend class websocket_internal::Dialer;

    Client(std::string url, std::shared_ptr<const ClientOptions> options);

    Task<void> on_open(const http::Request& request) final;
    Result<void> begin_connection() final;
    bool goes_on_unconnected() final;

    void dial();
    void dialed(std::unique_ptr<websocket_internal::Opening> opening, std::uint64_t attempt);
    void dial_failed(Error why, std::uint64_t attempt);
    void dial_takes_too_long(std::uint64_t attempt);
    void retry(const Error& why);

    const std::string url_;
    // Shared with the dialer and, its part for sockets, with the connection.
    const std::shared_ptr<const ClientOptions> options_;
    Ref<Actor> dialer_;
    std::uint64_t attempt_ = 0;
    int failures_ = 0;  // in a row
    Duration connected_at_{};
    bool dialing_ = false;
    bool connected_ = false;
    bool closed_ = false;  // by us, for good
};

}  // namespace websocket
}  // namespace troupe

#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/handler.hpp>
#include <troupe/http/internal/peer_watch.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/io/conduit.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// What an exchange and its connection tell each other besides bytes. Each member is written by
/// one of them before it says so through the conduit, and read by the other one after that.
struct H2Answer {
    // The exchange rings these.
    static constexpr unsigned kContinue = 1;  // the body is wanted
    static constexpr unsigned kResponse = 2;  // the response is there

    http::Response response;
    Stream near;                // of a response that switches to another protocol
    std::string trailer_lines;  // before the end of the response's body
    http::Headers trailers;     // the connection: before the end of the request's body
};

/// Handles one request of an HTTP/2 connection, whose other requests go on meanwhile. It is a child
/// of the connection, and ends with its handler: as failed, if that threw.
class H2Exchange final : public Actor,
                         private BodySource,
                         private BodySink,
                         private io_internal::Observer {
public:
    struct Begin {
        std::shared_ptr<const ServerState> server;  // shared as ServerState says
        std::shared_ptr<H2Answer> answer;           // shared with the connection
        Stream stream;
        ConduitBell bell{nullptr};
        http::Request request;
        const Handler* handler = nullptr;  // the router's; null: there is none
        std::optional<std::uint64_t> body_length;
        bool head_only = false;
        bool continue_expected = false;
    };

    explicit H2Exchange(Begin begin) : begin_(std::move(begin)) {}
    H2Exchange() = default;

    /// Has the request handled, and writes what comes of it.
    Task<void> serve();
    /// The same for a response that is there already and has its body made while it is sent.
    Task<void> deliver(http::Response response);
    /// A handler has thrown in the connection's turn: this is the actor that fails for it.
    void fail(std::exception_ptr thrown);

private:
    Task<http::Response> run();
    Task<void> answer(http::Response response);
    Task<void> write_streamed();
    void end();

    Task<Result<std::string_view>> next() override;
    std::optional<std::uint64_t> length() const override { return begin_.body_length; }
    const http::Headers& trailers() const override { return begin_.answer->trailers; }
    Task<Result<void>> write(std::string_view piece) override;
    Task<Result<void>> send_now() override;
    void watch_peer(Scope* scope) override;
    void look_out_for_its_end();
    bool ready(Cell& cell) noexcept override;
    void trailer(std::string_view name, std::string_view value) override;

    Begin begin_;
    std::unique_ptr<char[]> piece_;  // the handler is looking at
    std::exception_ptr thrown_;      // by the handler, until the actor ends with it
    std::uint64_t body_left_ = 0;    // to be written, if its length was said
    bool body_sized_ = false;
    PeerWatch peer_watch_;
};

}  // namespace troupe::http_internal

#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/http/internal/input_buffer.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/io/stream.hpp>

#include <exception>
#include <memory>
#include <string>

namespace troupe::http_internal {

/// One connection: reads requests, has them handled, and writes the responses in their order.
///
/// A handler that throws costs its connection and nothing else: the client is told 500, and the
/// actor ends as failed with what was thrown.
class Connection final : public Actor {
public:
    Connection(std::shared_ptr<const ServerState> server, std::shared_ptr<ConnectionPhase> phase,
               Stream stream);

    /// Does all of it; the actor ends afterwards.
    Task<void> serve();

private:
    /// What a response must know of its request, which the handler may have taken away.
    struct Asked {
        bool head_only;
        bool keep_alive;
        int minor_version;
    };

    class HandlerAwaiter;

    Task<http::Response> answer(const Handler& handler);
    void write(http::Response response, const Asked& asked);
    void write_refusal();
    Task<bool> receive();
    Task<bool> receive_first();
    Task<bool> flush();
    void write_what_goes();
    Task<void> linger();

    std::shared_ptr<const ServerState> server_;  // shared as ServerState says
    std::shared_ptr<ConnectionPhase> phase_;     // shared with the gatekeeper
    Stream stream_;
    RequestParser parser_;
    http::Request request_;
    InputBuffer input_;
    std::string output_;
    DateCache date_;
    Duration request_deadline_{};
    std::exception_ptr thrown_;   // by a handler, until the actor ends with it
    bool open_ = true;            // further requests are welcome
    bool peer_may_send_ = false;  // the peer did not expect the end
    bool continue_sent_ = false;
};

}  // namespace troupe::http_internal

#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/url.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/client.hpp>
#include <troupe/websocket/internal/handshake.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

/// The parts of a "ws://" or "wss://" address.
///
/// Errors:  ClientErrc::bad_url.
Result<http::Url> parse_websocket_url(std::string_view text);

/// Judges the head of a server's answer to a request for an upgrade, up to its empty line.
///
/// Errors:  ClientErrc::bad_response, with what is wrong with it; unreachable, when the server has
///          refused, with its status line.
Result<Agreement> judge_answer(std::string_view head, std::string_view key,
                               const websocket::Options& options);

/// Makes one connection for a client, beside it, so that the client goes on handling its mail.
class Dialer final : public Actor {
public:
    Dialer(Ref<websocket::Client> client, std::uint64_t attempt, std::string url,
           std::shared_ptr<const websocket::ClientOptions> options)
        : client_(client), attempt_(attempt), url_(std::move(url)), options_(std::move(options)) {}

    /// Once: tells the client what has become of it, and ends.
    Task<void> dial();

private:
    Task<Result<void>> connect_and_ask();
    Task<Result<Stream>> connect_to(http::Url url);
    Task<Result<std::string>> receive_head(Stream* stream);

    const Ref<websocket::Client> client_;
    const std::uint64_t attempt_;
    const std::string url_;
    const std::shared_ptr<const websocket::ClientOptions> options_;  // shared with the client
    std::string received_;
};

}  // namespace troupe::websocket_internal

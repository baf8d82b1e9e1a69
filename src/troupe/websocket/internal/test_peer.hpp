#pragma once

// For tests: the other end of a connection, which sends raw bytes, right or wrong, and reads
// strictly what comes.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/task.hpp>
#include <troupe/websocket/internal/deflate_terms.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/test_frames.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::websocket_internal {

class Peer {
public:
    explicit Peer(Stream stream) : stream_(std::move(stream)) {}

    static Task<Peer> connect(System system, std::uint16_t port) {
        Result<Stream> stream = co_await net_internal::connect_on_transport(
            system.engine(), Endpoint("127.0.0.1", port));
        EXPECT_TRUE(stream.has_value()) << (stream ? "" : stream.error().message());
        co_return Peer(stream ? std::move(*stream) : Stream());
    }

    /// Connects and upgrades.
    static Task<Peer> open(System system, std::uint16_t port, std::string path = "/echo",
                           std::string lines = "") {
        Peer peer = co_await connect(system, port);
        const bool sent = co_await peer.send(upgrade_text(path, lines));
        EXPECT_TRUE(sent);
        const std::string head = co_await peer.receive_head();
        EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
        co_return peer;
    }

    Task<bool> send(std::string bytes) {
        Result<void> sent = co_await stream_.write_all(bytes);
        co_return sent.has_value();
    }

    /// The head of an HTTP response; what it could get of one when the connection ends before.
    Task<std::string> receive_head() {
        std::size_t end = 0;
        while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
            const bool more = co_await receive_more();
            if (!more) co_return std::exchange(pending_, std::string());
        }
        std::string head = pending_.substr(0, end + 4);
        pending_.erase(0, end + 4);
        const std::size_t line = head.find("\r\nSec-WebSocket-Extensions: ");
        if (line != std::string::npos) {
            const std::size_t at = line + std::string_view("\r\nSec-WebSocket-Extensions: ").size();
            const auto terms =
                accept_deflate(head.substr(at, head.find("\r\n", at) - at), DeflateWishes());
            EXPECT_TRUE(terms.has_value()) << head;
            if (terms) decoder_.use_deflate(*terms);
        }
        co_return head;
    }

    /// What comes next, in words: "text hello", "close 1000 bye", "ping", "end", "reset".
    Task<std::string> receive() {
        for (;;) {
            const FrameDecoder::Step step = decoder_.advance(pending_.data(), pending_.size());
            pending_.erase(0, step.consumed);
            if (step.status != FrameDecoder::Status::need_more) co_return words(step.status);
            const bool more = co_await receive_more();
            if (!more) co_return ended_;
        }
    }
    /// The same, but for pings, which are answered.
    Task<std::string> receive_message() {
        for (;;) {
            std::string what = co_await receive();
            if (!what.starts_with("ping")) co_return what;
            const bool sent = co_await send(raw_frame(0x8A, decoder_.payload()));
            if (!sent) co_return "reset";
        }
    }
    /// Everything up to the end, one line for each.
    Task<std::string> receive_rest() {
        std::string all;
        for (;;) {
            const std::string what = co_await receive();
            all += what + "\n";
            if (what == "end" || what == "reset") co_return all;
        }
    }

    Task<std::string> ask(std::string bytes) {
        const bool sent = co_await send(std::move(bytes));
        if (!sent) co_return "reset";
        co_return co_await receive_message();
    }

    std::string_view last_payload() const { return decoder_.payload(); }
    Stream& stream() { return stream_; }

private:
    std::string words(FrameDecoder::Status status) {
        switch (status) {
            case FrameDecoder::Status::message:
                return (decoder_.kind() == Opcode::text ? "text " : "binary ") +
                       decoder_.take_payload();
            case FrameDecoder::Status::ping:
                return "ping " + decoder_.payload();
            case FrameDecoder::Status::pong:
                return "pong " + decoder_.payload();
            case FrameDecoder::Status::close:
                return "close " + std::to_string(decoder_.close_code()) + " " + decoder_.payload();
            default:
                ADD_FAILURE() << "the server sent rubbish: " << decoder_.problem();
                return "rubbish";
        }
    }

    Task<bool> receive_more() {
        char buffer[3000];
        const Result<std::size_t> got = co_await stream_.read_some(buffer);
        if (!got) ended_ = "reset";
        if (!got || *got == 0) co_return false;
        pending_.append(buffer, *got);
        co_return true;
    }

    Stream stream_;
    FrameDecoder decoder_{Role::client, std::size_t{64} * 1024 * 1024};
    std::string pending_;
    std::string ended_ = "end";
};

/// What hooks have seen, in order.
class Log final : public Actor {
public:
    void note(std::string line) { lines_.push_back(std::move(line)); }
    std::vector<std::string> lines() const { return lines_; }
    std::string text() const {
        std::string all;
        for (const std::string& line : lines_)
            all += line + "\n";
        return all;
    }

private:
    std::vector<std::string> lines_;
};

}  // namespace troupe::websocket_internal

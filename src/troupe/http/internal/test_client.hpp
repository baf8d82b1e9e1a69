#pragma once

// For tests: a client that speaks raw bytes, so that a server can be told anything.

#include <troupe/actor/system.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/task.hpp>

#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http_internal {

/// What a server answered.
struct Reply {
    int status = 0;
    std::string head;
    std::string body;
    std::string trailers;
};

/// A client that sends what it is told and reads what comes.
class Client {
public:
    explicit Client(Stream stream) : stream_(std::move(stream)) {}

    static Task<Client> connect(System system, std::uint16_t port) {
        auto stream = co_await net_internal::connect_on_transport(system.engine(),
                                                                  Endpoint("127.0.0.1", port));
        EXPECT_TRUE(stream.has_value()) << stream.error().message();
        co_return Client(stream ? std::move(*stream) : Stream());
    }

    Task<bool> send(std::string bytes) {
        auto sent = co_await stream_.write_all(bytes);
        co_return sent.has_value();
    }

    /// The next response. Status 0: the connection ended before it was whole.
    Task<Reply> receive(bool head_only = false) {
        Reply reply;
        std::size_t end = 0;
        while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
            bool received = co_await more();
            if (!received) co_return reply;
        }
        reply.head = pending_.substr(0, end + 4);
        pending_.erase(0, end + 4);
        int status = static_cast<int>(number_behind(reply.head, "HTTP/1.1 "));
        bool whole = true;
        if (!head_only &&
            reply.head.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos) {
            whole = co_await receive_chunks(reply);
        } else {
            std::size_t length = head_only ? 0 : number_behind(reply.head, "Content-Length: ");
            whole = co_await receive_exactly(length, reply.body);
        }
        if (whole) reply.status = status;
        co_return reply;
    }

    /// Everything up to the end of the connection.
    Task<std::string> receive_rest() {
        for (bool received = true; received;)
            received = co_await more();
        co_return std::exchange(pending_, std::string());
    }

    Task<Reply> ask(std::string bytes) {
        EXPECT_TRUE(co_await send(std::move(bytes)));
        co_return co_await receive();
    }

    /// Waits for the server to end the connection. False when it was reset or had more to say.
    Task<bool> ended() {
        if (!pending_.empty()) co_return false;
        char buffer[100];
        auto got = co_await stream_.read_some(buffer);
        co_return got.has_value() && *got == 0;
    }

    void close() { stream_.close(); }
    Stream& stream() { return stream_; }

private:
    static std::size_t number_behind(const std::string& text, std::string_view mark) {
        std::size_t at = text.find(mark);
        std::size_t number = 0;
        if (at == std::string::npos) return number;
        at += mark.size();
        std::from_chars(text.data() + at, text.data() + text.size(), number);
        return number;
    }

    /// Appends so many bytes to `out`. False when the connection ended before.
    Task<bool> receive_exactly(std::size_t bytes, std::string& out) {
        while (pending_.size() < bytes) {
            bool received = co_await more();
            if (received) continue;
            out += pending_;
            co_return false;
        }
        out += pending_.substr(0, bytes);
        pending_.erase(0, bytes);
        co_return true;
    }

    /// A line without its end.
    Task<bool> receive_line(std::string& line) {
        std::size_t end = 0;
        while ((end = pending_.find("\r\n")) == std::string::npos) {
            bool received = co_await more();
            if (!received) co_return false;
        }
        line = pending_.substr(0, end);
        pending_.erase(0, end + 2);
        co_return true;
    }

    Task<bool> receive_chunks(Reply& reply) {
        std::string line;
        for (;;) {
            bool received = co_await receive_line(line);
            if (!received) co_return false;
            std::size_t size = 0;
            std::from_chars(line.data(), line.data() + line.size(), size, 16);
            if (size == 0) break;
            received = co_await receive_exactly(size, reply.body);
            if (received) received = co_await receive_line(line);
            if (!received) co_return false;
            EXPECT_EQ(line, "") << "a chunk is as long as its size";
        }
        for (;;) {
            bool received = co_await receive_line(line);
            if (!received || line.empty()) co_return received;
            reply.trailers += line + "\n";
        }
    }

    Task<bool> more() {
        char buffer[3000];
        auto got = co_await stream_.read_some(buffer);
        if (!got || *got == 0) co_return false;
        pending_.append(buffer, *got);
        co_return true;
    }

    Stream stream_;
    std::string pending_;
};

inline std::string get(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

inline std::string post(const std::string& path, const std::string& body) {
    return "POST " + path +
           " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

}  // namespace troupe::http_internal

#pragma once

#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe::websocket {

/// What becomes of a message that finds the send buffer full.
enum class Overflow : std::uint8_t {
    close,        ///< the connection is closed with 1013: try again later
    drop_newest,  ///< this message is not sent
    drop_oldest,  ///< the messages that have waited longest are not, as many as it needs
};

/// What an end of a connection may be told. The defaults suit a chat or a dashboard.
class Options {
public:
    Options() = default;

    /// The subprotocols there are. A client that asks for some gets the first of its own that is
    /// among them, or none.
    Options& protocols(std::vector<std::string> names) {
        protocols_ = std::move(names);
        return *this;
    }
    /// From which pages a browser may connect: "https://example.org". Whoever comes from another
    /// one is refused with 403. Clients that are no browsers say nothing and are let in. Empty, the
    /// default: from any.
    Options& origins(std::vector<std::string> origins) {
        origins_ = std::move(origins);
        return *this;
    }
    /// A message beyond this is refused with 1009, as soon as its frame says so; also one that
    /// would become larger when it is inflated.
    Options& message_bytes_max(std::size_t bytes) {
        message_bytes_max_ = bytes;
        return *this;
    }
    /// How much may wait to be sent, and what happens beyond it. A single message may be larger
    /// when nothing else waits. While half of it is full nothing is read from the peer.
    Options& send_buffer(std::size_t bytes_max, Overflow overflow = Overflow::close) {
        send_buffer_bytes_max_ = bytes_max;
        overflow_ = overflow;
        return *this;
    }
    /// How often the peer is asked whether it is still there.
    Options& ping_interval(Duration interval) {
        ping_interval_ = interval;
        return *this;
    }
    /// How long it may take to answer. Bytes of a message that is still coming count as an answer.
    Options& pong_timeout(Duration timeout) {
        pong_timeout_ = timeout;
        return *this;
    }
    /// How long the peer may take to agree to the end.
    Options& close_timeout(Duration timeout) {
        close_timeout_ = timeout;
        return *this;
    }
    /// A peer that takes nothing of what is sent to it for so long is given up.
    Options& write_timeout(Duration timeout) {
        write_timeout_ = timeout;
        return *this;
    }
    /// A message that comes slower than this, over a ping interval, is not waited for: 1008.
    Options& bytes_per_second_min(std::size_t bytes) {
        bytes_per_second_min_ = bytes;
        return *this;
    }
    /// Whether messages may be compressed when the peer can.
    Options& deflate(bool on) {
        deflate_ = on;
        return *this;
    }
    /// Whether what was sent before helps to compress what comes next: smaller messages, for some
    /// memory per connection while it is busy.
    Options& context_takeover(bool on) {
        context_takeover_ = on;
        return *this;
    }
    /// How far back that reaches, as a power of two: 9 to 15. Memory goes with it.
    Options& window_bits(std::uint8_t bits) {
        window_bits_ = bits < 9 ? 9 : bits > 15 ? 15 : bits;
        return *this;
    }
    /// Shorter messages are sent as they are: they would hardly get shorter.
    Options& deflate_bytes_min(std::size_t bytes) {
        deflate_bytes_min_ = bytes;
        return *this;
    }

    const std::vector<std::string>& protocols() const { return protocols_; }
    const std::vector<std::string>& origins() const { return origins_; }
    std::size_t message_bytes_max() const { return message_bytes_max_; }
    std::size_t send_buffer_bytes_max() const { return send_buffer_bytes_max_; }
    Overflow overflow() const { return overflow_; }
    Duration ping_interval() const { return ping_interval_; }
    Duration pong_timeout() const { return pong_timeout_; }
    Duration close_timeout() const { return close_timeout_; }
    Duration write_timeout() const { return write_timeout_; }
    std::size_t bytes_per_second_min() const { return bytes_per_second_min_; }
    bool deflate() const { return deflate_; }
    bool context_takeover() const { return context_takeover_; }
    std::uint8_t window_bits() const { return window_bits_; }
    std::size_t deflate_bytes_min() const { return deflate_bytes_min_; }

private:
    std::vector<std::string> protocols_;
    std::vector<std::string> origins_;
    std::size_t message_bytes_max_ = 16 * 1024 * 1024;
    std::size_t send_buffer_bytes_max_ = 1024 * 1024;
    std::size_t bytes_per_second_min_ = 256;
    std::size_t deflate_bytes_min_ = 256;
    Duration ping_interval_ = std::chrono::seconds(30);
    Duration pong_timeout_ = std::chrono::seconds(10);
    Duration close_timeout_ = std::chrono::seconds(2);
    Duration write_timeout_ = std::chrono::seconds(30);
    Overflow overflow_ = Overflow::close;
    bool deflate_ = true;
    bool context_takeover_ = true;
    // A compressor with 4 KB of window takes 24 KB and loses little on messages; 32 KB take 260.
    std::uint8_t window_bits_ = 12;
};

}  // namespace troupe::websocket

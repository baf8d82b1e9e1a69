#pragma once

#include <troupe/base/duration.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace troupe::http {

/// What a server may be told about HTTP/2. The limits of requests (their heads, bodies and times)
/// are those of ServerOptions, in whatever version a request comes.
class Http2Options {
public:
    Http2Options() = default;

    /// Whether clients may speak it: over TLS those that ask for it (ALPN, "h2"), without TLS those
    /// that just begin to ("prior knowledge").
    Http2Options& enabled(bool on) {
        enabled_ = on;
        return *this;
    }
    /// How many requests of one connection may be under way at once; at least 1. The handlers of
    /// requests that their client has given up count until they have ended.
    Http2Options& streams_max(std::size_t streams) {
        streams_max_ = std::max<std::size_t>(streams, 1);
        return *this;
    }
    /// How much of one request's body may have arrived that its handler has not read: the stream's
    /// window. From 64 KiB - 1 up.
    Http2Options& stream_window_bytes(std::size_t bytes) {
        stream_window_bytes_ = std::max<std::size_t>(bytes, kWindowBytesMin);
        return *this;
    }
    /// The same for all of a connection's together; and beyond so much of bodies that are collected
    /// for their handlers only the oldest one of them is taken further.
    Http2Options& connection_window_bytes(std::size_t bytes) {
        connection_window_bytes_ = std::max<std::size_t>(bytes, kWindowBytesMin);
        return *this;
    }
    /// A client may give up so many requests a second, after a burst of so many: requests it
    /// resets, and those it spoils. Beyond it the connection is ended (ENHANCE_YOUR_CALM).
    Http2Options& resets_per_second_max(std::size_t resets, std::size_t burst) {
        resets_per_second_max_ = std::max<std::size_t>(resets, 1);
        resets_burst_ = std::max<std::size_t>(burst, 1);
        return *this;
    }
    /// The same for frames that bring no request and no data (settings, pings, priorities, windows,
    /// empty data) beyond the few that each request and each piece of a response allow for.
    Http2Options& idle_frames_per_second_max(std::size_t frames, std::size_t burst) {
        idle_frames_per_second_max_ = std::max<std::size_t>(frames, 1);
        idle_frames_burst_ = std::max<std::size_t>(burst, 1);
        return *this;
    }
    /// A connection that is older takes no further requests. No limit unless said.
    Http2Options& lifetime_max(Duration lifetime) {
        lifetime_max_ = lifetime;
        return *this;
    }

    bool enabled() const { return enabled_; }
    std::size_t streams_max() const { return streams_max_; }
    std::size_t stream_window_bytes() const { return stream_window_bytes_; }
    std::size_t connection_window_bytes() const { return connection_window_bytes_; }
    std::size_t resets_per_second_max() const { return resets_per_second_max_; }
    std::size_t resets_burst() const { return resets_burst_; }
    std::size_t idle_frames_per_second_max() const { return idle_frames_per_second_max_; }
    std::size_t idle_frames_burst() const { return idle_frames_burst_; }
    Duration lifetime_max() const { return lifetime_max_; }

private:
    static constexpr std::size_t kWindowBytesMin = 65'535;  // what a peer may assume at first

    bool enabled_ = true;
    std::size_t streams_max_ = 100;
    std::size_t stream_window_bytes_ = kWindowBytesMin;
    std::size_t connection_window_bytes_ = 1024 * 1024;
    std::size_t resets_per_second_max_ = 50;
    std::size_t resets_burst_ = 200;
    std::size_t idle_frames_per_second_max_ = 200;
    std::size_t idle_frames_burst_ = 2000;
    Duration lifetime_max_ = Duration::max();
};

}  // namespace troupe::http

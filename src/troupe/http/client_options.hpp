#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/io/tls.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace troupe::http {

/// What a client may be told. The defaults suit a service that calls a few others.
class ClientOptions {
public:
    ClientOptions() = default;

    /// How long a request may take in all, waiting for a connection, redirects and retries
    /// included, until its body has come; of a streamed body, until its head has come. A request
    /// made by a handler that answers an ask waits no longer than the asker does.
    ClientOptions& timeout(Duration timeout) {
        timeout_ = timeout;
        return *this;
    }
    /// Whom to trust and who we are at https addresses; TlsClient::standard() unless said.
    ClientOptions& tls(TlsClient client) {
        tls_ = std::move(client);
        return *this;
    }
    /// Requests beyond this wait for a connection, first come first served.
    ClientOptions& connections_per_origin_max(std::size_t connections) {
        connections_per_origin_max_ = connections == 0 ? 1 : connections;
        return *this;
    }
    /// How many requests may wait, for all origins together; more are refused.
    ClientOptions& waiting_max(std::size_t requests) {
        waiting_max_ = requests;
        return *this;
    }
    /// How many connections may lie idle, to all origins together; the oldest goes first.
    ClientOptions& idle_max(std::size_t connections) {
        idle_max_ = connections;
        return *this;
    }
    /// How long one may lie idle, where the server does not promise less.
    ClientOptions& idle_timeout(Duration timeout) {
        idle_timeout_ = timeout;
        return *this;
    }
    /// A response's status line and header lines; beyond it the response is refused.
    ClientOptions& head_bytes_max(std::size_t bytes) {
        head_bytes_max_ = bytes;
        return *this;
    }
    /// A body that is read as a whole; beyond it the response is refused.
    ClientOptions& body_bytes_max(std::size_t bytes) {
        body_bytes_max_ = bytes;
        return *this;
    }
    /// How many redirects a request follows; none, unless it says otherwise.
    ClientOptions& redirects_max(int redirects) {
        redirects_max_ = redirects;
        return *this;
    }
    /// How often an idempotent request is tried again when its connection cannot be made or breaks
    /// before any byte of a response, with growing pauses. That an idle connection turns out to be
    /// gone does not count: such a request is tried again once in any case.
    ClientOptions& retries(int retries) {
        retries_ = retries;
        return *this;
    }

    /// Whether requests carry on the trace they are part of, see trace_context.hpp: true unless
    /// said.
    ClientOptions& sends_trace(bool sends) {
        sends_trace_ = sends;
        return *this;
    }

    Duration timeout() const { return timeout_; }
    bool sends_trace() const { return sends_trace_; }
    const std::optional<TlsClient>& tls() const { return tls_; }
    std::size_t connections_per_origin_max() const { return connections_per_origin_max_; }
    std::size_t waiting_max() const { return waiting_max_; }
    std::size_t idle_max() const { return idle_max_; }
    Duration idle_timeout() const { return idle_timeout_; }
    std::size_t head_bytes_max() const { return head_bytes_max_; }
    std::size_t body_bytes_max() const { return body_bytes_max_; }
    int redirects_max() const { return redirects_max_; }
    int retries() const { return retries_; }

private:
    bool sends_trace_ = true;
    Duration timeout_ = std::chrono::seconds(30);
    std::optional<TlsClient> tls_;
    std::size_t connections_per_origin_max_ = 16;
    std::size_t waiting_max_ = 1000;
    std::size_t idle_max_ = 64;
    Duration idle_timeout_ = std::chrono::seconds(30);  // servers commonly give up after a minute
    std::size_t head_bytes_max_ = 64 * 1024;
    std::size_t body_bytes_max_ = 8 * 1024 * 1024;
    int redirects_max_ = 0;
    int retries_ = 0;
};

/// A client's connections, as they were a moment ago.
struct ClientStats {
    std::size_t leased = 0;    ///< carrying a request, or being made for one
    std::size_t idle = 0;      ///< waiting for one
    std::size_t waiting = 0;   ///< requests that wait for a connection
    std::uint64_t opened = 0;  ///< since the client began: requests that had to connect
    std::uint64_t reused = 0;  ///< and those that found an idle connection
};

}  // namespace troupe::http

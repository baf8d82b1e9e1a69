#pragma once

// Server-sent events: a response that goes on (the HTML standard, "Server-sent events").
//
// Whoever has news keeps the sending half of a channel, and the response the receiving one:
//
//     router.get("/news", [desk](http::Request request) -> Task<http::Response> {
//         auto [sender, receiver] = channel<http::Event>(100);
//         auto told = co_await desk.ask<&Desk::subscribe>(std::move(sender));
//         if (!told) co_return http::from(told.error());
//         co_return http::events(std::move(receiver));
//     });
//
// The channel's capacity is how far a client may stay behind. Then `send` waits for it; for one
// that is not to be waited for, give up its channel when it is full, and it will come again:
// browsers do so by themselves, and say what they have seen last (last_event_id).

#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/task/channel.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe::http {

/// One event. What would begin a line of its own in a name or an id becomes a space.
class Event {
public:
    Event() = default;
    /// Data of any number of lines, in UTF-8.
    explicit Event(std::string data) : data_(std::move(data)) {}

    Event& data(std::string data) & {
        data_ = std::move(data);
        return *this;
    }
    /// What it is: the page listens to this name; "message" unless said.
    Event& name(std::string name) & {
        name_ = std::move(name);
        return *this;
    }
    /// What the client says it has seen when it comes again.
    Event& id(std::string id) & {
        id_ = std::move(id);
        has_id_ = true;
        return *this;
    }
    /// How long the client is to wait before it comes again. Units: whole milliseconds.
    Event& retry(Duration wait) & {
        retry_ = wait;
        return *this;
    }
    Event&& name(std::string name) && { return std::move(this->name(std::move(name))); }
    Event&& id(std::string id) && { return std::move(this->id(std::move(id))); }
    Event&& retry(Duration wait) && { return std::move(this->retry(wait)); }

    /// As it goes on the wire.
    std::string text() const;

private:
    std::string data_;
    std::string name_;
    std::string id_;
    bool has_id_ = false;
    Duration retry_{-1};
};

/// The id of the last event that the client has seen; empty when it comes for the first time. A
/// stranger's text.
std::string_view last_event_id(const Request& request);

/// What a function writes events to. It belongs to that function.
class EventWriter {
public:
    explicit EventWriter(BodyWriter out) : out_(out) {}

    /// Sends an event at once. Waits while too much of what was sent has not been taken yet.
    ///
    /// Errors: as BodyWriter::write.
    Task<Result<void>> send(Event event);

    /// Sends a line that clients ignore, so that nothing on the way takes the silence for an end.
    Task<Result<void>> keep_alive();

private:
    BodyWriter out_;
};

/// Answers with the events that come through a channel, until its sender is gone, the client is, or
/// the server stops; then sends fail with `closed`. A comment is sent when there was nothing for
/// `keep_alive`. A stop of the server ends the response properly, without what is still in the
/// channel: clients come again by themselves, and say what they have seen last.
Response events(Receiver<Event> source, Duration keep_alive = std::chrono::seconds(15));

/// Answers with the events that a function writes: `Task<Result<void>>(EventWriter)`. When the
/// client leaves, and when the server begins to stop, everything it waits for ends with
/// Errc::cancelled; whatever it returns after a stop, the response has then ended properly. One
/// that goes on regardless holds a stop up, for the time that Server::stop allows. One that is
/// silent for long calls keep_alive from time to time.
template <class F>
    requires std::is_invocable_v<F&, EventWriter>
Response events(F function);

}  // namespace troupe::http

namespace troupe::http_internal {

http::Response event_response();

/// A scope that ends with the peer, or with the server.
class PeerScope {
public:
    explicit PeerScope(http::BodyWriter out) : sink_(out.sink()) {
        scope_.enter();
        sink_.watch_peer(&scope_);
    }
    ~PeerScope() {
        sink_.watch_peer(nullptr);
        scope_.leave();
    }
    PeerScope(const PeerScope&) = delete;
    PeerScope& operator=(const PeerScope&) = delete;

    /// Whether the server has ended it.
    bool stopped() const { return scope_.cancelled() && scope_.reason() == Errc::cancelled; }

private:
    Scope scope_;
    BodySink& sink_;  // outlives the function that writes to it
};

/// Runs a function that writes events in a scope that is cancelled when the client leaves or the
/// server stops. The latter is as good an end as any.
template <class F>
Task<Result<void>> write_events(F& function, http::BodyWriter out) {
    const PeerScope scope(out);
    Result<void> written = co_await function(http::EventWriter(out));
    if (scope.stopped()) co_return Result<void>();
    co_return written;
}

}  // namespace troupe::http_internal

namespace troupe::http {

template <class F>
    requires std::is_invocable_v<F&, EventWriter>
Response events(F function) {
    constexpr bool kRight =
        std::is_same_v<std::invoke_result_t<F&, EventWriter>, Task<Result<void>>>;
    static_assert(kRight, "what writes events is Task<Result<void>>(EventWriter)");
    Response response = http_internal::event_response();
    response.stream([function = std::move(function)](BodyWriter out) mutable {
        return http_internal::write_events(function, out);
    });
    return response;
}

}  // namespace troupe::http

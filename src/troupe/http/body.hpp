#pragma once

// Bodies that are not held whole: what a handler reads as it arrives, and writes as it is made.
//
// A handler that takes a BodyReader beside its Request is called as soon as the head of the request
// is here. A Response that was given a writer with stream() has its body made while it is sent.
// Either way at most some kilobytes are in memory: who reads slower than the peer sends makes the
// peer wait, and who writes faster than the peer takes waits for the peer.

#include <troupe/base/result.hpp>
#include <troupe/http/headers.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

class Scope;

namespace http_internal {

/// Where a body comes from: a connection, or a string in a test.
class BodySource {
public:
    virtual Task<Result<std::string_view>> next() = 0;
    virtual std::optional<std::uint64_t> length() const = 0;
    virtual const http::Headers& trailers() const = 0;

protected:
    ~BodySource() = default;
};

/// Where a body goes.
class BodySink {
public:
    virtual Task<Result<void>> write(std::string_view piece) = 0;
    /// Reads the file piece by piece and writes them, unless there is a shorter way.
    virtual Task<Result<void>> write_file(int descriptor, std::uint64_t offset,
                                          std::uint64_t bytes);
    /// What was written leaves now. A sink that sends at the end of each turn has nothing to do.
    virtual Task<Result<void>> send_now();
    /// Cancels the scope when it hears that the peer has left, or that the server stops; null: no
    /// more. A sink that never hears of it ignores this, and the next write fails.
    virtual void watch_peer(Scope* /*scope*/) {}
    virtual void trailer(std::string_view name, std::string_view value) = 0;

protected:
    ~BodySink() = default;
};

/// A sink of middleware: changes or counts what is written and hands it to another one, who also
/// gets all else it is told. Files are read and written as pieces, so that they are changed, too.
class SinkBefore : public BodySink {
public:
    Task<Result<void>> send_now() override { return next_.send_now(); }
    void watch_peer(Scope* scope) override { next_.watch_peer(scope); }
    void trailer(std::string_view name, std::string_view value) override {
        next_.trailer(name, value);
    }

protected:
    explicit SinkBefore(BodySink& next) noexcept : next_(next) {}
    ~SinkBefore() = default;
    BodySink& next() const noexcept { return next_; }

private:
    BodySink& next_;  // outlives the function that writes
};

}  // namespace http_internal

namespace http {

/// The body of a request, piece by piece.
///
/// It belongs to the handler it was given to and ends with it. What a handler leaves unread is
/// read and thrown away, if it is little, or else the connection is closed behind the response.
class BodyReader {
public:
    explicit BodyReader(http_internal::BodySource& source) : source_(&source) {}

    /// Waits for the next piece, which is empty when that was all. It stays the reader's: the view
    /// is valid until the next call.
    ///
    /// Errors:  closed, when the peer left before the body was whole; timed_out, when it is too
    ///          slow; failed, when the body is malformed. The server has an answer for these, which
    ///          replaces the handler's own.
    Task<Result<std::string_view>> next() { return source_->next(); }

    /// How long the body will be; nothing when the peer does not know yet.
    std::optional<std::uint64_t> length() const { return source_->length(); }

    /// The lines behind a chunked body, once next() has given its end.
    const Headers& trailers() const { return source_->trailers(); }

private:
    http_internal::BodySource* source_;  // outlives the handler
};

/// What a streamed response is written to. It belongs to the function it was given to.
class BodyWriter {
public:
    explicit BodyWriter(http_internal::BodySink& sink) : sink_(&sink) {}

    /// Sends a piece. Waits while too much of what was written before has not been taken yet. What
    /// is written leaves when the buffer is full, at the end, by flush(), and whenever the function
    /// waits for something else.
    ///
    /// Errors:  closed, when the peer has left; timed_out, when it takes nothing; failed, when the
    ///          body becomes longer than was said.
    Task<Result<void>> write(std::string_view piece) { return sink_->write(piece); }

    /// Sends so many bytes of an open file, from there. On a plain connection of HTTP/1.1 the
    /// machine does it by itself; elsewhere they are read, piece by piece, and what is not in
    /// memory on the blocking pool. The descriptor stays the caller's, who closes it afterwards.
    ///
    /// Errors:  as above; failed, also when the file is shorter; mailbox_full, when the blocking
    ///          pool has too much to do.
    Task<Result<void>> write_file(int descriptor, std::uint64_t offset, std::uint64_t bytes) {
        return sink_->write_file(descriptor, offset, bytes);
    }

    /// What was written leaves now, though the buffer is not full.
    ///
    /// Errors:  closed, timed_out: as above.
    Task<Result<void>> flush() { return sink_->send_now(); }

    /// Appends a line to be sent behind the body. Ignored when the body is not sent in chunks:
    /// HTTP/1.0 and bodies of known length have no place for it.
    void trailer(std::string_view name, std::string_view value) { sink_->trailer(name, value); }

    /// For what wraps writers.
    http_internal::BodySink& sink() const { return *sink_; }

private:
    http_internal::BodySink* sink_;  // outlives the function
};

}  // namespace http

namespace http_internal {

/// A function that writes a body, kept with its captures until the body is written.
class BodyProducer {
public:
    BodyProducer() = default;
    BodyProducer(const BodyProducer&) = delete;
    BodyProducer& operator=(const BodyProducer&) = delete;
    virtual ~BodyProducer() = default;

    virtual Task<Result<void>> run(http::BodyWriter out) = 0;
};

template <class F>
class BodyProducerOf final : public BodyProducer {
public:
    explicit BodyProducerOf(F function) : function_(std::move(function)) {}

    Task<Result<void>> run(http::BodyWriter out) override { return function_(out); }

private:
    F function_;
};

template <class F>
constexpr bool check_producer() {
    constexpr bool kRight =
        std::is_same_v<std::invoke_result_t<F&, http::BodyWriter>, Task<Result<void>>>;
    static_assert(kRight, "what writes a body is Task<Result<void>>(BodyWriter)");
    return kRight;
}

}  // namespace http_internal
}  // namespace troupe

#include <troupe/actor/system.hpp>
#include <troupe/http/internal/answers.hpp>
#include <troupe/http/internal/h2_exchange.hpp>
#include <troupe/http/internal/response_writer.hpp>

#include <utility>

namespace troupe::http_internal {

namespace {

// What a handler is given of a body at once.
constexpr std::size_t kPieceBytes = 16 * 1024;

}  // namespace

Task<void> H2Exchange::serve() {
    http::Response response = co_await run();
    co_await answer(std::move(response));
    end();
}

Task<void> H2Exchange::deliver(http::Response response) {
    co_await answer(std::move(response));
    end();
}

void H2Exchange::fail(std::exception_ptr thrown) {
    std::rethrow_exception(std::move(thrown));
}

void H2Exchange::end() {
    begin_.stream.close();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

/// Runs a handler of any kind, through the middleware. What it throws stops here and becomes a 500.
Task<http::Response> H2Exchange::run() {
    const http::Router& router = begin_.server->router;
    const InProgress working(begin_.server->admission->overload());
    try {
        if (router.has_middleware()) {
            co_return co_await router.run(begin_.handler, std::move(begin_.request), *this);
        }
        co_return co_await begin_.handler->run(std::move(begin_.request), *this);
    } catch (...) {
        thrown_ = std::current_exception();
    }
    co_return failed_handler();
}

Task<void> H2Exchange::answer(http::Response response) {
    H2Answer& told = *begin_.answer;
    told.response = std::move(response);
    Framing framing;
    framing.head_only = begin_.head_only;
    const bool switches = told.response.switches();
    const bool streams = !switches && told.response.producer() != nullptr &&
                         body_end(told.response, framing) != BodyEnd::nothing_follows;
    if (switches) told.near = std::move(begin_.stream);
    body_sized_ = told.response.length().has_value();
    body_left_ = told.response.length().value_or(0);
    begin_.bell.ring(H2Answer::kResponse);
    // A response that is not streamed is the connection's from here on.
    if (streams) co_await write_streamed();
}

Task<void> H2Exchange::write_streamed() {
    bool whole = false;
    try {
        // The connection reads the same response's head meanwhile, and changes nothing of it.
        Result<void> written =
            co_await begin_.answer->response.producer()->run(http::BodyWriter(*this));
        whole = written.has_value() && (!body_sized_ || body_left_ == 0);
    } catch (...) {
        thrown_ = std::current_exception();
    }
    // Without it the connection knows that something is missing, and resets the stream.
    if (whole) ignore(begin_.stream.shutdown_write(), "a peer that has left misses nothing");
}

Task<Result<void>> H2Exchange::write(std::string_view piece) {
    if (body_sized_) {
        if (piece.size() > body_left_) {
            co_return error(Errc::failed, kBodyTooLong);
        }
        body_left_ -= piece.size();
    }
    co_return co_await begin_.stream.write_all(piece);
}

/// What is written leaves at the end of the turn by itself.
Task<Result<void>> H2Exchange::send_now() {
    look_out_for_its_end();
    co_return Result<void>();
}

void H2Exchange::watch_peer(Scope* scope) {
    peer_watch_.set(scope, *begin_.server->endless_bodies);
    look_out_for_its_end();
}

/// As in HTTP/1.1: a write that waits ends this, so every flush begins it anew.
void H2Exchange::look_out_for_its_end() {
    if (peer_watch_) begin_.stream.observe(*this, io_internal::Direction::read);
}

bool H2Exchange::ready(Cell& cell) noexcept {
    if (!peer_watch_) return false;
    // What comes of the request that nobody reads while the response is written.
    char few[256];
    if (begin_.stream.try_read(few)) {
        look_out_for_its_end();
        return false;
    }
    return peer_watch_.peer_has_left(cell);
}

void H2Exchange::trailer(std::string_view name, std::string_view value) {
    if (body_sized_) return;
    http::Response line;
    line.header(name, value);
    begin_.answer->trailer_lines += line.header_lines();
}

Task<Result<std::string_view>> H2Exchange::next() {
    if (std::exchange(begin_.continue_expected, false)) {
        begin_.bell.ring(H2Answer::kContinue);
    }
    if (piece_ == nullptr) piece_ = std::make_unique_for_overwrite<char[]>(kPieceBytes);
    const std::span<char> room(piece_.get(), kPieceBytes);
    Result<std::size_t> received = co_await begin_.stream.read_some(room);
    if (!received) co_return std::unexpected(std::move(received).error());
    co_return std::string_view(piece_.get(), *received);
}

}  // namespace troupe::http_internal

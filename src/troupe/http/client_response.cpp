#include <troupe/http/client_response.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/call.hpp>
#include <troupe/http/internal/chunk_decoder.hpp>
#include <troupe/http/internal/exchange.hpp>

#include <utility>

namespace troupe::http {

namespace {

using http_internal::Exchange;

Duration deadline_in(Duration longest, Duration now) {
    return longest < Duration::max() - now ? now + longest : Duration::max();
}

Task<Result<std::optional<std::string>>> next_piece(Exchange* exchange, std::string what,
                                                    Duration longest) {
    const Duration begun = exchange->now();
    Result<std::optional<std::string>> piece =
        co_await exchange->receive(deadline_in(longest, begun));
    if (piece) co_return piece;
    const Duration took = exchange->now() - begun;
    co_return std::unexpected(
        http_internal::explain(what, "reading the body", piece.error(), took));
}

Task<Result<void>> write_piece(Exchange* exchange, std::string what, std::string piece,
                               Duration longest) {
    if (piece.empty()) co_return Result<void>();  // in the chunked coding this would be the end
    http_internal::ByteBuffer chunk;
    http_internal::append_chunk_head(chunk, piece.size());
    chunk.append(piece);
    chunk.append("\r\n");
    const Duration begun = exchange->now();
    Result<void> sent = co_await exchange->write(chunk.pending(), deadline_in(longest, begun));
    if (sent) co_return sent;
    const Duration took = exchange->now() - begun;
    co_return std::unexpected(http_internal::explain(what, "sending the body", sent.error(), took));
}

Task<Result<ResponseStream>> finish_upload(std::unique_ptr<Exchange> exchange, std::string what,
                                           bool head_only, Duration longest) {
    const Duration begun = exchange->now();
    const Duration deadline = deadline_in(longest, begun);
    Result<void> done = co_await exchange->write("0\r\n\r\n", deadline);
    // A server that has refused the body half way has said why.
    if (done || done.error() == Errc::closed) {
        Result<void> received = co_await exchange->receive_head(head_only, deadline);
        if (received || done) done = std::move(received);
    }
    if (done) co_return ResponseStream(std::move(exchange), std::move(what));
    const Duration took = exchange->now() - begun;
    co_return std::unexpected(
        http_internal::explain(what, "waiting for the response", done.error(), took));
}

}  // namespace

ResponseStream::ResponseStream(std::unique_ptr<Exchange> exchange, std::string what)
    : exchange_(std::move(exchange)), what_(std::move(what)) {}
ResponseStream::ResponseStream(ResponseStream&&) noexcept = default;
ResponseStream& ResponseStream::operator=(ResponseStream&&) noexcept = default;
ResponseStream::~ResponseStream() = default;

int ResponseStream::status() const {
    return exchange_->head().status;
}

const Headers& ResponseStream::headers() const {
    return exchange_->head().headers;
}

std::optional<std::string_view> ResponseStream::header(std::string_view name) const {
    return headers().find(name);
}

const Headers& ResponseStream::trailers() const {
    return exchange_->head().trailers;
}

Task<Result<std::optional<std::string>>> ResponseStream::next(Duration longest) {
    return next_piece(exchange_.get(), what_, longest);
}

Upload::Upload(std::unique_ptr<Exchange> exchange, std::string what, bool head_only)
    : exchange_(std::move(exchange)), what_(std::move(what)), head_only_(head_only) {}
Upload::Upload(Upload&&) noexcept = default;
Upload& Upload::operator=(Upload&&) noexcept = default;
Upload::~Upload() = default;

Task<Result<void>> Upload::write(std::string piece, Duration longest) {
    return write_piece(exchange_.get(), what_, std::move(piece), longest);
}

Task<Result<ResponseStream>> Upload::finish(Duration longest) {
    return finish_upload(std::move(exchange_), std::move(what_), head_only_, longest);
}

}  // namespace troupe::http

#include <troupe/base/error.hpp>
#include <troupe/http/compress.hpp>
#include <troupe/http/internal/accept_encoding.hpp>
#include <troupe/http/internal/gzip.hpp>
#include <troupe/http/internal/media_types.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace troupe {

namespace http_internal {

namespace {

using Flush = GzipWriter::Flush;

// What is compressed, or decoded, in a worker's turn: about a millisecond. More goes piece by
// piece, or to the blocking pool.
constexpr std::size_t kBytesInATurn = std::size_t{64} * 1024;

/// Compresses what a producer writes.
class GzipSink final : public SinkBefore {
public:
    GzipSink(http::BodyWriter out, int level, Flush after_each)
        : SinkBefore(out.sink()), writer_(level), after_each_(after_each) {}

    Task<Result<void>> write(std::string_view piece) override {
        while (!piece.empty()) {
            const std::string_view part = piece.substr(0, kBytesInATurn);
            piece.remove_prefix(part.size());
            compressed_.clear();
            writer_.write(part, piece.empty() ? after_each_ : Flush::none, compressed_);
            co_await or_return(co_await next().write(compressed_));
            if (part.size() == kBytesInATurn) co_await yield();
        }
        co_return Result<void>();
    }
    Task<Result<void>> send_now() override {
        compressed_.clear();
        writer_.write(std::string_view(), Flush::so_far, compressed_);
        co_await or_return(co_await next().write(compressed_));
        co_return co_await next().send_now();
    }

    Task<Result<void>> finish() {
        compressed_.clear();
        writer_.write(std::string_view(), Flush::end, compressed_);
        co_return co_await next().write(compressed_);
    }

private:
    GzipWriter writer_;
    Flush after_each_;
    std::string compressed_;
};

Task<Result<void>> compress_streamed(BodyProducer* producer, http::BodyWriter out, int level,
                                     Flush after_each) {
    GzipSink sink(out, level, after_each);
    co_await or_return(co_await producer->run(http::BodyWriter(sink)));
    co_return co_await sink.finish();
}

Task<Result<void>> compress_text(const std::string* text, http::BodyWriter out, int level) {
    GzipSink sink(out, level, Flush::none);
    co_await or_return(co_await sink.write(*text));
    co_return co_await sink.finish();
}

std::string_view type_of(const http::Response& response) {
    return response.type().empty() ? response.header("Content-Type") : response.type();
}

/// Whether the body may be sent in another coding, for whoever takes it.
bool may_be_compressed(const http::Response& response, const http::CompressOptions& options) {
    const int status = response.status();
    if (response.switches() || status < 200 || status == 204 || status == 205 || status == 206 ||
        status == 304) {
        return false;
    }
    if (!response.header("Content-Encoding").empty()) return false;
    if (holds_token(response.header("Cache-Control"), "no-transform")) return false;
    if (!is_compressible(type_of(response))) return false;
    if (!response.producer()) return response.body().size() >= options.bytes_min();
    return !response.length() || *response.length() >= options.bytes_min();
}

void say_that_it_is_compressed(http::Response& response) {
    const std::string tag(response.header("ETag"));
    if (!tag.empty() && !tag.starts_with("W/")) {
        response.remove_header("ETag");
        response.header("ETag", "W/" + tag);
    }
    response.remove_header("Accept-Ranges");
    response.header("Content-Encoding", "gzip");
}

void compress(http::Response& response, bool head_only, int level) {
    say_that_it_is_compressed(response);
    std::unique_ptr<BodyProducer> producer = response.take_producer();
    if (producer) {
        // Whose length is known is a file or the like, of which nobody waits for the first half.
        const Flush after_each = response.length() ? Flush::none : Flush::so_far;
        std::shared_ptr<BodyProducer> kept = std::move(producer);  // the response's alone
        response.length(std::nullopt);
        response.stream([kept, level, after_each](http::BodyWriter out) {
            return compress_streamed(kept.get(), out, level, after_each);
        });
        return;
    }
    std::string text = response.take_body();
    if (text.size() <= kBytesInATurn && !head_only) {
        GzipWriter writer(level);
        std::string compressed;
        writer.write(text, Flush::end, compressed);
        response.body(std::move(compressed));
        return;
    }
    auto kept = std::make_shared<const std::string>(std::move(text));  // the response's alone
    response.stream(
        [kept, level](http::BodyWriter out) { return compress_text(kept.get(), out, level); });
}

void add_vary(http::Response& response) {
    const std::string_view vary = response.header("Vary");
    if (vary == "*" || holds_token(vary, "Accept-Encoding")) return;
    response.header("Vary", "Accept-Encoding");
}

// ---- requests -----------------------------------------------------------------------------------

struct Decoded {
    Gunzip status = Gunzip::malformed;
    std::string text;
};

Decoded decode(std::string_view body, std::size_t bytes_max) {
    Decoded decoded;
    decoded.status = gunzip(body, bytes_max, decoded.text);
    return decoded;
}

}  // namespace
}  // namespace http_internal

namespace http {

Task<Response> Compressed::operator()(Request request, Next next) const {
    using namespace http_internal;
    const bool wants = prefers_gzip(request);
    const bool head_only = request.method == "HEAD";
    Response response = co_await next(std::move(request));
    if (!may_be_compressed(response, options_)) co_return response;
    add_vary(response);
    if (wants) compress(response, head_only, options_.level());
    co_return response;
}

Task<Response> Decompressed::operator()(Request request, Next next) const {
    using namespace http_internal;
    const std::string coding(request.header("Content-Encoding").value_or(""));
    if (coding.empty() || equals_ignoring_case(coding, "identity") || request.body.empty()) {
        co_return co_await next(std::move(request));
    }
    if (!equals_ignoring_case(coding, "gzip") && !equals_ignoring_case(coding, "x-gzip")) {
        co_return text(415, "This server knows no coding of bodies but gzip.")
            .header("Accept-Encoding", "gzip");
    }
    const std::size_t bytes_max =
        std::min(options_.bytes_max(), request.body.size() * options_.ratio_max());
    Decoded decoded;
    if (bytes_max <= kBytesInATurn) {
        decoded = decode(request.body, bytes_max);
    } else {
        auto job = [body = std::move(request.body), bytes_max] { return decode(body, bytes_max); };
        Result<Decoded> done = co_await offload(std::move(job));
        if (!done) co_return from(done.error());
        decoded = std::move(*done);
    }
    if (decoded.status == Gunzip::malformed) co_return text(400, "The body is no gzip.");
    if (decoded.status == Gunzip::too_large) {
        co_return text(413, "The body becomes too large when it is decoded.");
    }
    request.body = std::move(decoded.text);
    request.headers().remove("Content-Encoding");
    request.headers().remove("Content-Length");
    co_return co_await next(std::move(request));
}

}  // namespace http
}  // namespace troupe

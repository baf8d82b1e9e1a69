#pragma once

// gzip, both ways, as middleware.
//
//     router.use(http::compressed());             // responses, for clients that take it
//     router.use(http::decompressed());           // requests that come compressed

#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>

namespace troupe::http {

class CompressOptions {
public:
    CompressOptions() = default;

    /// 1, fast, to 9, small.
    CompressOptions& level(int level) {
        level_ = level < 1 ? 1 : level > 9 ? 9 : level;
        return *this;
    }
    /// A body below this is sent as it is: it would become no smaller.
    CompressOptions& bytes_min(std::size_t bytes) {
        bytes_min_ = bytes;
        return *this;
    }

    int level() const { return level_; }
    std::size_t bytes_min() const { return bytes_min_; }

private:
    int level_ = 6;
    std::size_t bytes_min_ = 1024;
};

/// Middleware that compresses bodies of types which become smaller by it (text, JSON, SVG and the
/// like) for clients that take gzip. What a function streams leaves with every write, compressed;
/// large bodies are compressed piece by piece while they are sent, and others have their turns in
/// between. Left alone are: what is compressed already or says `Cache-Control: no-transform`, a
/// part of a body (206), and what has no body.
///
/// ETags become weak, since the bytes are others; ranges are not offered any more; and Vary says
/// that the answer is another for other clients. Do not compress a page that holds both a secret
/// and what a stranger has sent: its size tells them about the secret (BREACH).
class Compressed {
public:
    explicit Compressed(CompressOptions options) : options_(options) {}

    Task<Response> operator()(Request request, Next next) const;

private:
    CompressOptions options_;
};

inline Compressed compressed(CompressOptions options = CompressOptions()) {
    return Compressed(options);
}

class DecompressOptions {
public:
    DecompressOptions() = default;

    /// What a body may become: beyond it 413.
    DecompressOptions& bytes_max(std::size_t bytes) {
        bytes_max_ = bytes;
        return *this;
    }
    /// How many times as large as it came it may become; beyond it 413. gzip of nothing but zeros
    /// gets to 1000, of what people write to 20.
    DecompressOptions& ratio_max(std::size_t ratio) {
        ratio_max_ = ratio;
        return *this;
    }

    std::size_t bytes_max() const { return bytes_max_; }
    std::size_t ratio_max() const { return ratio_max_; }

private:
    std::size_t bytes_max_ = std::size_t{1024} * 1024;
    std::size_t ratio_max_ = 100;
};

/// Middleware that decodes requests with `Content-Encoding: gzip`, for handlers that get their body
/// whole; the header line is gone then. 400 for what is no gzip, 415 for other codings. A handler
/// that reads its body itself reads it as it was sent.
class Decompressed {
public:
    explicit Decompressed(DecompressOptions options) : options_(options) {}

    Task<Response> operator()(Request request, Next next) const;

private:
    DecompressOptions options_;
};

inline Decompressed decompressed(DecompressOptions options = DecompressOptions()) {
    return Decompressed(options);
}

}  // namespace troupe::http

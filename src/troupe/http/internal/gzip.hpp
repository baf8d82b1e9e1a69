#pragma once

// zlib, whose header is big and which no header of ours shows.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// Makes a gzip stream. About 130 KiB while it lives.
class GzipWriter {
public:
    explicit GzipWriter(int level);
    ~GzipWriter();
    GzipWriter(const GzipWriter&) = delete;
    GzipWriter& operator=(const GzipWriter&) = delete;

    enum class Flush : std::uint8_t {
        none,    // some of it may be held
        so_far,  // all of it can be read
        end,
    };
    /// Appends what `piece` becomes.
    void write(std::string_view piece, Flush flush, std::string& out);

private:
    struct State;
    std::unique_ptr<State> state_;
};

enum class Gunzip : std::uint8_t { done, malformed, too_large };

/// Appends what gzip data becomes, which is at most `bytes_max`.
Gunzip gunzip(std::string_view data, std::size_t bytes_max, std::string& out);

}  // namespace troupe::http_internal

#pragma once

// Chunked bodies, decoded as they arrive, for both directions.
//
// The data is not copied: each step gives one run of it as a view into the input. Everything else
// is framing, and a peer must not be able to keep us reading framing for ever, so it has to stay in
// proportion to the data.

#include <troupe/http/headers.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/head_lexer.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace troupe::http_internal {

class ChunkDecoder {
public:
    enum class Status {
        need_more,  // all that can be used was used: read more and call again
        data,       // a piece of the body
        done,       // the body is whole, its trailers were read
        refused,    // see refusal()
    };

    struct Step {
        Status status;
        std::size_t consumed;   // bytes of the input that are not to be shown again
        std::string_view data;  // not empty after `data`; a view into the input
    };

    /// Begins a body.
    void begin();

    /// A chunk that would make the body larger than this is refused on its claim, with 413.
    void limit(std::uint64_t body_bytes_max) { max_ = body_bytes_max; }

    /// Reads on. `input` is everything that was received and not consumed yet. Trailer lines are
    /// appended to `trailers`.
    Step advance(std::string_view input, http::Headers& trailers);

    const ParseRefusal& refusal() const { return refusal_; }

private:
    enum class State { size, extension, size_end, data, data_end, data_end_feed, trailers };

    bool take_framing(char c);
    Step read_trailers(std::string_view input, std::size_t consumed, http::Headers& trailers);
    Step refuse(int status, std::string_view sentence);
    bool refuse_framing(int status, std::string_view sentence);

    State state_ = State::size;
    bool quoted_ = false;      // within a quoted string of an extension
    bool escaped_ = false;     // behind a backslash in there
    bool part_begun_ = false;  // an extension has more than its semicolon
    std::uint8_t digits_ = 0;  // of the present size
    std::uint64_t left_ = 0;   // of the present chunk
    std::uint64_t taken_ = 0;  // of the body, claimed by chunks so far
    std::uint64_t max_ = std::numeric_limits<std::uint64_t>::max();  // of the body
    std::uint64_t overhead_ = 0;                                     // framing read so far
    ParseRefusal refusal_;
};

/// Appends the head of a chunk of that many bytes, which is not 0. Behind its data goes CR LF.
void append_chunk_head(ByteBuffer& out, std::size_t bytes);

}  // namespace troupe::http_internal

#pragma once

// Compression of messages (RFC 7692, permessage-deflate): what was agreed on, and the two streams.
//
// The problem: a compressor costs a quarter of a megabyte and a decompressor 40 KB if each
// connection has its own for as long as it lives, and most connections are silent most of the time.
//
// The answer: both are made when the first message needs them and put to rest when the connection
// has been silent. A compressor can simply be thrown away: one that has forgotten what it sent
// refers to nothing that the peer has not got. A decompressor must remember what the peer may refer
// to, so what its window holds is kept, which is as much as was ever received, and at most 32 KB.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;  // NOLINT(readability-identifier-naming): zlib's name

namespace troupe::websocket_internal {

/// What the two ends have agreed on.
struct DeflateTerms {
    bool on = false;
    // Whether the sender begins each message with an empty window.
    bool server_forgets = false;
    bool client_forgets = false;
    std::uint8_t server_window_bits = 15;
    std::uint8_t client_window_bits = 15;
    bool client_window_asked = false;  // the client knows the parameter, so it may be told

    friend bool operator==(const DeflateTerms&, const DeflateTerms&) = default;
};

/// Makes messages smaller.
class Deflater {
public:
    /// `window_bits` from 9 to 15. `forgets`: each message by itself.
    Deflater(int window_bits, bool forgets) noexcept;
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    /// Appends the message's compressed form.
    void compress(std::string_view message, std::string& out);

    /// Gives the memory back until the next message.
    void rest() noexcept;
    bool resting() const noexcept { return stream_ == nullptr; }

private:
    void begin();

    std::unique_ptr<z_stream_s> stream_;
    int window_bits_;
    bool forgets_;
};

/// Makes them what they were, piece by piece.
class Inflater {
public:
    Inflater(int window_bits, bool forgets) noexcept;
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    enum class Outcome : std::uint8_t { done, too_large, malformed };

    /// Appends what a piece of a message becomes, until `out` would be larger than `bytes_max`: a
    /// thousand times what was received is possible.
    Outcome expand(std::string_view piece, std::string& out, std::size_t bytes_max);

    /// The message ends here. Appends what was held back.
    Outcome end_message(std::string& out, std::size_t bytes_max);

    /// Between two messages: keeps no more than what the next one may refer to. True when that is
    /// nothing.
    bool rest();

private:
    void begin();
    void end() noexcept;
    void keep_window();
    void restore_window();

    std::unique_ptr<z_stream_s> stream_;
    std::string window_;  // while at rest
    int window_bits_;
    bool forgets_;
    bool ended_ = false;  // a last block has come
};

}  // namespace troupe::websocket_internal

#pragma once

/// For tests: what a codec makes of bytes that arrive in pieces.

#include <troupe/io/codec.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::codec {

/// All that can be seen of decoding a stream.
struct Decoded {
    std::vector<std::string> frames;
    std::string error;  // its text; empty when there was none

    friend bool operator==(const Decoded&, const Decoded&) = default;
};

/// Feeds a codec as a connection would, and ends the stream.
template <Codec C>
class Feeder {
public:
    explicit Feeder(C codec) : codec_(std::move(codec)) {}

    void feed(std::string_view piece) {
        while (seen_.error.empty()) {
            if (!take(codec_.decode(piece))) return;
        }
    }
    Decoded end() {
        while (seen_.error.empty() && take(codec_.finish())) {
        }
        return seen_;
    }

private:
    /// False when there was no frame.
    bool take(Result<std::optional<std::string>> frame) {
        if (!frame) seen_.error = frame.error().text();
        if (!frame || !*frame) return false;
        seen_.frames.push_back(std::move(**frame));
        return true;
    }

    C codec_;
    Decoded seen_;
};

template <Codec C>
Decoded decode_whole(C codec, std::string_view bytes) {
    Feeder<C> feeder(std::move(codec));
    feeder.feed(bytes);
    return feeder.end();
}

/// Pieces of the lengths that `next_length` gives.
template <Codec C, class NextLength>
Decoded decode_cut(C codec, std::string_view bytes, NextLength next_length) {
    Feeder<C> feeder(std::move(codec));
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, next_length());
        feeder.feed(piece);
        bytes.remove_prefix(piece.size());
    }
    return feeder.end();
}

}  // namespace troupe::codec

#pragma once

// For fuzzers: how the network cuts bytes must not show.

#include <troupe/base/assert.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::http_internal {

/// Shows the same bytes to two readers, whole to one, and to the other in pieces whose sizes the
/// first bytes of the input give. A reader has feed(piece), and seen() for all there is to see.
template <class MakeReader>
void expect_that_cuts_do_not_show(const std::uint8_t* data, std::size_t size,
                                  MakeReader make_reader) {
    constexpr std::size_t kCuts = 4;
    if (size < kCuts) return;
    std::string_view bytes(reinterpret_cast<const char*>(data) + kCuts, size - kCuts);

    auto whole = make_reader();
    whole.feed(bytes);

    auto pieces = make_reader();
    for (std::size_t i = 0; !bytes.empty(); ++i) {
        const std::size_t length = std::min<std::size_t>(data[i % kCuts] % 64 + 1, bytes.size());
        pieces.feed(bytes.substr(0, length));
        bytes.remove_prefix(length);
    }
    TROUPE_ASSERT(whole.seen() == pieces.seen(), "the network's cuts do not show");
}

}  // namespace troupe::http_internal

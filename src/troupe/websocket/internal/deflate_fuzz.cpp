// Inflates arbitrary bytes, which must end within the limit, and deflates them, which must give
// them back: in several messages, with pauses between, with and without memory of the earlier ones.

#include <troupe/base/assert.hpp>
#include <troupe/websocket/internal/deflate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using troupe::websocket_internal::Deflater;
using troupe::websocket_internal::Inflater;

namespace {

constexpr std::size_t kBytesMax = 20'000;

void inflate_rubbish(std::string_view bytes, std::uint8_t settings) {
    Inflater inflater(15, (settings & 1) != 0);
    std::string out;
    while (!bytes.empty()) {
        const std::size_t part = std::min<std::size_t>(bytes.size(), settings / 4 + 1);
        const Inflater::Outcome outcome = inflater.expand(bytes.substr(0, part), out, kBytesMax);
        if (outcome != Inflater::Outcome::done) return;
        TROUPE_ASSERT(out.size() <= kBytesMax, "nothing beyond the limit");
        bytes.remove_prefix(part);
        if ((settings & 2) == 0) continue;
        if (inflater.end_message(out, kBytesMax) != Inflater::Outcome::done) return;
        inflater.rest();
        out.clear();
    }
}

void there_and_back(std::string_view bytes, std::uint8_t settings) {
    const bool forgets = (settings & 1) != 0;
    Deflater deflater(9 + settings % 7, forgets);
    Inflater inflater(15, forgets);
    for (std::size_t at = 0; at <= bytes.size(); at += 700) {
        const std::string_view message = bytes.substr(at, 1000);
        std::string small;
        deflater.compress(message, small);
        std::string out;
        TROUPE_ASSERT(inflater.expand(small, out, kBytesMax) == Inflater::Outcome::done &&
                          inflater.end_message(out, kBytesMax) == Inflater::Outcome::done &&
                          out == message,
                      "what was compressed comes back");
        if ((settings & 2) != 0) inflater.rest();
        if ((settings & 8) != 0) deflater.rest();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    inflate_rubbish(bytes, data[0]);
    there_and_back(bytes, data[0]);
    return 0;
}

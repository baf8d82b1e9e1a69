// Feeds arbitrary bytes to a codec: whole, and cut in pieces whose sizes the input's first bytes
// give. Both must see the same frames and the same error, and a frame that was read can be sent.

#include <troupe/base/assert.hpp>
#include <troupe/io/internal/cut_codec.hpp>
#include <troupe/io/json.hpp>
#include <troupe/io/length_delimited.hpp>
#include <troupe/io/lines.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace troupe::codec;

constexpr std::size_t kCuts = 3;
constexpr std::size_t kFrameBytesMax = 200;

template <class MakeCodec>
void check(MakeCodec make_codec, const std::uint8_t* cuts, std::string_view bytes) {
    const Decoded whole = decode_whole(make_codec(), bytes);
    std::size_t i = 0;
    const Decoded cut =
        decode_cut(make_codec(), bytes, [&] { return std::size_t{1} + cuts[i++ % kCuts] % 64; });
    TROUPE_ASSERT(cut == whole, "the cuts do not show");
    for (const std::string& frame : whole.frames) {
        TROUPE_ASSERT(frame.size() <= kFrameBytesMax, "a frame is capped");
        std::string out;
        if (!make_codec().encode(frame, out)) continue;
        const Decoded again = decode_whole(make_codec(), out);
        TROUPE_ASSERT(again.error.empty() && again.frames.size() == 1 && again.frames[0] == frame,
                      "what was read can be sent");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < kCuts + 1) return 0;
    const std::uint8_t* const cuts = data + 1;
    const std::string_view bytes(reinterpret_cast<const char*>(cuts) + kCuts, size - kCuts - 1);
    switch (data[0] % 7) {
        case 0:
            check([] { return Lines(kFrameBytesMax); }, cuts, bytes);
            break;
        case 1:
            check([] { return Json(kFrameBytesMax); }, cuts, bytes);
            break;
        default:
            check(
                [&] {
                    return LengthDelimited(kFrameBytesMax,
                                           static_cast<LengthPrefix>(data[0] % 7 - 2));
                },
                cuts, bytes);
            break;
    }
    return 0;
}

#include <troupe/websocket/internal/frame.hpp>
#include <troupe/websocket/internal/test_frames.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

namespace troupe::websocket_internal {
namespace {

std::string written(const FrameHead& head, const MaskKey* mask) {
    char out[kFrameHeadBytesMax];
    return std::string(out, write_head(out, head, mask));
}

TEST(Frame, WritesTheShortestLengthMostSignificantByteFirst) {
    for (const std::size_t size :
         {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 65'537U, 1'048'576U}) {
        FrameHead head;
        head.payload_bytes = size;
        EXPECT_EQ(written(head, nullptr) + std::string(size, 'x'),
                  server_frame(0x82, std::string(size, 'x')))
            << size;
        RawFrame by_client;
        by_client.first = 0x82;
        by_client.payload = std::string(size, '\0');
        const std::string masked = written(head, &by_client.key);
        EXPECT_TRUE(by_client.bytes().starts_with(masked)) << size;
    }
}

TEST(Frame, MarksFragmentsAndCompression) {
    FrameHead head;
    head.opcode = Opcode::text;
    head.final = false;
    head.compressed = true;
    EXPECT_EQ(written(head, nullptr), std::string("\x41\x00", 2));
}

TEST(Frame, CutsALongReasonWhereACharacterEnds) {
    std::string reason(122, 'r');
    reason += "€";
    EXPECT_EQ(close_payload(1000, reason).size(), 124U);
    EXPECT_EQ(close_payload(1000, ""), "\x03\xE8");
    EXPECT_EQ(close_payload(1005, "never sent"), "");
    EXPECT_EQ(close_payload(1006, "never sent"), "");
}

TEST(Mask, IsTheSameInPieces) {
    const MaskKey key{1, 2, 0, 200};
    std::string whole(100, '\0');
    for (std::size_t i = 0; i < whole.size(); ++i)
        whole[i] = static_cast<char>(i * 7);
    const std::string plain = whole;
    apply_mask(whole.data(), whole.size(), key, 0);
    for (std::size_t cut = 0; cut <= plain.size(); ++cut) {
        std::string pieces = plain;
        apply_mask(pieces.data(), cut, key, 0);
        apply_mask(pieces.data() + cut, pieces.size() - cut, key, cut);
        ASSERT_EQ(pieces, whole) << cut;
    }
    apply_mask(whole.data(), whole.size(), key, 0);
    EXPECT_EQ(whole, plain);
}

}  // namespace
}  // namespace troupe::websocket_internal

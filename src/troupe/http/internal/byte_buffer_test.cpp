#include <troupe/http/internal/byte_buffer.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

void receive(ByteBuffer& buffer, std::string_view bytes, std::size_t wanted = 1) {
    while (!bytes.empty()) {
        std::span<char> room = buffer.room(wanted);
        ASSERT_FALSE(room.empty());
        std::size_t count = bytes.copy(room.data(), room.size());
        buffer.put(count);
        bytes.remove_prefix(count);
    }
}

TEST(ByteBuffer, HoldsNothingUntilItIsUsed) {
    ByteBuffer buffer;
    EXPECT_TRUE(buffer.pending().empty());
    buffer.consume(0);
    buffer.release();
    EXPECT_TRUE(buffer.pending().empty());
}

TEST(ByteBuffer, KeepsWhatIsPendingInOnePiece) {
    ByteBuffer buffer;
    std::string expected;
    for (int i = 0; i < 3000; ++i) {
        std::string piece = std::to_string(i) + ",";
        receive(buffer, piece);
        expected += piece;
        if (i % 3 == 0) {
            std::size_t count = expected.size() / 4;
            buffer.consume(count);
            expected.erase(0, count);
        }
        ASSERT_EQ(buffer.pending(), expected);
    }
    buffer.release();
    EXPECT_EQ(buffer.pending(), expected) << "nothing that is pending is given back";
}

TEST(ByteBuffer, MakesTheRoomThatIsWanted) {
    ByteBuffer buffer;
    receive(buffer, "abc");
    buffer.consume(1);
    EXPECT_GE(buffer.room(10'000).size(), 10'000U);
    EXPECT_EQ(buffer.pending(), "bc");
    buffer.consume(2);
    buffer.release();
    EXPECT_GE(buffer.room().size(), 1000U);
}

TEST(ByteBuffer, TakesWhatIsAppendedBehindWhatIsPending) {
    ByteBuffer buffer;
    std::string expected;
    for (std::size_t size : {1U, 0U, 2000U, 100U, 5000U, 1U, 70'000U}) {
        std::string piece(size, static_cast<char>('a' + size % 26));
        buffer.append(piece);
        expected += piece;
        buffer.consume(expected.size() / 3);
        expected.erase(0, expected.size() / 3);
        EXPECT_EQ(buffer.pending(), expected);
    }
    buffer.consume(buffer.size());
    EXPECT_TRUE(buffer.empty());
}

TEST(ByteBuffer, GivesLargeMemoryBackAndKeepsSmall) {
    std::uint64_t before = block_pool_stats().live_blocks;
    ByteBuffer buffer;
    buffer.append("abc");
    buffer.consume(3);
    buffer.release_if_large();
    EXPECT_EQ(block_pool_stats().live_blocks, before + 1);
    buffer.release();
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

}  // namespace
}  // namespace troupe::http_internal

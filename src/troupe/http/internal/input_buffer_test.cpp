#include <troupe/http/internal/input_buffer.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

void receive(InputBuffer& buffer, std::string_view bytes, std::size_t wanted = 0) {
    while (!bytes.empty()) {
        std::span<char> room = buffer.room(wanted);
        ASSERT_FALSE(room.empty());
        std::size_t count = bytes.copy(room.data(), room.size());
        buffer.received(count);
        bytes.remove_prefix(count);
    }
}

TEST(InputBuffer, HoldsNothingUntilItIsUsed) {
    InputBuffer buffer;
    EXPECT_TRUE(buffer.pending().empty());
    buffer.consume(0);
    buffer.release();
    EXPECT_TRUE(buffer.pending().empty());
}

TEST(InputBuffer, KeepsWhatIsPendingInOnePiece) {
    InputBuffer buffer;
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

TEST(InputBuffer, MakesTheRoomThatIsWanted) {
    InputBuffer buffer;
    receive(buffer, "abc");
    buffer.consume(1);
    EXPECT_GE(buffer.room(10'000).size(), 10'000U - 2U);
    EXPECT_EQ(buffer.pending(), "bc");
    buffer.consume(2);
    buffer.release();
    EXPECT_GE(buffer.room(0).size(), 1000U);
}

}  // namespace
}  // namespace troupe::http_internal

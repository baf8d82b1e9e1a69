#include <troupe/websocket/internal/deflate.hpp>

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe::websocket_internal {
namespace {

constexpr std::size_t kBytesMax = 1 << 20;

std::string expanded(Inflater& inflater, const std::string& message) {
    std::string out;
    EXPECT_EQ(inflater.expand(message, out, kBytesMax), Inflater::Outcome::done);
    EXPECT_EQ(inflater.end_message(out, kBytesMax), Inflater::Outcome::done);
    return out;
}

std::string compressed(Deflater& deflater, const std::string& message) {
    std::string out;
    deflater.compress(message, out);
    return out;
}

std::vector<std::string> messages() {
    std::vector<std::string> all = {"", "a", "hello hello hello", std::string(100'000, 'x')};
    std::uint32_t random = 7;
    std::string noise;
    for (int i = 0; i < 70'000; ++i) {
        random = random * 1664525 + 1013904223;
        noise.push_back(static_cast<char>(random >> 24));
    }
    all.push_back(noise);
    all.emplace_back("hello hello hello");
    return all;
}

TEST(Deflate, GivesBackWhatWasSentWithEverySetting) {
    for (int bits = 9; bits <= 15; ++bits) {
        for (const bool forgets : {false, true}) {
            Deflater deflater(bits, forgets);
            Inflater inflater(bits, forgets);
            for (const std::string& message : messages()) {
                ASSERT_EQ(expanded(inflater, compressed(deflater, message)), message)
                    << bits << " " << forgets;
            }
        }
    }
}

TEST(Deflate, KnowsTheExamplesOfTheStandard) {
    // RFC 7692, section 7.2.3: "Hello" twice, in a stored block, and with a last block.
    Inflater inflater(15, false);
    EXPECT_EQ(expanded(inflater, "\xf2\x48\xcd\xc9\xc9\x07" + std::string(1, '\0')), "Hello");
    EXPECT_EQ(expanded(inflater, "\xf2" + std::string("\x00\x11\x00\x00", 4)), "Hello");
    const std::string stored("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
    EXPECT_EQ(expanded(inflater, stored), "Hello");
    const std::string last("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
    EXPECT_EQ(expanded(inflater, last), "Hello");
    EXPECT_EQ(expanded(inflater, "\xf2" + std::string("\x00\x11\x00\x00", 4)), "Hello")
        << "it may refer to what stood before a last block";
    const std::string two("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
    EXPECT_EQ(expanded(inflater, two), "Hello");
}

TEST(Deflate, NeedsNoMoreAtRestThanItHasReceived) {
    Deflater deflater(15, false);
    Inflater inflater(15, false);
    const std::string sentence = "what was said before a pause helps behind it, too";
    EXPECT_EQ(expanded(inflater, compressed(deflater, sentence)), sentence);
    inflater.rest();
    const std::string again = compressed(deflater, sentence);
    EXPECT_LT(again.size(), sentence.size() / 2);
    EXPECT_EQ(expanded(inflater, again), sentence) << "the sender did not know of the pause";

    deflater.rest();
    EXPECT_TRUE(deflater.resting());
    const std::string fresh = compressed(deflater, sentence);
    EXPECT_EQ(expanded(inflater, fresh), sentence) << "a sender may forget whenever it likes";
}

TEST(Deflate, StopsABombWhileItGoesOff) {
    Deflater deflater(15, true);
    Inflater inflater(15, true);
    const std::string bomb = compressed(deflater, std::string(50 * kBytesMax, '\0'));
    ASSERT_LT(bomb.size(), kBytesMax / 2);
    std::string out;
    EXPECT_EQ(inflater.expand(bomb, out, kBytesMax), Inflater::Outcome::too_large);
    EXPECT_LE(out.capacity(), 3 * kBytesMax);
}

TEST(Deflate, RefusesRubbish) {
    Inflater inflater(15, false);
    std::string out;
    EXPECT_EQ(inflater.expand("\xFF\xFF\xFF", out, kBytesMax), Inflater::Outcome::malformed);
}

TEST(Deflate, TakesAWindowThatIsSmallerThanAgreed) {
    Deflater deflater(9, false);
    Inflater inflater(15, false);
    for (const std::string& message : messages())
        ASSERT_EQ(expanded(inflater, compressed(deflater, message)), message);
}

}  // namespace
}  // namespace troupe::websocket_internal

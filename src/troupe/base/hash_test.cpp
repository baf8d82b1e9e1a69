#include <troupe/base/hash.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Hash, GivesThePublishedValuesOfFnv1a) {
    static_assert(fnv1a_32("") == 0x811c9dc5);
    static_assert(fnv1a_32("foobar") == 0xbf9cf968);
    static_assert(fnv1a_64("") == 0xcbf29ce484222325);
    static_assert(fnv1a_64("foobar") == 0x85944171f73967e8);
}

TEST(Hash, TakesBytesAboveAsciiAlikeOnEveryMachine) {
    static_assert(fnv1a_64("\xff") != fnv1a_64("\x7f"));
    EXPECT_EQ(fnv1a_32("\xc3\xa4"), fnv1a_32(std::string_view("\xc3\xa4", 2)));
}

TEST(Hash, SpreadsNeighboursAndMindsTheOrder) {
    EXPECT_NE(mix_64(1) >> 32, mix_64(2) >> 32);
    EXPECT_NE(hash_combine(1, 2), hash_combine(2, 1));
}

}  // namespace
}  // namespace troupe

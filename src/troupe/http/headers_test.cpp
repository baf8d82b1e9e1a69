#include <troupe/http/headers.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace troupe::http {
namespace {

TEST(Headers, FindsTheFirstLineOfANameInAnyLetterCase) {
    Headers headers;
    headers.add("Accept", "text/html");
    headers.add("X-Note", "first");
    headers.add("x-note", "second");
    EXPECT_EQ(headers.find("ACCEPT"), "text/html");
    EXPECT_EQ(headers.find("X-NOTE"), "first");
    EXPECT_FALSE(headers.find("Accep").has_value());
    EXPECT_FALSE(headers.find("").has_value());
}

TEST(Headers, KeepsTheOrderAndTheSpelling) {
    Headers headers;
    headers.add("B", "1");
    headers.add("a", "");
    ASSERT_EQ(headers.size(), 2U);
    EXPECT_EQ(headers.at(0).name, "B");
    EXPECT_EQ(headers.at(1).name, "a");
    EXPECT_EQ(headers.at(1).value, "");
}

TEST(Headers, LinesStayRightWhenTheyAreCopiedAndMoved) {
    Headers headers;
    headers.add("A", "1");  // short enough to live within the string, and to move with it
    Headers copy = headers;
    Headers moved = std::move(headers);
    copy.add("B", std::string(1000, 'b'));
    EXPECT_EQ(copy.find("A"), "1");
    EXPECT_EQ(copy.find("B"), std::string(1000, 'b'));
    EXPECT_EQ(moved.find("A"), "1");
    EXPECT_FALSE(moved.find("B").has_value());
}

TEST(Headers, PointsIntoTheHeadAParserGives) {
    Headers headers;
    headers.add("Old", "x");
    headers.clear();
    headers.note(4, 4, 9, 3);
    headers.hold("GET Name:val");
    ASSERT_EQ(headers.size(), 1U);
    EXPECT_EQ(headers.find("name"), "val");
}

TEST(Headers, KeepWhatAParserGivesBesideTheirLines) {
    Headers headers;
    headers.note(0, 4, 5, 3);
    headers.hold("Name:val");
    headers.hold_beside("/one");
    headers.add("Other", "x");
    EXPECT_EQ(headers.held(), "Name:val");
    EXPECT_EQ(headers.held_beside(), "/one");
    EXPECT_EQ(headers.find("Other"), "x");

    Headers moved = std::move(headers);
    EXPECT_EQ(moved.held_beside(), "/one");
    EXPECT_EQ(headers.held(), "");  // NOLINT(bugprone-use-after-move): says what it promises
    EXPECT_EQ(headers.held_beside(), "");
}

TEST(Headers, ForgetLinesByName) {
    Headers headers;
    headers.add("A", "1");
    headers.add("B", "2");
    headers.add("a", "3");
    headers.remove("A");
    ASSERT_EQ(headers.size(), 1u);
    EXPECT_EQ(headers.find("B"), "2");
    headers.remove("nothing");
    EXPECT_EQ(headers.size(), 1u);
}

}  // namespace
}  // namespace troupe::http

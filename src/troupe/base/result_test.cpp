#include <troupe/base/result.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace troupe {
namespace {

Result<int> parse(const std::string& text) {
    if (text.empty()) return error(Errc::not_found, "nothing to parse");
    return static_cast<int>(text.size());
}

Result<> check(int value) {
    if (value > 5) return error(Errc::failed);
    return {};
}

template <class A, class B>
Result<int> sum(A a, B b) {
    return static_cast<int>(a + b);
}

Result<std::string> use(const std::string& text) {
    TROUPE_TRY(auto size, parse(text));
    TROUPE_TRY(check(size));
    TROUPE_TRY(int total, sum<int, int>(size, 1));
    TROUPE_TRY(total, sum<int, int>(total, 1));
    TROUPE_TRY(parse(text));
    return std::to_string(total);
}

TEST(Result, TryPassesTheErrorOnWithItsPlace) {
    auto missing = use("");
    ASSERT_FALSE(missing.has_value());
    EXPECT_TRUE(missing.error() == Errc::not_found);
    EXPECT_EQ(missing.error().text(), "nothing to parse");
    EXPECT_TRUE(use("too long").error() == Errc::failed);
}

TEST(Result, TryTakesTheValue) {
    EXPECT_EQ(use("abc").value(), "5");
}

Result<int> twice_on_one_line() {
    // clang-format off
    TROUPE_TRY(auto a, parse("a")); TROUPE_TRY(auto b, parse("bb"));
    // clang-format on
    return a + b;
}

TEST(Result, TryMayStandTwiceOnALine) {
    EXPECT_EQ(twice_on_one_line().value(), 3);
}

Result<int> move_only() {
    TROUPE_TRY(auto pointer, Result<std::unique_ptr<int>>(std::make_unique<int>(7)));
    TROUPE_TRY(auto&& again, Result<std::unique_ptr<int>>(std::move(pointer)));
    return *again;
}

TEST(Result, TryMovesTheValueOut) {
    EXPECT_EQ(move_only().value(), 7);
}

TEST(Result, AndThenGoesOnOrPassesTheErrorOn) {
    EXPECT_EQ(and_then(parse("abc"), [](int n) { return Result<int>(n * 2); }).value(), 6);
    bool called = false;
    auto failed = and_then(parse(""), [&](int n) {
        called = true;
        return Result<std::string>(std::to_string(n));
    });
    EXPECT_FALSE(called);
    EXPECT_TRUE(failed.error() == Errc::not_found);
    EXPECT_EQ(and_then(check(1), [] { return Result<int>(4); }).value(), 4);
}

TEST(Result, TransformReplacesTheValue) {
    EXPECT_EQ(transform(parse("abc"), [](int n) { return std::to_string(n); }).value(), "3");
    EXPECT_EQ(transform(check(1), [] { return 9; }).value(), 9);
    EXPECT_TRUE(transform(check(9), [] { return 9; }).error() == Errc::failed);
    int seen = 0;
    Result<> done = transform(parse("abc"), [&](int n) { seen = n; });
    EXPECT_TRUE(done.has_value());
    EXPECT_EQ(seen, 3);
    auto owned = transform(Result<std::unique_ptr<int>>(std::make_unique<int>(3)),
                           [](std::unique_ptr<int> p) { return *p; });
    EXPECT_EQ(owned.value(), 3);
}

TEST(Result, OrElseHandlesTheErrorOnly) {
    auto rescue = [](const Error& error) {
        return error == Errc::not_found ? Result<int>(0) : Result<int>(std::unexpected(error));
    };
    EXPECT_EQ(or_else(parse(""), rescue).value(), 0);
    EXPECT_EQ(or_else(parse("abc"), rescue).value(), 3);
    EXPECT_TRUE(or_else(check(9), [](Error) { return Result<>(); }).has_value());
}

TEST(Result, ValueOrFallsBack) {
    EXPECT_EQ(value_or(parse(""), 42), 42);
    EXPECT_EQ(value_or(parse("abc"), 42), 3);
    EXPECT_EQ(value_or(Result<std::string>(error(Errc::closed)), "none"), "none");
}

TEST(Result, IsDroppedAloud) {
    ignore(parse(""), "this test only wants to see that it compiles");
}

}  // namespace
}  // namespace troupe

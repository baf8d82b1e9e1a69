#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <utility>

namespace bank {
enum class BankErrc { insufficient_funds = 1, frozen };
enum class OtherErrc { insufficient_funds = 1 };
}  // namespace bank

namespace troupe {
namespace {

using bank::BankErrc;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Error, IsSixteenBytesAndMovesWithoutThrowing) {
    static_assert(sizeof(Error) == 16);
    static_assert(std::is_nothrow_move_constructible_v<Error>);
    static_assert(std::is_nothrow_move_assignable_v<Error>);
    static_assert(std::is_nothrow_copy_constructible_v<Error>);
}

TEST(Error, EqualsItsCodeAndNoOtherEnumsCode) {
    Error error(BankErrc::insufficient_funds);
    EXPECT_TRUE(error == BankErrc::insufficient_funds);
    EXPECT_FALSE(error == BankErrc::frozen);
    EXPECT_FALSE(error == bank::OtherErrc::insufficient_funds);
    EXPECT_FALSE(error == Errc::timed_out);
}

TEST(Error, EqualsAnotherErrorWithTheSameCode) {
    EXPECT_EQ(Error(BankErrc::frozen, "by the court"), Error(BankErrc::frozen));
    EXPECT_NE(Error(BankErrc::frozen), Error(Errc::actor_gone));
}

TEST(Error, AllocatesNothingWithoutTextOrCause) {
    auto before = block_pool_stats().live_blocks;
    Error error(BankErrc::frozen);
    Error copy = error;
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

TEST(Error, SharesItsDetailAmongCopiesAndGivesItBack) {
    auto before = block_pool_stats().live_blocks;
    {
        Error error(BankErrc::frozen, "by the court");
        Error copy = error;
        Error moved = std::move(error);
        copy = moved;
        moved = Error(BankErrc::insufficient_funds);
        EXPECT_EQ(copy.text(), "by the court");
        EXPECT_EQ(block_pool_stats().live_blocks, before + 1);
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

TEST(Error, SurvivesAssignmentToItself) {
    Error error(BankErrc::frozen, "by the court");
    Error& alias = error;
    error = alias;
    EXPECT_EQ(error.text(), "by the court");
    error = std::move(alias);
    EXPECT_EQ(error.text(), "by the court");
}

TEST(Error, KnowsWhereItWasMade) {
    Error plain(BankErrc::frozen);
    auto plain_line = __LINE__ - 1;
    Error with_text(BankErrc::frozen, "by the court");
    auto text_line = __LINE__ - 1;
    EXPECT_EQ(plain.where().line(), plain_line);
    EXPECT_EQ(with_text.where().line(), text_line);
    EXPECT_THAT(with_text.where().file_name(), EndsWith("error_test.cpp"));
}

TEST(Error, CanBeLookedAtAfterAMove) {
    Error error(BankErrc::frozen, "by the court");
    Error taken = std::move(error);
    EXPECT_EQ(error.where().line(), 0u);
    EXPECT_EQ(error.text(), "");
    EXPECT_EQ(error.cause(), nullptr);
    EXPECT_EQ(taken.text(), "by the court");
}

TEST(Error, HasAPlainSentenceForEachErrcOfOurs) {
    for (int value = 1; value <= static_cast<int>(Errc::closed); ++value) {
        Error error(static_cast<Errc>(value));
        EXPECT_FALSE(error.text().empty()) << value;
        EXPECT_FALSE(name(static_cast<Errc>(value)).empty()) << value;
    }
    EXPECT_EQ(name(Errc::timed_out), "timed_out");
    EXPECT_EQ(name(Errc::closed), "closed");
    EXPECT_EQ(name(static_cast<Errc>(99)), "");
    EXPECT_EQ(Error(static_cast<Errc>(99)).text(), "");
    EXPECT_EQ(Error(BankErrc::frozen).text(), "");
}

TEST(Error, CarriesACause) {
    Error cause(Errc::timed_out);
    Error error = Error(BankErrc::frozen, "audit did not answer").with_cause(cause);
    ASSERT_NE(error.cause(), nullptr);
    EXPECT_TRUE(*error.cause() == Errc::timed_out);
    EXPECT_EQ(error.text(), "audit did not answer");
    EXPECT_TRUE(error == BankErrc::frozen);
}

TEST(Error, DoesNotChangeItsCopiesWhenGivenACause) {
    Error plain(BankErrc::frozen, "by the court");
    Error caused = plain.with_cause(Error(Errc::timed_out));
    EXPECT_EQ(plain.cause(), nullptr);
    EXPECT_NE(caused.cause(), nullptr);
    EXPECT_EQ(caused.where().line(), plain.where().line());
}

TEST(Error, DescribesItselfInOneLine) {
    EXPECT_THAT(Error(BankErrc::insufficient_funds, "only 3 left").message(),
                MatchesRegex("only 3 left \\(bank::BankErrc 1 at base/error_test.cpp:[0-9]+\\)"));
    EXPECT_THAT(Error(BankErrc::frozen).message(),
                MatchesRegex("bank::BankErrc 2 at base/error_test.cpp:[0-9]+"));
    EXPECT_THAT(Error(Errc::closed).message(), HasSubstr("has closed (Errc::closed at base/"));
    Error chain = Error(BankErrc::frozen, "no audit")
                      .with_cause(Error(Errc::failed, "disk").with_cause(Error(Errc::closed)));
    EXPECT_THAT(chain.message(), HasSubstr("; caused by: disk (Errc::failed"));
    EXPECT_THAT(chain.message(), HasSubstr("; caused by: the other side has closed"));
}

std::expected<int, Error> withdraw(int amount) {
    if (amount > 100) return error(BankErrc::insufficient_funds, "only 100 left");
    if (amount < 0) return std::unexpected(BankErrc::frozen);
    return amount;
}

TEST(Error, IsReturnedThroughError) {
    auto refused = withdraw(200);
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error() == BankErrc::insufficient_funds);
    EXPECT_EQ(refused.error().text(), "only 100 left");
    EXPECT_TRUE(withdraw(-1).error() == BankErrc::frozen);
    EXPECT_EQ(withdraw(5).value(), 5);
}

}  // namespace
}  // namespace troupe

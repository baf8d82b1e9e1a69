#include <troupe/http/cookies.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;

Request with(std::initializer_list<const char*> lines) {
    Request request;
    for (const char* line : lines)
        request.add_header("Cookie", line);
    return request;
}

TEST(Cookies, AreReadAsBrowsersSendThem) {
    const Request request = with({"a=1; b=two=2; a=3", "c=\"quoted\";  d =  x y ;e="});
    EXPECT_EQ(cookie(request, "a"), "1") << "the first one counts";
    EXPECT_EQ(cookie(request, "b"), "two=2");
    EXPECT_EQ(cookie(request, "c"), "\"quoted\"");
    EXPECT_EQ(cookie(request, "d"), "x y");
    EXPECT_EQ(cookie(request, "e"), "");
    EXPECT_EQ(cookie(request, "A"), std::nullopt) << "letters are as they are";
    EXPECT_EQ(cookies(request).size(), 6u);
    EXPECT_EQ(cookie(Request(), "a"), std::nullopt);
}

TEST(Cookies, AreReadFromNonsenseWithoutHarm) {
    EXPECT_TRUE(cookies(with({"", ";", ";;=;", "alone", "=x", " ; = ; "})).empty());
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "c" + std::to_string(i) + "=1;";
    EXPECT_EQ(cookies(with({many.c_str()})).size(), 100u);
}

TEST(SetCookie, IsForThisSiteAloneUnlessSaid) {
    EXPECT_EQ(SetCookie("a", "b").text(), "a=b; Path=/; Secure; HttpOnly; SameSite=Lax");
    EXPECT_EQ(SetCookie("a", "")
                  .path("/x")
                  .domain("example.org")
                  .max_age(90s)
                  .secure(false)
                  .http_only(false)
                  .same_site(SameSite::strict)
                  .text(),
              "a=; Path=/x; Domain=example.org; Max-Age=90; SameSite=Strict");
    EXPECT_EQ(SetCookie::removal("a").text(),
              "a=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    EXPECT_EQ(SetCookie("a", "b").max_age(-5s).same_site(SameSite::none).text(),
              "a=b; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None");
}

TEST(SetCookie, CannotHoldASecondLineOrAttribute) {
    for (const char* value :
         {"a;b", "a b", "a,b", "a\"b", "a\\b", "a\r\nSet-Cookie: c=d", "\x7f", "\xc3\xa4"}) {
        EXPECT_FALSE(SetCookie("n", value).text().has_value()) << value;
    }
    for (const char* name : {"", "a b", "a=b", "a;b", "a\r\n", "\xc3\xa4", "a\"", "a@b"}) {
        EXPECT_FALSE(SetCookie(name, "v").text().has_value()) << name;
    }
    EXPECT_FALSE(SetCookie("n", "v").path("/; Domain=evil").text().has_value());
    EXPECT_FALSE(SetCookie("n", "v").path("relative").text().has_value());
    EXPECT_FALSE(SetCookie("n", "v").domain("a\r\nb").text().has_value());
    EXPECT_FALSE(SetCookie("n", std::string(4096, 'x')).text().has_value());
    EXPECT_TRUE(SetCookie("n", std::string(4095, 'x')).text().has_value());
}

TEST(SetCookie, KeepsWhatItsNamePromises) {
    EXPECT_TRUE(SetCookie("__Host-a", "b").text().has_value());
    EXPECT_FALSE(SetCookie("__Host-a", "b").secure(false).text().has_value());
    EXPECT_FALSE(SetCookie("__host-a", "b").domain("example.org").text().has_value());
    EXPECT_FALSE(SetCookie("__Host-a", "b").path("/x").text().has_value());
    EXPECT_FALSE(SetCookie("__Secure-a", "b").secure(false).text().has_value());
    EXPECT_TRUE(SetCookie("__Secure-a", "b").path("/x").text().has_value());
    EXPECT_FALSE(SetCookie("a", "b").same_site(SameSite::none).secure(false).text().has_value());
    const Result<std::string> refused = SetCookie("__Host-a", "b").path("/x").text();
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().text().find("\"__Host-a\" has a domain or a path"),
              std::string::npos);
}

TEST(SetCookie, IsALineOfTheResponse) {
    Response response;
    EXPECT_TRUE(set_cookie(response, SetCookie("a", "1")).has_value());
    EXPECT_FALSE(set_cookie(response, SetCookie("b", "x y")).has_value());
    EXPECT_TRUE(set_cookie(response, SetCookie("c", "2")).has_value());
    EXPECT_EQ(response.header_lines(),
              "Set-Cookie: a=1; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"
              "Set-Cookie: c=2; Path=/; Secure; HttpOnly; SameSite=Lax\r\n");
}

TEST(CookieSigner, BelievesWhatItHasSignedAndNothingElse) {
    const std::string key(32, 'k');
    const auto signer = CookieSigner::make({key});
    ASSERT_TRUE(signer.has_value());
    const std::string text = signer->sign("user", "ann.1");
    EXPECT_TRUE(SetCookie("user", text).text().has_value()) << text;
    EXPECT_EQ(signer->verify("user", text), "ann.1");
    EXPECT_EQ(signer->verify("role", text), std::nullopt) << "of another name";
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string other = text;
        other[i] = other[i] == 'x' ? 'y' : 'x';
        EXPECT_EQ(signer->verify("user", other), std::nullopt) << i;
    }
    for (const char* nonsense : {"", ".", "ann.1", "ann.1."}) {
        EXPECT_EQ(signer->verify("user", nonsense), std::nullopt);
    }
    EXPECT_EQ(signer->verify("user", signer->sign("user", "")), "");

    const auto next = CookieSigner::make({std::string(32, 'n'), key});
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->verify("user", text), "ann.1") << "the old key is believed still";
    EXPECT_EQ(signer->verify("user", next->sign("user", "a")), std::nullopt);
    EXPECT_FALSE(CookieSigner::make({}).has_value());
    EXPECT_FALSE(CookieSigner::make({"short"}).has_value());
}

}  // namespace
}  // namespace troupe::http

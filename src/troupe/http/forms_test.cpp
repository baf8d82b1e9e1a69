#include <troupe/http/forms.hpp>
#include <troupe/http/response.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

Request with(const char* type, std::string body) {
    Request request;
    request.method = "POST";
    request.body = std::move(body);
    request.add_header("Content-Type", type);
    return request;
}

TEST(Form, HasTheFieldsDecoded) {
    const auto form = http::form(with("Application/x-www-form-urlencoded; charset=utf-8",
                                      "name=Ann+B%C3%B6hm&x=1&&x=2&flag&=empty&a%26b=c%3Dd%"));
    ASSERT_TRUE(form.has_value());
    EXPECT_EQ(form->find("name"), "Ann B\xc3\xb6hm");
    EXPECT_EQ(form->find("x"), "1");
    EXPECT_EQ(form->find("flag"), "");
    EXPECT_EQ(form->find(""), "empty");
    EXPECT_EQ(form->find("a&b"), "c=d%");
    EXPECT_EQ(form->find("Name"), std::nullopt) << "letters are as they are";
    ASSERT_EQ(form->size(), 6u);
    EXPECT_EQ(form->at(2).value, "2");
}

TEST(Form, IsRefusedAsWhatItIs) {
    for (const char* type : {"", "text/plain", "multipart/form-data; boundary=x",
                             "application/x-www-form-urlencodedx"}) {
        const auto form = http::form(with(type, "a=b"));
        ASSERT_FALSE(form.has_value()) << type;
        EXPECT_EQ(form.error(), FormErrc::wrong_type);
        EXPECT_EQ(from(form.error()).status(), 415);
    }
    EXPECT_TRUE(parse_form("a&b&c", 3).has_value());
    const auto large = parse_form("a&b&c&d", 3);
    ASSERT_FALSE(large.has_value());
    EXPECT_EQ(large.error(), FormErrc::too_large);
    EXPECT_EQ(from(large.error()).status(), 413);
    EXPECT_EQ(parse_form("")->size(), 0u);
}

}  // namespace
}  // namespace troupe::http

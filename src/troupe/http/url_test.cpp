#include <troupe/http/url.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

TEST(Url, RefusesWhatCouldMeanTwoServers) {
    for (const char* text : {"",
                             "example.com",
                             "example.com/x",
                             "/x",
                             "http:/example.com",
                             "ftp://example.com/",
                             "http://",
                             "http:///x",
                             "http://?x",
                             "http://:80/",
                             "http://user@example.com/",
                             "http://user:secret@example.com/",
                             "http://example.com:0/",
                             "http://example.com:65536/",
                             "http://example.com:80x/",
                             "http://example.com:-1/",
                             "http://example.com: 80/",
                             "http://exa mple.com/",
                             "http://example.com/a b",
                             "http://example.com/\r\nX: y",
                             "http://example.com/\x7f",
                             "http://ex\xc3\xa4mple.com/",
                             "http://example.com/\xc3\xa4",
                             "http://exam%70le.com/",
                             "http://example,com/",
                             "http://[::1/",
                             "http://[::1]80/",
                             "http://[x]/",
                             "http://[]/",
                             "http://a\\b/",
                             "http://example.com/<x>"}) {
        const Result<Url> url = Url::parse(text);
        ASSERT_FALSE(url.has_value()) << text;
        EXPECT_EQ(url.error(), ClientErrc::bad_url) << text;
    }
}

TEST(Url, SaysWhereItGoesWrong) {
    EXPECT_EQ(Url::parse("http://a/b c").error().text(),
              "'http://a/b c' is no address for a client: the character at 10 must be "
              "percent-encoded");
    EXPECT_EQ(Url::parse("http://a:x/").error().text(),
              "'http://a:x/' is no address for a client: the port is no number from 1 to 65535");
    const Result<Url> large = Url::parse("http://a/" + std::string(9000, 'x'));
    ASSERT_FALSE(large.has_value());
    EXPECT_LT(large.error().text().size(), 250u) << "what is too long is not repeated in full";
}

TEST(Url, KnowsThatHttpsIsSomethingElse) {
    for (const char* text :
         {"https://example.com/", "HTTPS://example.com", "https://example.com:443"}) {
        const Result<Url> url = Url::parse(text);
        ASSERT_TRUE(url.has_value()) << url.error().message();
        EXPECT_TRUE(url->secure);
        EXPECT_EQ(url->port, 443);
        EXPECT_EQ(url->text(), "https://example.com/");
        EXPECT_EQ(url->resolve("//other/x")->text(), "https://other/x");
        EXPECT_EQ(url->resolve("y")->text(), "https://example.com/y");
        EXPECT_EQ(url->resolve("http://example.com/")->text(), "http://example.com/");
    }
    EXPECT_EQ(Url::parse("https://a:80/")->origin(), "https://a:80");
    EXPECT_EQ(Url::parse("http://a:443/")->origin(), "http://a:443");
}

struct Parts {
    const char* text;
    const char* host;
    std::uint16_t port;
    const char* target;
};

TEST(Url, IsTakenApart) {
    for (const Parts& parts : {
             Parts{"http://example.com", "example.com", 80, "/"},
             Parts{"HTTP://Example.COM/Path", "example.com", 80, "/Path"},
             Parts{"http://a:8080/x?y=1&z=%20#here", "a", 8080, "/x?y=1&z=%20"},
             Parts{"http://a:/x", "a", 80, "/x"},
             Parts{"http://a?x", "a", 80, "/?x"},
             Parts{"http://a#x", "a", 80, "/"},
             Parts{"http://127.0.0.1:1/", "127.0.0.1", 1, "/"},
             Parts{"http://[::1]:65535/x", "::1", 65535, "/x"},
             Parts{"http://[2001:DB8::1]", "2001:db8::1", 80, "/"},
             Parts{"http://a/x@y:z", "a", 80, "/x@y:z"},
             Parts{"http://a_b-c.d/", "a_b-c.d", 80, "/"},
         }) {
        const Result<Url> url = Url::parse(parts.text);
        ASSERT_TRUE(url.has_value()) << parts.text << ": " << url.error().message();
        EXPECT_EQ(url->host, parts.host) << parts.text;
        EXPECT_EQ(url->port, parts.port) << parts.text;
        EXPECT_EQ(url->target, parts.target) << parts.text;
    }
}

TEST(Url, IsWrittenAsItIsRead) {
    for (const char* text : {"http://a/", "http://a:8080/x?y", "http://[::1]:1/"}) {
        const Result<Url> url = Url::parse(text);
        ASSERT_TRUE(url.has_value());
        EXPECT_EQ(url->text(), text);
    }
    EXPECT_EQ(Url::parse("http://a:80")->authority(), "a");
    EXPECT_EQ(Url::parse("http://[::1]:81/")->authority(), "[::1]:81");
}

TEST(Url, ResolvesReferencesAsRfc3986Does) {
    const Url base = *Url::parse("http://a:8080/b/c/d?q");
    for (const auto& [reference, expected] : {
             std::pair("g", "http://a:8080/b/c/g"),
             std::pair("./g", "http://a:8080/b/c/g"),
             std::pair("g/", "http://a:8080/b/c/g/"),
             std::pair("/g", "http://a:8080/g"),
             std::pair("//g", "http://g/"),
             std::pair("//g:81/h", "http://g:81/h"),
             std::pair("?y", "http://a:8080/b/c/d?y"),
             std::pair("g?y", "http://a:8080/b/c/g?y"),
             std::pair("#s", "http://a:8080/b/c/d?q"),
             std::pair("g#s", "http://a:8080/b/c/g"),
             std::pair("", "http://a:8080/b/c/d?q"),
             std::pair(".", "http://a:8080/b/c/"),
             std::pair("..", "http://a:8080/b/"),
             std::pair("../g", "http://a:8080/b/g"),
             std::pair("../../g", "http://a:8080/g"),
             std::pair("../../../g", "http://a:8080/g"),
             std::pair("/./g/../h", "http://a:8080/h"),
             std::pair("..g", "http://a:8080/b/c/..g"),
             std::pair("g;x=1/../y", "http://a:8080/b/c/y"),
             std::pair("http://x/y", "http://x/y"),
         }) {
        const Result<Url> url = base.resolve(reference);
        ASSERT_TRUE(url.has_value()) << reference << ": " << url.error().message();
        EXPECT_EQ(url->text(), expected) << reference;
    }
    EXPECT_EQ(base.resolve("https://x/")->text(), "https://x/");
    EXPECT_EQ(base.resolve("mailto:x").error(), ClientErrc::bad_url);
    EXPECT_EQ(base.resolve("/a b").error(), ClientErrc::bad_url);
}

}  // namespace
}  // namespace troupe::http

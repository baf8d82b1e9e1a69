#include <troupe/io/ip_address.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

IpAddress ip(std::string_view text) {
    const auto address = IpAddress::parse(text);
    EXPECT_TRUE(address.has_value()) << text;
    return address.value_or(IpAddress());
}

TEST(IpAddress, RefusesWhatIsNoAddressInNumbers) {
    for (const std::string text :
         {"", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "1.2.3.256", "01.2.3.4x", "[::1]",
          "::1%eth0", "1::2::3", ":", "1.2.3.4:80", "12345::", "::ffff:1.2.3.4.5.6.7.8.9.10.11.12"})
        EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
    EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)).has_value());
}

TEST(IpAddress, WritesWhatItHasRead) {
    for (const std::string text : {"127.0.0.1", "255.255.255.255", "::1", "2001:db8::1:2", "::"})
        EXPECT_EQ(to_string(ip(text)), text);
    EXPECT_EQ(to_string(IpAddress()), "");
    EXPECT_EQ(ip("::ffff:1.2.3.4"), ip("1.2.3.4")) << "one host, one address";
}

TEST(IpAddress, GroupsIpv6ByThe64FirstBits) {
    EXPECT_EQ(ip("2001:db8:1:2:3::4").group(), ip("2001:db8:1:2:ffff::").group());
    EXPECT_NE(ip("2001:db8:1:2::").group(), ip("2001:db8:1:3::").group());
    EXPECT_NE(ip("1.2.3.4").group(), ip("1.2.3.5").group());
    EXPECT_NE(ip("0.0.0.0").hash(), ip("::").hash());
}

TEST(IpNetworks, ContainWhatTheirListSays) {
    const auto some = IpNetworks::parse("127.0.0.1, 10.16.0.0/12,fd00::/8 192.168.1.77/24");
    ASSERT_TRUE(some.has_value()) << some.error().message();
    for (const std::string text : {"127.0.0.1", "10.16.0.1", "10.31.255.255", "fd12::1",
                                   "192.168.1.200", "::ffff:10.17.0.0"})
        EXPECT_TRUE(some->contains(ip(text))) << text;
    for (const std::string text : {"127.0.0.2", "10.32.0.0", "10.15.255.255", "fe00::", "::1"})
        EXPECT_FALSE(some->contains(ip(text))) << text;
    EXPECT_FALSE(some->contains(IpAddress())) << "a Unix socket is named by itself";
    EXPECT_TRUE(IpNetworks::parse("unix").value_or(IpNetworks()).contains(IpAddress()));
    EXPECT_TRUE(IpNetworks::parse("0.0.0.0/0").value_or(IpNetworks()).contains(ip("1.2.3.4")));
    EXPECT_FALSE(IpNetworks::parse("0.0.0.0/0").value_or(IpNetworks()).contains(ip("::1")));
}

TEST(IpNetworks, SayWhichPartIsNone) {
    EXPECT_TRUE(IpNetworks::parse(" ,").value_or(IpNetworks()).empty());
    for (const std::string text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8x", "proxy",
                                   "10.0.0.0/-1", "/8", "10.0.0.0/8/8"}) {
        const auto networks = IpNetworks::parse("127.0.0.1 " + text);
        ASSERT_FALSE(networks.has_value()) << text;
        EXPECT_NE(networks.error().text().find("'" + text + "'"), std::string::npos);
    }
}

}  // namespace
}  // namespace troupe

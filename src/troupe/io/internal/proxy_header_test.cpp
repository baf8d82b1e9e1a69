#include <troupe/base/random.hpp>
#include <troupe/io/internal/proxy_header.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::io_internal {
namespace {

using Status = ProxyHeader::Status;
using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(unsigned command, unsigned family, const std::string& rest) {
    std::string bytes = kSignature;
    bytes += static_cast<char>(command);
    bytes += static_cast<char>(family);
    bytes += static_cast<char>(rest.size() >> 8U);
    bytes += static_cast<char>(rest.size() & 0xFFU);
    return bytes + rest;
}

const std::string kIpv4 = "\x01\x02\x03\x04\x0A\0\0\x01\x12\x34\0\x50"s;
const std::string kIpv6 = "\x20\x01\x0D\xB8"s + std::string(11, '\0') + "\x07"s +
                          std::string(15, '\0') + "\x01\x12\x34\0\x50"s;

/// A header and what is to be made of it: "" names nobody.
const std::vector<std::pair<std::string, std::string>> kGood = {
    {binary(0x21, 0x11, kIpv4), "1.2.3.4:4660"},
    {binary(0x21, 0x11, kIpv4 + "\x03\0\x04\x01\x02\x03\x04"s), "1.2.3.4:4660"},
    {binary(0x21, 0x21, kIpv6), "[2001:db8::7]:4660"},
    {binary(0x20, 0x11, kIpv4), ""},
    {binary(0x20, 0, ""), ""},
    {binary(0x21, 0, ""), ""},
    {binary(0x21, 0x31, std::string(216, 'x')), ""},
    {"PROXY TCP4 1.2.3.4 10.0.0.1 4660 80\r\n", "1.2.3.4:4660"},
    {"PROXY TCP6 2001:db8::7 ::1 4660 80\r\n", "[2001:db8::7]:4660"},
    {"PROXY UNKNOWN\r\n", ""},
    {"PROXY UNKNOWN ffff:f...f ffff:f...f 65535 65535\r\n", ""},
};

const std::vector<std::string> kBad = {
    "GET / HTTP/1.1\r\n",
    "X",
    "PROXX",
    "\r\n\r\nX",
    binary(0x11, 0x11, kIpv4),
    binary(0x22, 0x11, kIpv4),
    binary(0x21, 0x11, kIpv4.substr(1)),
    binary(0x21, 0x21, kIpv4),
    binary(0x21, 0x11, std::string(5000, 'x')),
    "PROXY TCP4 1.2.3.4 10.0.0.1 4660\r\n",
    "PROXY TCP4 1.2.3.4 10.0.0.1 4660 80 \r\n",
    "PROXY TCP4  1.2.3.4 10.0.0.1 4660 80\r\n",
    "PROXY TCP4 1.2.3.4 10.0.0.1 4660 65536\r\n",
    "PROXY TCP4 1.2.3.4 10.0.0.1 04660 80\r\n",
    "PROXY TCP4 1.2.3.4 10.0.0.1 -1 80\r\n",
    "PROXY TCP4 ::1 ::1 4660 80\r\n",
    "PROXY UDP4 1.2.3.4 10.0.0.1 4660 80\r\n",
    "PROXY tcp4 1.2.3.4 10.0.0.1 4660 80\r\n",
    "PROXY TCP4 1.2.3.4 10.0.0.1 4660 80\rX",
    "PROXY " + std::string(110, 'x'),
    "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",
};

TEST(ProxyHeader, NamesWhoIsBehindTheProxyHoweverItIsCut) {
    for (const auto& [bytes, source] : kGood) {
        const std::string all = bytes + "GET / HTTP/1.1\r\n";
        for (std::size_t here = 0; here <= all.size(); ++here) {
            const ProxyHeader header = parse_proxy_header(all.substr(0, here));
            if (here < bytes.size()) {
                ASSERT_EQ(header.status, Status::need_more) << bytes << " at " << here;
                continue;
            }
            ASSERT_EQ(header.status, Status::done) << bytes;
            EXPECT_EQ(header.bytes, bytes.size());
            EXPECT_EQ(header.source ? to_string(*header.source) : "", source);
        }
    }
}

TEST(ProxyHeader, RefusesWhatIsMalformedAndSaysWhy) {
    for (const std::string& bytes : kBad) {
        const ProxyHeader header = parse_proxy_header(bytes);
        EXPECT_EQ(header.status, Status::refused) << bytes;
        EXPECT_NE(header.problem, "") << bytes;
        for (std::size_t here = 0; here < bytes.size(); ++here)
            EXPECT_NE(parse_proxy_header(bytes.substr(0, here)).status, Status::done) << bytes;
    }
}

TEST(ProxyHeader, NeverChangesItsMindAsMoreComes) {
    Random random(4711);
    for (int run = 0; run < 20'000; ++run) {
        std::string bytes = kGood[random.below(kGood.size())].first + "rest";
        for (std::uint64_t i = random.below(4); i != 0; --i)
            bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
        Status last = Status::need_more;
        for (std::size_t here = 0; here <= bytes.size(); ++here) {
            const ProxyHeader header = parse_proxy_header(bytes.substr(0, here));
            if (last != Status::need_more) {
                ASSERT_EQ(header.status, last) << run;
            }
            ASSERT_LE(header.bytes, here);
            last = header.status;
        }
    }
}

}  // namespace
}  // namespace troupe::io_internal

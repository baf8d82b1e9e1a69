// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

#include <troupe/io/internal/proxy_header.hpp>
#include <troupe/io/ip_address.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace troupe::io_internal {

namespace {

using Status = ProxyHeader::Status;

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kFixedBytes = 16;  // of version 2, before the addresses
constexpr std::string_view kWord = "PROXY ";
constexpr std::size_t kLineMax = 107;  // of version 1, with its end

ProxyHeader refused(std::string_view problem) {
    ProxyHeader header;
    header.status = Status::refused;
    header.problem = problem;
    return header;
}

unsigned byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

unsigned number_at(std::string_view bytes, std::size_t at) {
    return byte_at(bytes, at) << 8U | byte_at(bytes, at + 1);
}

template <std::size_t N>
std::array<std::uint8_t, N> bytes_at(std::string_view bytes, std::size_t at) {
    std::array<std::uint8_t, N> out{};
    for (std::size_t i = 0; i < N; ++i)
        out[i] = static_cast<std::uint8_t>(byte_at(bytes, at + i));
    return out;
}

ProxyHeader binary(std::string_view bytes) {
    // What is here of the first four decides before the rest is.
    constexpr unsigned kLocal = 0x20;
    constexpr unsigned kProxied = 0x21;
    const std::size_t at = kSignature.size();
    if (bytes.size() > at && byte_at(bytes, at) != kLocal && byte_at(bytes, at) != kProxied) {
        return refused("its version or command is unknown");
    }
    if (bytes.size() < kFixedBytes) return ProxyHeader();
    const std::size_t length = number_at(bytes, at + 2);
    if (kFixedBytes + length > kProxyHeaderMax) return refused("it is too long");
    const unsigned family = byte_at(bytes, at + 1);
    constexpr unsigned kTcp4 = 0x11;
    constexpr unsigned kTcp6 = 0x21;
    const bool proxied = byte_at(bytes, at) == kProxied;
    // Families of others (unspecified, Unix sockets) name nobody we could, and are skipped.
    if (proxied && family == kTcp4 && length < 12) return refused("its addresses are cut off");
    if (proxied && family == kTcp6 && length < 36) return refused("its addresses are cut off");
    if (bytes.size() < kFixedBytes + length) return ProxyHeader();

    ProxyHeader header;
    header.status = Status::done;
    header.bytes = kFixedBytes + length;
    if (!proxied) return header;
    if (family == kTcp4) {
        header.source = Endpoint(to_string(IpAddress::v4(bytes_at<4>(bytes, kFixedBytes))),
                                 static_cast<std::uint16_t>(number_at(bytes, kFixedBytes + 8)));
    } else if (family == kTcp6) {
        header.source = Endpoint(to_string(IpAddress::v6(bytes_at<16>(bytes, kFixedBytes))),
                                 static_cast<std::uint16_t>(number_at(bytes, kFixedBytes + 32)));
    }
    return header;
}

/// Up to the next space, which goes with it.
std::string_view next_word(std::string_view& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    return word;
}

std::optional<std::uint16_t> port_of(std::string_view word) {
    std::uint16_t port = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), port);
    const bool whole = read.ec == std::errc() && read.ptr == word.data() + word.size();
    const bool leading_zero = word.size() > 1 && word.front() == '0';
    return whole && !leading_zero ? std::optional(port) : std::nullopt;
}

ProxyHeader text(std::string_view bytes) {
    const std::string_view start = bytes.substr(0, kLineMax);
    const std::size_t end = start.find('\r');
    if (end == std::string_view::npos) {
        return bytes.size() < kLineMax ? ProxyHeader() : refused("its line is too long");
    }
    if (end + 2 > kLineMax) return refused("its line is too long");
    if (bytes.size() == end + 1) return ProxyHeader();
    if (bytes[end + 1] != '\n') return refused("its line has no proper end");

    ProxyHeader header;
    header.status = Status::done;
    header.bytes = end + 2;
    std::string_view line = start.substr(kWord.size(), end - kWord.size());
    const std::string_view family = next_word(line);
    if (family == "UNKNOWN") return header;
    if (family != "TCP4" && family != "TCP6") return refused("its family is unknown");
    const std::optional<IpAddress> source = IpAddress::parse(next_word(line));
    const std::optional<IpAddress> destination = IpAddress::parse(next_word(line));
    const std::optional<std::uint16_t> source_port = port_of(next_word(line));
    const std::optional<std::uint16_t> destination_port = port_of(line);
    if (!source || !destination || !source_port || !destination_port) {
        return refused("its addresses are malformed");
    }
    const bool fits = family == "TCP6" || source->kind() == IpAddress::Kind::v4;
    if (!fits) return refused("its addresses are of another family");
    header.source = Endpoint(to_string(*source), *source_port);
    return header;
}

bool begins(std::string_view bytes, std::string_view expected) {
    const std::size_t common = std::min(bytes.size(), expected.size());
    return bytes.substr(0, common) == expected.substr(0, common);
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
    if (begins(bytes, kSignature)) {
        return bytes.size() < kSignature.size() ? ProxyHeader() : binary(bytes);
    }
    if (begins(bytes, kWord)) return bytes.size() < kWord.size() ? ProxyHeader() : text(bytes);
    return refused("there is none");
}

}  // namespace troupe::io_internal

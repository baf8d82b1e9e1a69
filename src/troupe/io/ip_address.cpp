#include <troupe/base/error.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/io/ip_address.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace troupe {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

unsigned bits_of(IpAddress::Kind kind) {
    return kind == IpAddress::Kind::v4 ? 32 : 128;
}

}  // namespace

IpAddress IpAddress::v4(const std::array<std::uint8_t, 4>& bytes) {
    IpAddress address;
    address.kind_ = Kind::v4;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
    if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
        return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
    }
    IpAddress address;
    address.kind_ = Kind::v6;
    address.bytes_ = bytes;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN] = {};
    if (text.empty() || text.size() >= sizeof terminated) return std::nullopt;
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    std::memcpy(terminated, text.data(), text.size());
    std::array<std::uint8_t, 16> bytes{};
    if (text.find(':') != std::string_view::npos) {
        if (::inet_pton(AF_INET6, terminated, bytes.data()) != 1) return std::nullopt;
        return v6(bytes);
    }
    if (::inet_pton(AF_INET, terminated, bytes.data()) != 1) return std::nullopt;
    return v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

IpAddress IpAddress::prefix(unsigned bits) const {
    IpAddress address = *this;
    for (unsigned i = 0; i < address.bytes_.size(); ++i) {
        const unsigned kept = std::min(8U, bits > i * 8 ? bits - i * 8 : 0U);
        address.bytes_[i] = static_cast<std::uint8_t>(address.bytes_[i] & (0xFF00U >> kept));
    }
    return address;
}

std::size_t IpAddress::hash() const {
    std::array<std::uint64_t, 2> halves{};
    std::memcpy(halves.data(), bytes_.data(), sizeof halves);
    return static_cast<std::size_t>(
        mix_64(mix_64(halves[0] ^ static_cast<std::uint64_t>(kind_)) ^ halves[1]));
}

std::string to_string(const IpAddress& address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.kind_ == IpAddress::Kind::v4) {
        ::inet_ntop(AF_INET, address.bytes_.data(), text, sizeof text);
    } else if (address.kind_ == IpAddress::Kind::v6) {
        ::inet_ntop(AF_INET6, address.bytes_.data(), text, sizeof text);
    }
    return text;
}

Result<IpNetworks> IpNetworks::parse(std::string_view list) {
    constexpr std::string_view kBetween = ", \t";
    IpNetworks networks;
    while (true) {
        list.remove_prefix(std::min(list.find_first_not_of(kBetween), list.size()));
        if (list.empty()) return networks;
        const std::string_view part = list.substr(0, list.find_first_of(kBetween));
        list.remove_prefix(part.size());
        if (part == "unix") {
            networks.unix_ = true;
            continue;
        }
        const std::size_t slash = part.find('/');
        const std::optional<IpAddress> address = IpAddress::parse(part.substr(0, slash));
        unsigned bits = address ? bits_of(address->kind()) : 0;
        bool good = address.has_value();
        if (good && slash != std::string_view::npos) {
            const std::string_view number = part.substr(slash + 1);
            const unsigned most = bits;
            const auto read = std::from_chars(number.data(), number.data() + number.size(), bits);
            good =
                read.ec == std::errc() && read.ptr == number.data() + number.size() && bits <= most;
        }
        if (!good) {
            return error(Errc::failed, "'" + std::string(part) +
                                           "' is no network: write 10.0.0.0/8, fd00::/8, an "
                                           "address in numbers, or unix");
        }
        networks.networks_.push_back({address->prefix(bits), bits});
    }
}

bool IpNetworks::contains(const IpAddress& address) const {
    if (address.empty()) return unix_;
    return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
        return network.address.kind() == address.kind() &&
               address.prefix(network.bits) == network.address;
    });
}

}  // namespace troupe

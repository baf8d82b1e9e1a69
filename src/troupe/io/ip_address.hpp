#pragma once

/// Addresses as numbers, to be compared and grouped: who is trusted, whose requests count together.

#include <troupe/base/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// An IPv4 or IPv6 address, or none. A plain value; an IPv4 address that IPv6 wraps
/// (::ffff:1.2.3.4) is the IPv4 address.
class IpAddress {
public:
    enum class Kind : std::uint8_t { none, v4, v6 };

    IpAddress() = default;
    static IpAddress v4(const std::array<std::uint8_t, 4>& bytes);
    static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
    /// In numbers, without brackets, port or zone; nullopt for anything else.
    static std::optional<IpAddress> parse(std::string_view text);

    Kind kind() const { return kind_; }
    bool empty() const { return kind_ == Kind::none; }
    /// With all but the first so many bits zero.
    IpAddress prefix(unsigned bits) const;
    /// Those who may well be one and the same: an IPv4 address by itself, of IPv6 the /64, which is
    /// the least that a provider gives to anybody.
    IpAddress group() const { return kind_ == Kind::v6 ? prefix(64) : *this; }

    friend bool operator==(const IpAddress&, const IpAddress&) = default;

    /// For hash tables.
    std::size_t hash() const;

private:
    friend std::string to_string(const IpAddress& address);

    std::array<std::uint8_t, 16> bytes_{};  // of v4 the first four
    Kind kind_ = Kind::none;
};

/// "127.0.0.1", "::1"; empty for none.
std::string to_string(const IpAddress& address);

/// A set of addresses, such as those of the proxies one trusts. Empty unless said otherwise.
class IpNetworks {
public:
    IpNetworks() = default;

    /// "127.0.0.1, 10.0.0.0/8, fd00::/8, unix": networks or addresses with commas or spaces in
    /// between; "unix" means whoever comes over a Unix socket.
    ///
    /// Errors: failed, which names the part that is neither.
    static Result<IpNetworks> parse(std::string_view list);

    bool empty() const { return networks_.empty() && !unix_; }
    /// No address is what those over a Unix socket have.
    bool contains(const IpAddress& address) const;

private:
    struct Network {
        IpAddress address;
        unsigned bits;
    };
    std::vector<Network> networks_;
    bool unix_ = false;
};

}  // namespace troupe

template <>
struct std::hash<troupe::IpAddress> {
    std::size_t operator()(const troupe::IpAddress& address) const { return address.hash(); }
};

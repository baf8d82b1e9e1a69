#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/internal/memory_network.hpp>
#include <troupe/io/internal/socket_address.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/simulated_engine.hpp>
#include <troupe/task/sleep.hpp>

#include <netdb.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace troupe {

namespace {

using Addresses = std::vector<std::string>;

constexpr std::size_t kNameBytesMax = 253;  // of a name in the DNS

std::unexpected<Error> unknown(const std::string& host, const std::string& why) {
    return error(Errc::not_found, "no address is known for the host '" + host + "': " + why);
}

/// The names of a deterministic engine.
class HostTable final : public EngineService {
public:
    explicit HostTable(Engine&) noexcept {}

    void set(std::string host, Addresses addresses) {
        hosts_.insert_or_assign(std::move(host), std::move(addresses));
    }
    Result<Addresses> find(const std::string& host) const {
        const auto it = hosts_.find(host);
        if (it != hosts_.end() && !it->second.empty()) return it->second;
        return unknown(host, "tell the deterministic engine with set_host_addresses");
    }

private:
    std::map<std::string, Addresses> hosts_;
};

/// Asks the machine; takes as long as it takes.
Result<Addresses> look_up_blocking(const std::string& host) {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_ADDRCONFIG;  // no IPv6 address where there is no IPv6
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, [](addrinfo* list) {
        if (list != nullptr) ::freeaddrinfo(list);
    });
    if (failed == EAI_NONAME || failed == EAI_NODATA) return unknown(host, ::gai_strerror(failed));
    if (failed != 0) {
        return error(Errc::failed, "looking up the host '" + host + "': " + ::gai_strerror(failed));
    }
    Addresses addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        io_internal::SocketAddress address;
        if (one->ai_family == AF_INET) {
            address.v4 = *reinterpret_cast<const sockaddr_in*>(one->ai_addr);
        } else if (one->ai_family == AF_INET6) {
            address.v6 = *reinterpret_cast<const sockaddr_in6*>(one->ai_addr);
        } else {
            continue;
        }
        addresses.push_back(io_internal::to_endpoint(address).host);
    }
    if (addresses.empty()) return unknown(host, "it has none that TCP can reach");
    return addresses;
}

/// All machines of a simulation ask the same servers.
HostTable& hosts_of(Engine& engine) {
    return static_cast<SimulatedEngine&>(engine).home().service<HostTable>();
}

Task<Result<Addresses>> look_up_simulated(Engine* engine, std::string host) {
    const NetworkConditions conditions = io_internal::network_conditions(*engine);
    if (conditions.lookup_latency_max > Duration::zero()) {
        constexpr std::uint64_t kLatencies = 4;  // few, for depth-first walks
        const auto chosen = static_cast<std::int64_t>(
            engine->choose(kLatencies, ChoiceKind::delay, "name lookup latency"));
        const Duration latency = conditions.lookup_latency_max * chosen / (kLatencies - 1);
        co_await or_return(co_await sleep(latency));
    }
    auto& simulated = static_cast<SimulatedEngine&>(*engine);
    if (simulated.happens(conditions.failed_lookups_per_thousand, "name lookup")) {
        co_return error(Errc::failed, "looking up the host '" + host + "': no server has answered");
    }
    co_return hosts_of(*engine).find(host);
}

Task<Result<Addresses>> resolve_on(Engine* engine, std::string host) {
    if (io_internal::to_address(Endpoint(host, 0))) co_return Addresses(1, host);
    if (host.empty() || host.size() > kNameBytesMax) {
        co_return unknown(host, "a name has 1 to 253 characters");
    }
    if (engine->deterministic()) co_return co_await look_up_simulated(engine, std::move(host));
    auto look_up = [host = std::move(host)] { return look_up_blocking(host); };
    Result<Result<Addresses>> looked_up = co_await offload(std::move(look_up));
    if (!looked_up) co_return std::unexpected(std::move(looked_up).error());
    co_return std::move(*looked_up);
}

}  // namespace

Task<Result<Addresses>> resolve(Engine& engine, std::string host) {
    return resolve_on(&engine, std::move(host));
}

void set_host_addresses(Engine& engine, std::string host, std::vector<std::string> addresses) {
    TROUPE_ASSERT(engine.deterministic(),
                  "only a deterministic engine can be told what a name stands for");
    hosts_of(engine).set(std::move(host), std::move(addresses));
}

}  // namespace troupe

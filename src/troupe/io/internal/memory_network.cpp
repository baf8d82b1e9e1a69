#include <troupe/base/error.hpp>
#include <troupe/io/internal/memory_network.hpp>

namespace troupe::io_internal {

Result<ListenerCore*> listen_in_memory(Engine&, const Endpoint&, const ListenOptions&) {
    return error(Errc::unreachable, "the deterministic engine has no network");
}

Task<Result<Stream>> connect_in_memory(Engine*, Endpoint, Duration) {
    co_return error(Errc::unreachable, "the deterministic engine has no network");
}

}  // namespace troupe::io_internal

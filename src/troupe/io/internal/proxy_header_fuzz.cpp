// Any bytes as what a proxy says first, version 1 or 2: all that there are, and every beginning of
// them. The first byte that is wrong decides, so no beginning may contradict the whole.

#include <troupe/base/assert.hpp>
#include <troupe/io/internal/proxy_header.hpp>
#include <troupe/io/ip_address.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

using troupe::IpAddress;
using troupe::io_internal::kProxyHeaderMax;
using troupe::io_internal::parse_proxy_header;
using troupe::io_internal::ProxyHeader;
using Status = ProxyHeader::Status;

void check_alone(const ProxyHeader& header, std::string_view bytes) {
    switch (header.status) {
        case Status::need_more:
            TROUPE_ASSERT(bytes.size() < kProxyHeaderMax, "no more is held than there may be");
            break;
        case Status::done:
            TROUPE_ASSERT(header.bytes > 0 && header.bytes <= bytes.size(), "a header is there");
            TROUPE_ASSERT(header.bytes <= kProxyHeaderMax, "and no longer than it may be");
            TROUPE_ASSERT(!header.source || IpAddress::parse(header.source->host),
                          "who is named has an address");
            break;
        case Status::refused:
            TROUPE_ASSERT(!header.problem.empty(), "a refusal says why");
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const ProxyHeader whole = parse_proxy_header(bytes);
    check_alone(whole, bytes);
    bool decided = false;
    for (std::size_t cut = 0; cut < size; ++cut) {
        const ProxyHeader part = parse_proxy_header(bytes.substr(0, cut));
        if (part.status == Status::need_more) {
            TROUPE_ASSERT(!decided, "what was decided stays so");
            continue;
        }
        decided = true;
        TROUPE_ASSERT(part.status == whole.status && part.bytes == whole.bytes &&
                          part.source == whole.source && part.problem == whole.problem,
                      "the cuts do not show");
    }
    return 0;
}

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

/// The digest that the WebSocket handshake is made with. It keeps no secret there: it only shows
/// that the other side speaks the protocol.
std::array<std::uint8_t, 20> sha1(std::string_view data);

/// With "=" at the end where the size asks for it.
std::string base64(std::string_view bytes);

/// How many bytes a text of base64 stands for; -1 when it is none.
int base64_size(std::string_view text) noexcept;

}  // namespace troupe::websocket_internal

#pragma once

#include <string_view>

namespace troupe::http_internal {

/// The media type that files of this name have, by what follows its last dot, in any letter case:
/// a literal. "application/octet-stream" for what is not known.
std::string_view media_type_of(std::string_view name);

/// What follows the last dot of a path's last segment; empty: nothing.
std::string_view extension_of(std::string_view path);

/// Whether a body of that type, which may have parameters, becomes smaller when it is compressed.
bool is_compressible(std::string_view type);

}  // namespace troupe::http_internal

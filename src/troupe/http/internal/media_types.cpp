#include <troupe/http/internal/media_types.hpp>
#include <troupe/http/internal/text.hpp>

#include <cstddef>

namespace troupe::http_internal {

namespace {

struct KnownType {
    std::string_view extension;
    std::string_view type;
};

// What sites are made of. Text is UTF-8: nobody writes anything else any more.
constexpr KnownType kKnown[] = {
    {"html", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"webp", "image/webp"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"htm", "text/html; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"wasm", "application/wasm"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"avif", "image/avif"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tar", "application/x-tar"},
};

}  // namespace

std::string_view extension_of(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    const std::size_t slash = path.rfind('/');
    if (dot == std::string_view::npos) return std::string_view();
    if (slash != std::string_view::npos && slash > dot) return std::string_view();
    return path.substr(dot + 1);
}

std::string_view media_type_of(std::string_view name) {
    const std::string_view extension = extension_of(name);
    for (const KnownType& known : kKnown) {
        if (equals_ignoring_case(known.extension, extension)) return known.type;
    }
    return "application/octet-stream";
}

bool is_compressible(std::string_view type) {
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' '))
        type.remove_suffix(1);
    if (equals_ignoring_case(type.substr(0, 5), "text/")) return true;
    if (type.ends_with("+json") || type.ends_with("+xml") || type.ends_with("+text")) return true;
    for (std::string_view known :
         {"application/json", "application/xml", "application/javascript", "application/wasm",
          "application/x-ndjson", "font/ttf", "font/otf", "image/bmp", "image/x-icon"}) {
        if (equals_ignoring_case(type, known)) return true;
    }
    return false;
}

}  // namespace troupe::http_internal

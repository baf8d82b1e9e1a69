#include <troupe/http/internal/http_date.hpp>
#include <troupe/http/internal/preconditions.hpp>
#include <troupe/http/internal/text.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace troupe::http_internal {

namespace {

std::string_view without_weakness(std::string_view tag) {
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    return tag;
}

bool same_strongly(std::string_view a, std::string_view b) {
    return a == b && !a.starts_with("W/");
}

bool same_weakly(std::string_view a, std::string_view b) {
    return without_weakness(a) == without_weakness(b);
}

/// Cuts the next tag off a list of them. Empty at its end, and where it is malformed.
std::string_view cut_tag(std::string_view& list) {
    const std::size_t begin = list.find_first_not_of(" \t,");
    if (begin == std::string_view::npos) return std::string_view();
    list.remove_prefix(begin);
    const std::size_t open = list.starts_with("W/") ? 2 : 0;
    if (list.size() <= open || list[open] != '"') return std::string_view();
    const std::size_t close = list.find('"', open + 1);
    if (close == std::string_view::npos) return std::string_view();
    const std::string_view tag = list.substr(0, close + 1);
    list.remove_prefix(tag.size());
    return tag;
}

template <class Same>
bool list_matches(std::string_view list, std::string_view current, Same same) {
    if (list == "*") return true;
    for (std::string_view tag = cut_tag(list); !tag.empty(); tag = cut_tag(list)) {
        if (same(tag, current)) return true;
    }
    return false;
}

/// Whether any line of that name matches; nothing when there is no such line.
template <class Same>
std::optional<bool> lines_match(const http::Request& request, std::string_view name,
                                std::string_view current, Same same) {
    std::optional<bool> matches;
    const http::Headers& headers = request.headers();
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const http::HeaderField line = headers.at(i);
        if (!http::same_name(line.name, name)) continue;
        matches = matches.value_or(false) || list_matches(line.value, current, same);
    }
    return matches;
}

std::optional<std::int64_t> date_in(const http::Request& request, std::string_view name) {
    const std::optional<std::string_view> value = request.header(name);
    return value ? parse_http_date(*value) : std::nullopt;
}

}  // namespace

Precondition check_preconditions(const http::Request& request, const Validators& current) {
    const auto if_match = lines_match(request, "If-Match", current.tag, same_strongly);
    if (if_match) {
        if (!*if_match) return Precondition::failed;
    } else if (const auto date = date_in(request, "If-Unmodified-Since")) {
        if (current.modified > *date) return Precondition::failed;
    }
    const auto if_none_match = lines_match(request, "If-None-Match", current.tag, same_weakly);
    if (if_none_match) {
        return *if_none_match ? Precondition::not_modified : Precondition::holds;
    }
    const auto date = date_in(request, "If-Modified-Since");
    return date && current.modified <= *date ? Precondition::not_modified : Precondition::holds;
}

bool range_is_welcome(const http::Request& request, const Validators& current, std::int64_t now) {
    const std::optional<std::string_view> if_range = request.header("If-Range");
    if (!if_range) return true;
    if (if_range->starts_with('"') || if_range->starts_with("W/")) {
        return same_strongly(*if_range, current.tag);
    }
    return parse_http_date(*if_range) == current.modified && current.modified < now;
}

}  // namespace troupe::http_internal

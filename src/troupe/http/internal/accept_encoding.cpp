#include <troupe/http/internal/accept_encoding.hpp>
#include <troupe/http/internal/text.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace troupe::http_internal {

namespace {

/// "0.8" as 800. Nothing when it is no weight.
std::optional<int> thousandths(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
    int weight = (text[0] - '0') * 1000;
    if (text.size() > 1 && text[1] != '.') return std::nullopt;
    int unit = 100;
    for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        weight += (text[i] - '0') * unit;
    }
    if (weight > 1000) return std::nullopt;
    return weight;
}

}  // namespace

bool prefers_gzip(const http::Request& request) {
    std::optional<int> gzip;
    std::optional<int> identity;
    std::optional<int> any;
    const http::Headers& headers = request.headers();
    for (std::size_t i = 0; i < headers.size(); ++i) {
        if (!http::same_name(headers.at(i).name, "Accept-Encoding")) continue;
        std::string_view list = headers.at(i).value;
        while (!list.empty()) {
            std::string_view entry = cut_before(list, ',');
            const std::string_view coding = cut_before(entry, ';');
            entry = trimmed(entry);
            int weight = 1000;
            if (!entry.empty()) {
                if (!equals_ignoring_case(entry.substr(0, 2), "q=")) continue;
                const std::optional<int> said = thousandths(trimmed(entry.substr(2)));
                if (!said) continue;
                weight = *said;
            }
            if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) {
                gzip = weight;
            } else if (equals_ignoring_case(coding, "identity")) {
                identity = weight;
            } else if (coding == "*") {
                any = weight;
            }
        }
    }
    const int weight = gzip ? *gzip : any.value_or(0);
    return weight > 0 && weight >= identity.value_or(0);
}

}  // namespace troupe::http_internal

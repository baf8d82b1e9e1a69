#include <troupe/websocket/internal/deflate_terms.hpp>

#include <algorithm>
#include <utility>

namespace troupe::websocket_internal {

namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerForgets = "server_no_context_takeover";
constexpr std::string_view kClientForgets = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";

// zlib does not compress with a window of 256 bytes, so an offer that wants one is not for us.
constexpr int kDeflateBitsMin = 9;

bool is_token_character(char c) noexcept {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
}

/// Reads a list of extensions with their parameters, part by part.
class ExtensionReader {
public:
    explicit ExtensionReader(std::string_view line) noexcept : rest_(line) {}

    std::string_view token() noexcept {
        skip_space();
        std::size_t size = 0;
        while (size < rest_.size() && is_token_character(rest_[size]))
            ++size;
        const std::string_view found = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return found;
    }

    /// A token, or one in quotes.
    std::string_view value() noexcept {
        skip_space();
        if (!rest_.starts_with('"')) return token();
        rest_.remove_prefix(1);
        const std::string_view found = token();
        return take('"') ? found : std::string_view();
    }

    bool take(char c) noexcept {
        skip_space();
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    bool at_end() noexcept {
        skip_space();
        return rest_.empty();
    }

private:
    void skip_space() noexcept {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
            rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

/// 8 to 15, without a leading zero; else 0.
int window_bits(std::string_view text) noexcept {
    if (text == "8" || text == "9") return text[0] - '0';
    const bool two = text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5';
    return two ? 10 + (text[1] - '0') : 0;
}

/// What one extension of the list says.
struct Extension {
    bool is_deflate = false;
    bool understood = true;  // all parameters are known, well formed and there once
    bool server_forgets = false;
    bool client_forgets = false;
    int server_bits = 0;  // 0: not said
    int client_bits = 0;
    bool client_bits_open = false;  // the parameter without a value
};

void take_parameter(Extension& extension, std::string_view name, bool has_value,
                    std::string_view value) {
    const int bits = window_bits(value);
    bool fine = false;
    if (name == kServerForgets) {
        fine = !has_value && !std::exchange(extension.server_forgets, true);
    } else if (name == kClientForgets) {
        fine = !has_value && !std::exchange(extension.client_forgets, true);
    } else if (name == kServerBits) {
        fine = bits != 0 && std::exchange(extension.server_bits, bits) == 0;
    } else if (name == kClientBits) {
        const bool first = extension.client_bits == 0 && !extension.client_bits_open;
        fine = first && (!has_value || bits != 0);
        extension.client_bits = bits;
        extension.client_bits_open = !has_value;
    }
    if (!fine) extension.understood = false;
}

/// False when the list is malformed.
bool read_extension(ExtensionReader& reader, Extension& extension) {
    const std::string_view name = reader.token();
    if (name.empty()) return false;
    extension.is_deflate = name == kName;
    while (reader.take(';')) {
        const std::string_view parameter = reader.token();
        if (parameter.empty()) return false;
        const bool has_value = reader.take('=');
        const std::string_view value = has_value ? reader.value() : std::string_view();
        if (has_value && value.empty()) return false;
        take_parameter(extension, parameter, has_value, value);
    }
    return true;
}

bool acceptable(const Extension& offer) noexcept {
    return offer.is_deflate && offer.understood &&
           (offer.server_bits == 0 || offer.server_bits >= kDeflateBitsMin);
}

DeflateTerms terms_for(const Extension& offer, const DeflateWishes& wishes) {
    DeflateTerms terms;
    terms.on = true;
    terms.server_forgets = offer.server_forgets || !wishes.context_takeover;
    terms.client_forgets = offer.client_forgets;
    const int server_bits = offer.server_bits == 0 ? 15 : offer.server_bits;
    terms.server_window_bits =
        static_cast<std::uint8_t>(std::min<int>(server_bits, wishes.window_bits));
    terms.client_window_asked = offer.client_bits_open || offer.client_bits != 0;
    if (terms.client_window_asked) {
        const int client_bits = offer.client_bits == 0 ? 15 : offer.client_bits;
        terms.client_window_bits =
            static_cast<std::uint8_t>(std::min<int>(client_bits, wishes.window_bits));
    }
    return terms;
}

}  // namespace

DeflateTerms choose_deflate(std::string_view line, const DeflateWishes& wishes) {
    DeflateTerms none;
    if (!wishes.on) return none;
    ExtensionReader reader(line);
    std::optional<DeflateTerms> chosen;
    while (!reader.at_end()) {
        if (reader.take(',')) continue;  // an empty element says nothing
        Extension offer;
        if (!read_extension(reader, offer)) return none;
        if (!reader.at_end() && !reader.take(',')) return none;
        if (!chosen && acceptable(offer)) chosen = terms_for(offer, wishes);
    }
    return chosen.value_or(none);
}

std::string deflate_response(const DeflateTerms& terms) {
    std::string line(kName);
    if (terms.server_forgets) line.append("; ").append(kServerForgets);
    if (terms.client_forgets) line.append("; ").append(kClientForgets);
    if (terms.server_window_bits < 15) {
        line.append("; ")
            .append(kServerBits)
            .append("=")
            .append(std::to_string(terms.server_window_bits));
    }
    if (terms.client_window_asked && terms.client_window_bits < 15) {
        line.append("; ")
            .append(kClientBits)
            .append("=")
            .append(std::to_string(terms.client_window_bits));
    }
    return line;
}

std::string deflate_offer(const DeflateWishes& wishes) {
    std::string line(kName);
    if (!wishes.context_takeover) line.append("; ").append(kClientForgets);
    line.append("; ").append(kClientBits);
    return line;
}

std::optional<DeflateTerms> accept_deflate(std::string_view line, const DeflateWishes& wishes) {
    DeflateTerms terms;
    ExtensionReader reader(line);
    if (reader.at_end()) return terms;
    Extension answer;
    if (!wishes.on || !read_extension(reader, answer) || !reader.at_end()) return std::nullopt;
    if (!answer.is_deflate || !answer.understood || answer.client_bits_open) return std::nullopt;
    if (answer.client_bits != 0 && answer.client_bits < kDeflateBitsMin) return std::nullopt;
    terms.on = true;
    terms.server_forgets = answer.server_forgets;
    terms.client_forgets = answer.client_forgets || !wishes.context_takeover;
    if (answer.server_bits != 0) {
        terms.server_window_bits = static_cast<std::uint8_t>(answer.server_bits);
    }
    terms.client_window_asked = answer.client_bits != 0;
    const int client_bits = answer.client_bits == 0 ? 15 : answer.client_bits;
    terms.client_window_bits =
        static_cast<std::uint8_t>(std::min<int>(client_bits, wishes.window_bits));
    return terms;
}

}  // namespace troupe::websocket_internal

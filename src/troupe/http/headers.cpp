#include <troupe/http/headers.hpp>
#include <troupe/http/internal/text.hpp>

namespace troupe::http {

bool same_name(std::string_view a, std::string_view b) {
    return http_internal::equals_ignoring_case(a, b);
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
    std::string_view text = text_;
    for (const Line& line : lines_) {
        if (line.name_size != name.size()) continue;
        if (http_internal::equals_ignoring_case(text.substr(line.name_at, line.name_size), name)) {
            return text.substr(line.value_at, line.value_size);
        }
    }
    return std::nullopt;
}

HeaderField Headers::at(std::size_t index) const {
    std::string_view text = text_;
    const Line& line = lines_[index];
    HeaderField field;
    field.name = text.substr(line.name_at, line.name_size);
    field.value = text.substr(line.value_at, line.value_size);
    return field;
}

void Headers::add(std::string_view name, std::string_view value) {
    note(text_.size(), name.size(), text_.size() + name.size(), value.size());
    text_ += name;
    text_ += value;
}

}  // namespace troupe::http

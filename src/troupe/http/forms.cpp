#include <troupe/base/error.hpp>
#include <troupe/http/forms.hpp>
#include <troupe/http/internal/text.hpp>

#include <string>

namespace troupe::http {

std::optional<std::string_view> Form::find(std::string_view name) const {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        if (fields_.at(i).name == name) return fields_.at(i).value;
    }
    return std::nullopt;
}

Result<Form> form(const Request& request, std::size_t fields_max) {
    std::string_view type = request.header("Content-Type").value_or("");
    const std::string_view plain = http_internal::cut_before(type, ';');
    if (!http_internal::equals_ignoring_case(plain, "application/x-www-form-urlencoded")) {
        return error(FormErrc::wrong_type,
                     "The body must be a form: application/x-www-form-urlencoded.");
    }
    return parse_form(request.body, fields_max);
}

Result<Form> parse_form(std::string_view text, std::size_t fields_max) {
    Form form;
    std::string name;
    std::string value;
    while (!text.empty()) {
        const std::size_t end = text.find('&');
        const std::string_view pair = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (pair.empty()) continue;
        if (form.size() == fields_max) {
            return error(FormErrc::too_large, "The form has too many fields.");
        }
        const std::size_t equals = pair.find('=');
        name.clear();
        value.clear();
        http_internal::append_decoded(name, pair.substr(0, equals), true);
        if (equals != std::string_view::npos) {
            http_internal::append_decoded(value, pair.substr(equals + 1), true);
        }
        form.add(name, value);
    }
    return form;
}

}  // namespace troupe::http

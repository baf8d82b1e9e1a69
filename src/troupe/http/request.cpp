#include <troupe/http/internal/text.hpp>
#include <troupe/http/request.hpp>

namespace troupe::http {

Request::Place Request::append(std::string& text, std::string_view name, std::string_view value) {
    Place place;
    place.name_at = static_cast<std::uint32_t>(text.size());
    place.name_size = static_cast<std::uint32_t>(name.size());
    text += name;
    place.value_at = static_cast<std::uint32_t>(text.size());
    place.value_size = static_cast<std::uint32_t>(value.size());
    text += value;
    return place;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
    std::string_view text = header_text_;
    for (const Place& place : headers_) {
        if (place.name_size != name.size()) continue;
        if (http_internal::equals_ignoring_case(text.substr(place.name_at, place.name_size),
                                                name)) {
            return text.substr(place.value_at, place.value_size);
        }
    }
    return std::nullopt;
}

HeaderField Request::header_at(std::size_t index) const {
    std::string_view text = header_text_;
    const Place& place = headers_[index];
    HeaderField field;
    field.name = text.substr(place.name_at, place.name_size);
    field.value = text.substr(place.value_at, place.value_size);
    return field;
}

void Request::add_header(std::string_view name, std::string_view value) {
    headers_.push_back(append(header_text_, name, value));
}

std::string_view Request::parameter(std::string_view name) const {
    std::string_view text = parameter_text_;
    for (const Place& place : parameters_) {
        if (text.substr(place.name_at, place.name_size) == name) {
            return text.substr(place.value_at, place.value_size);
        }
    }
    return std::string_view();
}

void Request::set_parameter(std::string_view name, std::string_view value) {
    parameters_.push_back(append(parameter_text_, name, value));
}

void Request::clear_parameters() {
    parameter_text_.clear();
    parameters_.clear();
}

std::optional<std::string> Request::query_parameter(std::string_view name) const {
    std::string_view rest = query;
    std::string decoded_name;
    while (!rest.empty()) {
        std::size_t end = rest.find('&');
        std::string_view pair = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);

        std::size_t equals = pair.find('=');
        decoded_name.clear();
        http_internal::append_decoded(decoded_name, pair.substr(0, equals), true);
        if (decoded_name != name || pair.empty()) continue;

        std::string value;
        if (equals != std::string_view::npos) {
            http_internal::append_decoded(value, pair.substr(equals + 1), true);
        }
        return value;
    }
    return std::nullopt;
}

void Request::clear() {
    // One large upload must not make an idle connection large for the rest of its life.
    constexpr std::size_t kBodyBytesKept = 64 * 1024;

    method.assign("GET");
    path.assign("/");
    query.clear();
    body.clear();
    if (body.capacity() > kBodyBytesKept) body.shrink_to_fit();
    target.clear();
    minor_version = 1;
    keep_alive = true;
    header_text_.clear();
    headers_.clear();
    clear_parameters();
}

}  // namespace troupe::http

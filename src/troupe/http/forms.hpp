#pragma once

// What HTML forms send.
//
// A form without files is a body of a few fields:
//
//     auto form = http::form(request);
//     if (!form) co_return http::from(form.error());
//     std::string_view name = form->find("name").value_or("");
//
// One with files (multipart/form-data) is read part by part, as it arrives: see multipart.hpp.

#include <troupe/base/result.hpp>
#include <troupe/http/headers.hpp>
#include <troupe/http/request.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace troupe::http {

/// What is wrong with a form. http::from answers 415, 400 and 413.
enum class FormErrc {
    wrong_type = 1,  ///< the body is not such a form
    malformed,
    too_large,  ///< more fields, parts, header lines or bytes than are allowed
};

/// Names and values, decoded, in the order they came.
class Form {
public:
    /// The value of the first field of exactly that name. Valid as long as the form.
    std::optional<std::string_view> find(std::string_view name) const;

    std::size_t size() const { return fields_.size(); }

    /// `index` is below size(). Of several fields with one name all are here.
    HeaderField at(std::size_t index) const { return fields_.at(index); }

    void add(std::string_view name, std::string_view value) { fields_.add(name, value); }

private:
    Headers fields_;  // a store of pairs like another
};

/// Reads a body of type application/x-www-form-urlencoded. How large it may be the server has said
/// (ServerOptions::body_bytes_max).
///
/// Errors: wrong_type; too_large, for more than `fields_max`. An escape that is none stays as it
/// is.
Result<Form> form(const Request& request, std::size_t fields_max = 1000);

/// The same for text from elsewhere, such as Request::query.
Result<Form> parse_form(std::string_view text, std::size_t fields_max = 1000);

}  // namespace troupe::http

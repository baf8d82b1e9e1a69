#include <troupe/base/error.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/multipart_parser.hpp>
#include <troupe/http/multipart.hpp>

namespace troupe {

namespace http_internal {

using Status = MultipartParser::Status;

/// One body on its way through the parser.
struct MultipartState {
    MultipartState(std::string_view boundary, http::BodyReader the_body,
                   http::MultipartOptions the_options)
        : parser(boundary, MultipartLimits{the_options.parts_max(), the_options.head_bytes_max()}),
          body(the_body),
          options(the_options) {}

    MultipartParser parser;
    http::BodyReader body;
    http::MultipartOptions options;
    std::string buffer;         // what the parser has not consumed, or shows
    std::size_t shown = 0;      // of the buffer: done with at the next step
    std::uint64_t bytes = 0;    // of the body
    std::uint64_t of_part = 0;  // of the part
    bool in_part = false;
    PartHead head;
    std::optional<Error> error;

    Task<Result<MultipartParser::Step>> step();
    std::unexpected<Error> fail(Error why) {
        error = why;
        return std::unexpected(std::move(why));
    }
};

/// Goes on until there is something to tell.
Task<Result<MultipartParser::Step>> MultipartState::step() {
    if (error) co_return std::unexpected(*error);
    buffer.erase(0, std::exchange(shown, 0));
    for (;;) {
        const MultipartParser::Step step = parser.step(buffer, head);
        if (step.status == Status::malformed) {
            co_return fail(Error(http::FormErrc::malformed, std::string(parser.problem())));
        }
        if (step.status == Status::too_large) {
            co_return fail(Error(http::FormErrc::too_large, std::string(parser.problem())));
        }
        if (step.status != Status::need_more) {
            shown = step.consumed;
            co_return step;
        }
        buffer.erase(0, step.consumed);
        const Result<std::string_view> piece = co_await body.next();
        if (!piece) co_return fail(piece.error());
        if (piece->empty()) {
            co_return fail(Error(http::FormErrc::malformed, "The form ends too soon."));
        }
        bytes += piece->size();
        if (bytes > options.bytes_max()) {
            co_return fail(Error(http::FormErrc::too_large, "The form is too large."));
        }
        buffer += *piece;
    }
}

}  // namespace http_internal

namespace http {

using http_internal::MultipartParser;
using http_internal::MultipartState;
using http_internal::Status;

MultipartReader::MultipartReader(const Request& request, BodyReader body,
                                 MultipartOptions options) {
    const auto boundary =
        http_internal::multipart_boundary(request.header("Content-Type").value_or(""));
    state_ = std::make_unique<MultipartState>(boundary.value_or("none"), body, options);
    if (!boundary) {
        state_->error =
            Error(FormErrc::wrong_type, "The body must be a form: multipart/form-data.");
    }
}

MultipartReader::~MultipartReader() = default;
MultipartReader::MultipartReader(MultipartReader&&) noexcept = default;
MultipartReader& MultipartReader::operator=(MultipartReader&&) noexcept = default;

Task<Result<std::optional<Part>>> MultipartReader::next() {
    MultipartState& state = *state_;
    for (;;) {
        const MultipartParser::Step step = co_await or_return(co_await state.step());
        if (step.status == Status::end) co_return std::optional<Part>();
        if (step.status == Status::part) break;
    }
    state.in_part = true;
    state.of_part = 0;
    http_internal::PartHead& head = state.head;
    std::optional<std::string> file_name;
    if (head.file_name) file_name = http_internal::safe_file_name(*head.file_name);
    co_return std::optional<Part>(std::in_place, std::move(head.name), std::move(file_name),
                                  std::move(head.file_name).value_or(std::string()),
                                  std::move(head.headers));
}

Task<Result<std::string_view>> MultipartReader::read() {
    MultipartState& state = *state_;
    if (state.error) co_return std::unexpected(*state.error);
    if (!state.in_part) co_return std::string_view();
    const MultipartParser::Step step = co_await or_return(co_await state.step());
    if (step.status == Status::part_end) {
        state.in_part = false;
        co_return std::string_view();
    }
    state.of_part += step.data.size();
    if (state.of_part > state.options.part_bytes_max()) {
        co_return state.fail(Error(FormErrc::too_large, "A part of the form is too large."));
    }
    co_return step.data;
}

Task<Result<std::string>> MultipartReader::text() {
    std::string text;
    for (;;) {
        const std::string_view piece = co_await or_return(co_await read());
        if (piece.empty()) co_return text;
        if (piece.size() > state_->options.text_bytes_max() - text.size()) {
            co_return state_->fail(Error(FormErrc::too_large, "A field of the form is too large."));
        }
        text += piece;
    }
}

}  // namespace http
}  // namespace troupe

#pragma once

// Forms with files, read as they arrive: multipart/form-data.
//
//     router.post("/upload", [](http::Request request, http::BodyReader body) ->
//     Task<http::Response> {
//         http::MultipartReader form(request, body);
//         for (;;) {
//             auto part = co_await form.next();
//             if (!part) co_return http::from(part.error());
//             if (!*part) break;                        // that was all
//             if (!(*part)->is_file()) {
//                 auto text = co_await form.text();     // of a field
//                 ...
//             }
//             for (;;) {                                // of a file, piece by piece
//                 auto piece = co_await form.read();
//                 ...
//             }
//         }
//     });
//
// However large the files are, some tens of kilobytes are in memory: who does not read makes the
// peer wait.

#include <troupe/base/result.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/forms.hpp>
#include <troupe/http/headers.hpp>
#include <troupe/http/request.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe {

namespace http_internal {
struct MultipartState;
}

namespace http {

/// What a part of a form says of itself.
class Part {
public:
    Part(std::string name, std::optional<std::string> file_name, std::string sent_file_name,
         Headers headers)
        : name_(std::move(name)),
          file_name_(std::move(file_name)),
          sent_file_name_(std::move(sent_file_name)),
          headers_(std::move(headers)) {}

    /// The field's name.
    const std::string& name() const { return name_; }

    /// Whether it is a file, or the place of one that nobody has chosen.
    bool is_file() const { return file_name_.has_value(); }

    /// The file's name as one that leads nowhere: what stands behind the last "/" or "\", without
    /// control characters and leading dots, 255 bytes at most, "unnamed" when nothing is left.
    /// Empty when it is no file. It may be that of another file you have: a name of your own is
    /// better.
    std::string_view file_name() const {
        return file_name_ ? std::string_view(*file_name_) : std::string_view();
    }
    /// As it was sent, and whatever that may be. Empty for a file nobody has chosen.
    const std::string& sent_file_name() const { return sent_file_name_; }

    /// Its header lines, such as Content-Type, which is what the client believes.
    const Headers& headers() const { return headers_; }

private:
    std::string name_;
    std::optional<std::string> file_name_;
    std::string sent_file_name_;
    Headers headers_;
};

class MultipartOptions {
public:
    MultipartOptions() = default;

    MultipartOptions& parts_max(std::size_t parts) {
        parts_max_ = parts;
        return *this;
    }
    /// The header lines of one part together.
    MultipartOptions& head_bytes_max(std::size_t bytes) {
        head_bytes_max_ = bytes;
        return *this;
    }
    /// One part that is read by text().
    MultipartOptions& text_bytes_max(std::size_t bytes) {
        text_bytes_max_ = bytes;
        return *this;
    }
    /// One part.
    MultipartOptions& part_bytes_max(std::uint64_t bytes) {
        part_bytes_max_ = bytes;
        return *this;
    }
    /// The whole body.
    MultipartOptions& bytes_max(std::uint64_t bytes) {
        bytes_max_ = bytes;
        return *this;
    }

    std::size_t parts_max() const { return parts_max_; }
    std::size_t head_bytes_max() const { return head_bytes_max_; }
    std::size_t text_bytes_max() const { return text_bytes_max_; }
    std::uint64_t part_bytes_max() const { return part_bytes_max_; }
    std::uint64_t bytes_max() const { return bytes_max_; }

private:
    std::size_t parts_max_ = 1000;
    std::size_t head_bytes_max_ = std::size_t{8} * 1024;
    std::size_t text_bytes_max_ = std::size_t{64} * 1024;
    std::uint64_t part_bytes_max_ = std::uint64_t{1} << 30;
    std::uint64_t bytes_max_ = std::uint64_t{1} << 30;
};

/// Reads a form part by part. Belongs to the handler, like the BodyReader it reads from.
///
/// Errors:  FormErrc::wrong_type, when the body is no such form; malformed, also when it ends too
///          soon; too_large, beyond a limit of the options. And those of BodyReader::next. After an
///          error every call gives it again.
/// Threads: the handler's.
class MultipartReader {
public:
    MultipartReader(const Request& request, BodyReader body,
                    MultipartOptions options = MultipartOptions());
    ~MultipartReader();
    MultipartReader(MultipartReader&&) noexcept;
    MultipartReader& operator=(MultipartReader&&) noexcept;

    /// The next part; nothing when that was the last one. What was not read of the one before is
    /// skipped.
    Task<Result<std::optional<Part>>> next();

    /// The next piece of the part, which is empty when that was all. Valid until the next call.
    Task<Result<std::string_view>> read();

    /// The rest of the part, as long as options allow.
    Task<Result<std::string>> text();

private:
    std::unique_ptr<http_internal::MultipartState> state_;
};

}  // namespace http
}  // namespace troupe

#include <troupe/base/error.hpp>
#include <troupe/http/files.hpp>
#include <troupe/http/internal/accept_encoding.hpp>
#include <troupe/http/internal/byte_ranges.hpp>
#include <troupe/http/internal/file_reading.hpp>
#include <troupe/http/internal/http_date.hpp>
#include <troupe/http/internal/media_types.hpp>
#include <troupe/http/internal/open_file.hpp>
#include <troupe/http/internal/preconditions.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace troupe {

namespace http_internal {

/// A folder that is served. The handler's copies and the responses on their way share it.
struct FileFolder {
    std::shared_ptr<const Descriptor> descriptor;
    http::FileOptions options;
};

namespace {

// A file up to here is read for its response: it leaves with the head in one write.
constexpr std::uint64_t kSmallFile = 16 * 1024;

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

/// What a request is answered with, before it is known what of it.
struct Found {
    OpenFile file;
    std::string_view builtin_type;  // a literal
    std::string_view own_type;      // of the options
    bool is_gzip = false;
};

http::Response not_found() {
    return http::text(404, "There is nothing at this path.");
}

/// Why there is no file.
http::Response refusal_of(int reason) {
    switch (reason) {
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            return http::text(503, "This server has too many files open.")
                .header("Retry-After", "1");
        case EIO:
        case ESTALE:
            return http::text(500, "This file cannot be read.");
        default:  // Who may not see it need not know that it is there.
            return not_found();
    }
}

http::Response refusal_of(const Error& error) {
    if (error == Errc::mailbox_full) {
        return http::text(503, "This server has too much to read.").header("Retry-After", "1");
    }
    return http::text(500, "This file cannot be read.");
}

/// Opens at once what can be opened at once, and on the blocking pool what cannot.
Task<Result<OpenFile>> open(std::shared_ptr<const Descriptor> folder, std::string path,
                            OpenPolicy policy) {
    const int at = folder ? folder->number() : AT_FDCWD;
    OpenFile file = open_for_reading(at, path, policy, OpenWait::no);
    if (file.reason != EAGAIN) co_return file;
    auto wait = [folder = std::move(folder), path = std::move(path), policy, at] {
        return open_for_reading(at, path, policy, OpenWait::yes);
    };
    co_return co_await offload(std::move(wait));
}

std::string tag_of(const OpenFile& file) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "\"%llx-%llx-%llx\"",
                                     static_cast<unsigned long long>(file.size),
                                     static_cast<unsigned long long>(file.modified_ns),
                                     static_cast<unsigned long long>(file.inode));
    return std::string(text, static_cast<std::size_t>(length));
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
    return "bytes " + std::to_string(range.first) + "-" +
           std::to_string(range.first + range.size - 1) + "/" + std::to_string(size);
}

/// Several ranges as one body: multipart/byteranges, RFC 9110 §14.6.
class PartedBody {
public:
    PartedBody(std::vector<ByteRange> ranges, std::string_view type, std::uint64_t size,
               std::string boundary)
        : ranges_(std::move(ranges)), boundary_(std::move(boundary)) {
        for (const ByteRange& range : ranges_) {
            std::string head = heads_.empty() ? "--" : "\r\n--";
            head += boundary_ + "\r\nContent-Type: " + std::string(type) +
                    "\r\nContent-Range: " + content_range(range, size) + "\r\n\r\n";
            length_ += head.size() + range.size;
            heads_.push_back(std::move(head));
        }
        end_ = "\r\n--" + boundary_ + "--\r\n";
        length_ += end_.size();
    }

    std::uint64_t length() const { return length_; }
    std::string type() const { return "multipart/byteranges; boundary=" + boundary_; }

    Task<Result<void>> write(int descriptor, http::BodyWriter out) const {
        for (std::size_t i = 0; i < ranges_.size(); ++i) {
            co_await or_return(co_await out.write(heads_[i]));
            co_await or_return(
                co_await out.write_file(descriptor, ranges_[i].first, ranges_[i].size));
        }
        co_return co_await out.write(end_);
    }

private:
    std::vector<ByteRange> ranges_;
    std::vector<std::string> heads_;
    std::string end_;
    std::string boundary_;
    std::uint64_t length_ = 0;
};

/// No file holds it, unless somebody guesses 128 bits.
std::string new_boundary(Engine& engine) {
    char text[40];
    const int length = std::snprintf(text, sizeof text, "%016llx%016llx",
                                     static_cast<unsigned long long>(engine.random()),
                                     static_cast<unsigned long long>(engine.random()));
    return std::string(text, static_cast<std::size_t>(length));
}

void send_range(http::Response& response, std::shared_ptr<const Descriptor> descriptor,
                ByteRange range) {
    response.length(range.size);
    response.stream([descriptor = std::move(descriptor), range](http::BodyWriter out) {
        return out.write_file(descriptor->number(), range.first, range.size);
    });
}

void send_ranges(http::Response& response, const Found& found, std::string_view type,
                 std::vector<ByteRange> ranges) {
    const std::uint64_t size = found.file.size;
    response.status(206);
    if (ranges.size() == 1) {
        response.header("Content-Range", content_range(ranges[0], size));
        send_range(response, found.file.descriptor, ranges[0]);
        return;
    }
    PartedBody body(std::move(ranges), type, size, new_boundary(current_cell()->engine()));
    response.header("Content-Type", body.type()).length(body.length());
    response.stream([descriptor = found.file.descriptor, body = std::move(body)](
                        http::BodyWriter out) { return body.write(descriptor->number(), out); });
}

/// The type is told to the response as a literal where it is one.
void set_type(http::Response& response, const Found& found) {
    if (found.own_type.empty()) {
        response.type(found.builtin_type);
    } else {
        response.header("Content-Type", found.own_type);
    }
}

void find_type(Found& found, std::string_view path, const http::FileOptions& options) {
    found.builtin_type = media_type_of(path);
    const std::string_view extension = extension_of(path);
    for (const auto& [name, type] : options.types()) {
        if (equals_ignoring_case(name, extension)) found.own_type = type;
    }
}

/// Answers with what was found, or with the part of it that is wanted.
Task<http::Response> answer(http::Request request, Found found,
                            std::shared_ptr<const FileFolder> folder) {
    const OpenFile& file = found.file;
    const http::FileOptions& options = folder->options;
    const Validators validators{tag_of(file), file.modified_ns / kNanosecondsPerSecond};
    const Precondition condition = check_preconditions(request, validators);

    http::Response response;
    if (condition == Precondition::failed) {
        co_return http::text(412, "This file is not the one that was expected.");
    }
    response.header("ETag", validators.tag);
    response.header("Last-Modified", http_date(validators.modified));
    if (!options.cache_control().empty()) {
        response.header("Cache-Control", options.cache_control());
    }
    if (options.precompressed()) response.header("Vary", "Accept-Encoding");
    if (condition == Precondition::not_modified) co_return std::move(response.status(304));

    response.header("Accept-Ranges", "bytes");
    if (found.is_gzip) response.header("Content-Encoding", "gzip");
    const std::string_view type = found.own_type.empty() ? found.builtin_type : found.own_type;
    const bool is_get = request.method == "GET";
    const auto wanted = is_get ? request.header("Range") : std::nullopt;
    const std::int64_t now = current_cell()->engine().wall_now().count() / kNanosecondsPerSecond;
    if (wanted && range_is_welcome(request, validators, now)) {
        ByteRanges ranges = parse_byte_ranges(*wanted, file.size, options.ranges_max());
        if (ranges.kind == ByteRanges::Kind::unsatisfiable) {
            http::Response refused = http::text(416, "This file has no such range.");
            refused.header("Content-Range", "bytes */" + std::to_string(file.size));
            co_return refused;
        }
        if (ranges.kind == ByteRanges::Kind::some) {
            const bool parted = ranges.ranges.size() > 1;
            if (!parted) set_type(response, found);
            send_ranges(response, found, type, std::move(ranges.ranges));
            co_return response;
        }
    }
    set_type(response, found);
    if (!is_get || file.size > kSmallFile) {
        send_range(response, file.descriptor, ByteRange{0, file.size});
        co_return response;
    }
    Result<std::string> text =
        co_await read_file(file.descriptor->number(), 0, static_cast<std::size_t>(file.size));
    if (!text) co_return refusal_of(text.error());
    if (text->size() < file.size) co_return refusal_of(Error(Errc::failed));
    response.body(std::move(*text));
    co_return response;
}

/// Whether the route's rest is all that the client has named. A "%2F" in it is a "/" by now, and
/// whoever looked at the path before us did not see one: that would be a way around him.
bool is_plainly_named(const http::Request& request, std::string_view rest) {
    std::string as_in_path;
    for (char c : rest) {
        if (c == '%') {
            as_in_path += "%25";
        } else {
            as_in_path += c;
        }
    }
    return request.path.ends_with(as_in_path) || request.path.ends_with(rest);
}

/// Where a folder is found that was asked for without the "/" at its end: relative, so that it
/// stays at this server and below the same route.
http::Response to_folder(const http::Request& request, std::string_view path) {
    std::string location = "./";
    append_encoded(location, path.substr(path.rfind('/') + 1));
    location += "/";
    if (!request.query.empty()) location += "?" + request.query;
    return http::text(308, "This folder is at " + location).header("Location", location);
}

http::Response wrong_method() {
    return http::text(405, "Files are only given: GET or HEAD.").header("Allow", "GET, HEAD");
}

/// Finds and answers; `path` is one that may be opened.
Task<http::Response> serve(std::shared_ptr<const FileFolder> folder, http::Request request,
                           std::string path, OpenPolicy policy) {
    const http::FileOptions& options = folder->options;
    const bool asks_for_folder = path.empty() || path.ends_with('/');
    if (asks_for_folder) {
        if (options.index().empty()) co_return not_found();
        path += options.index();
    }
    Found found;
    find_type(found, path, options);
    if (options.precompressed() && prefers_gzip(request)) {
        Result<OpenFile> small = co_await open(folder->descriptor, path + ".gz", policy);
        if (!small) co_return refusal_of(small.error());
        found.is_gzip = small->reason == 0 && !small->is_folder;
        if (found.is_gzip) found.file = std::move(*small);
    }
    if (!found.is_gzip) {
        Result<OpenFile> plain = co_await open(folder->descriptor, path, policy);
        if (!plain) co_return refusal_of(plain.error());
        found.file = std::move(*plain);
    }
    if (found.file.reason != 0) co_return refusal_of(found.file.reason);
    if (!found.file.is_folder) {
        co_return co_await answer(std::move(request), std::move(found), std::move(folder));
    }
    if (options.index().empty() || asks_for_folder) co_return not_found();
    const Result<OpenFile> index =
        co_await open(folder->descriptor, path + "/" + options.index(), policy);
    if (!index || index->reason != 0) co_return not_found();
    co_return to_folder(request, path);
}

Task<http::Response> answer_at_once(http::Response response) {
    co_return response;
}

bool is_reading(const http::Request& request) {
    return request.method == "GET" || request.method == "HEAD";
}

}  // namespace
}  // namespace http_internal

namespace http {

Task<Response> Files::operator()(Request request) const {
    using namespace http_internal;
    if (!is_reading(request)) return answer_at_once(wrong_method());
    std::string path(request.parameter("*"));
    const FileOptions& options = folder_->options;
    const bool may_be_named =
        is_plainly_named(request, path) && is_servable_path(path, options.hidden());
    if (!may_be_named) return answer_at_once(not_found());
    const OpenPolicy policy{true, options.symbolic_links()};
    return serve(folder_, std::move(request), std::move(path), policy);
}

Result<Files> files(const std::string& folder, FileOptions options) {
    using namespace http_internal;
    OpenFile opened = open_for_reading(AT_FDCWD, folder, OpenPolicy{false, true}, OpenWait::yes);
    if (opened.reason == 0 && !opened.is_folder) opened.reason = ENOTDIR;
    if (opened.reason != 0) {
        const Errc code = opened.reason == ENOENT ? Errc::not_found : Errc::failed;
        return error(code, "serving the files in " + folder + ": " + std::strerror(opened.reason));
    }
    auto shared = std::make_shared<FileFolder>();
    shared->descriptor = std::move(opened.descriptor);
    shared->options = std::move(options);
    return Files(std::move(shared));
}

Task<Response> file(Request request, std::string path, FileOptions options) {
    using namespace http_internal;
    if (!is_reading(request)) return answer_at_once(wrong_method());
    auto alone = std::make_shared<FileFolder>();
    alone->options = std::move(options);
    const OpenPolicy policy{false, true};
    return serve(std::move(alone), std::move(request), std::move(path), policy);
}

}  // namespace http
}  // namespace troupe

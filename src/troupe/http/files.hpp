#pragma once

// Files over HTTP.
//
//     auto site = http::files("public", http::FileOptions().index("index.html"));
//     if (!site) ...                      // there is no such folder
//     router.get("/*", *site);
//     router.get("/report", [](http::Request request) {
//         return http::file(std::move(request), "/srv/report.pdf");
//     });
//
// Both answer HEAD, conditions (ETag, Last-Modified, If-Match and the others of RFC 9110 §13) and
// ranges (§14). What a client names cannot lead out of the folder, and folders are not listed.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

namespace http_internal {
struct FileFolder;
}

namespace http {

class FileOptions {
public:
    FileOptions() = default;

    /// Answers for a folder with this file in it, and sends those who have asked without the "/" at
    /// its end there. None unless said: a folder is not found.
    FileOptions& index(std::string name) {
        index_ = std::move(name);
        return *this;
    }
    /// The Cache-Control line of what is found: "public, max-age=3600". None unless said, and then
    /// clients guess by the age of a file.
    FileOptions& cache_control(std::string value) {
        cache_control_ = std::move(value);
        return *this;
    }
    /// The Content-Type of files whose names end like this: `type("gmi", "text/gemini")`. What is
    /// usual on the web is known without it.
    FileOptions& type(std::string extension, std::string type) {
        types_.emplace_back(std::move(extension), std::move(type));
        return *this;
    }
    /// Gives clients who take gzip `page.html.gz` for `page.html`, where there is one.
    FileOptions& precompressed(bool on = true) {
        precompressed_ = on;
        return *this;
    }
    /// Serves names that begin with a dot, which otherwise are not found: ".git", ".env". A leading
    /// ".well-known" is always served.
    FileOptions& hidden(bool on = true) {
        hidden_ = on;
        return *this;
    }
    /// Follows symbolic links that stay within the folder; otherwise what lies behind a link is not
    /// found. Needs a kernel with openat2 (Linux 5.6); on an older one links are never followed.
    FileOptions& symbolic_links(bool on = true) {
        symbolic_links_ = on;
        return *this;
    }
    /// How many ranges one request may ask for; for more it gets the whole.
    FileOptions& ranges_max(std::size_t ranges) {
        ranges_max_ = ranges;
        return *this;
    }

    const std::string& index() const { return index_; }
    const std::string& cache_control() const { return cache_control_; }
    const std::vector<std::pair<std::string, std::string>>& types() const { return types_; }
    bool precompressed() const { return precompressed_; }
    bool hidden() const { return hidden_; }
    bool symbolic_links() const { return symbolic_links_; }
    std::size_t ranges_max() const { return ranges_max_; }

private:
    std::string index_;
    std::string cache_control_;
    std::vector<std::pair<std::string, std::string>> types_;
    bool precompressed_ = false;
    bool hidden_ = false;
    bool symbolic_links_ = false;
    std::size_t ranges_max_ = 16;
};

/// A handler that serves what lies in a folder, for a route that ends in "*". Copies share it.
class Files {
public:
    explicit Files(std::shared_ptr<const http_internal::FileFolder> folder)
        : folder_(std::move(folder)) {}

    /// The file that the rest of the path names, decoded once. 404 for what is not there, may not
    /// be read, or may not be named; 405 for what is neither GET nor HEAD; 503 when there are no
    /// descriptors left.
    Task<Response> operator()(Request request) const;

private:
    std::shared_ptr<const http_internal::FileFolder> folder_;  // shared by the handler's copies
};

/// A handler for the files of a folder. The folder is opened here and stays the same one when its
/// name is given to another; what is in it may change at any time. Replace a file by renaming
/// another over it: one that is written to while it is sent ends its connection when it becomes
/// shorter, since a status line has left by then, and clients see a mixture when it does not.
///
/// Errors:  not_found, failed: with the path and what the machine says.
/// Threads: any; a look at one folder on the disk.
Result<Files> files(const std::string& folder, FileOptions options = FileOptions());

/// Answers a request with one file. The path is yours and goes wherever it goes; never make it of
/// what a client has sent: that is what files() is for.
///
/// Errors:  none of its own: see Files::operator().
/// Threads: in an actor or task; what has to be waited for is waited for on the blocking pool.
Task<Response> file(Request request, std::string path, FileOptions options = FileOptions());

}  // namespace http
}  // namespace troupe

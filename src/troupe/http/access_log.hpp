#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

namespace http_internal {
class LineFile;
}

namespace http {

/// Which requests get a line in the access log, where, and what it looks like.
class AccessLogOptions {
public:
    AccessLogOptions() = default;

    /// Appends to this file, which is made if need be and may be moved away at any time; standard
    /// output unless said.
    AccessLogOptions& file(std::string path) {
        path_ = std::move(path);
        return *this;
    }
    /// Gives lines, some at a time and each with its end, to a function in place of a file. It is
    /// called by one thread of the blocking pool at a time, and throws nothing.
    AccessLogOptions& sink(std::function<void(std::string_view lines)> sink) {
        sink_ = std::move(sink);
        return *this;
    }
    /// Each line is a JSON object; else it is `time client method "path" status …`.
    AccessLogOptions& json() {
        json_ = true;
        return *this;
    }
    /// One line for so many requests; those that failed (5xx) or were slow have theirs always. What
    /// is no request has failed by itself, and is one of the many whatever its status.
    AccessLogOptions& one_in(std::uint32_t requests) {
        one_in_ = requests == 0 ? 1 : requests;
        return *this;
    }
    /// A request that takes this long is marked as slow. A second unless said.
    AccessLogOptions& slow_after(Duration time) {
        slow_after_ = time;
        return *this;
    }
    /// Requests for exactly this path get no line unless they fail: those for our health.
    AccessLogOptions& skip(std::string path) {
        skipped_.push_back(std::move(path));
        return *this;
    }
    /// The query is part of the line. It may hold what belongs in no log, so it is not unless said.
    AccessLogOptions& with_query() {
        with_query_ = true;
        return *this;
    }
    /// How many bytes of lines may wait to be written; more are lost, and the log says how many.
    /// A mebibyte unless said.
    AccessLogOptions& waiting_bytes_max(std::size_t bytes) {
        waiting_bytes_max_ = bytes;
        return *this;
    }

private:
    friend class AccessLog;
    friend class AccessLogEntry;

    std::string path_;
    std::function<void(std::string_view)> sink_;
    bool json_ = false;
    bool with_query_ = false;
    std::uint32_t one_in_ = 1;
    Duration slow_after_ = std::chrono::seconds(1);
    std::vector<std::string> skipped_;
    std::size_t waiting_bytes_max_ = std::size_t{1024} * 1024;
};

/// The middleware: see access_log().
class AccessLog {
public:
    explicit AccessLog(AccessLogOptions options);

    Task<Response> operator()(Request request, Next next) const;
    /// What the server has refused by itself.
    void refused(const Request& request, int status) const;

private:
    friend class AccessLogEntry;
    struct State;

    std::shared_ptr<State> state_;  // shared by copies, and by bodies that are still being sent
};

/// `router.use(access_log(options))`: a line for each request, once its response has been made, or
/// its streamed body has been sent: the time it came, client, method, path, status, bytes of the
/// body, how long it took, protocol, trace, if trace_context() stands before it. No worker ever
/// waits for the disk: lines are written together by the blocking pool. What a request holds cannot
/// make a line look like two, or like another.
///
/// What is no request has its line, too: malformed, too large, too slow, or left in the middle (as
/// 400). It shows what could be read: without a method ("-"), the path is how the line began.
inline AccessLog access_log(AccessLogOptions options = AccessLogOptions()) {
    return AccessLog(std::move(options));
}

}  // namespace http
}  // namespace troupe

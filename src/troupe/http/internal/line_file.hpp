#pragma once

#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/engine.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http_internal {

/// Lines that many write and nobody waits for.
///
/// Whoever adds the first one sends a job to the blocking pool, which writes all there are by then
/// and goes on until there are none. So there is a thread only while there is something to write,
/// and under load one write takes many lines along. The file is opened for each such write: one
/// that was moved away by logrotate is simply made anew.
class LineFile : public std::enable_shared_from_this<LineFile> {
public:
    /// To standard output without a path; to the sink, if there is one.
    LineFile(std::string path, std::function<void(std::string_view)> sink,
             std::size_t waiting_bytes_max)
        : path_(std::move(path)), sink_(std::move(sink)), waiting_bytes_max_(waiting_bytes_max) {}
    LineFile(const LineFile&) = delete;
    LineFile& operator=(const LineFile&) = delete;
    /// Writes what waits: nobody else will.
    ~LineFile();

    /// Threads: any; waits for nobody. A line that has no room is lost and counted.
    void add(Engine& engine, std::string_view line) TROUPE_EXCLUDES(mutex_);

private:
    struct Writing;

    void write_all() TROUPE_EXCLUDES(mutex_);
    void give_up() TROUPE_EXCLUDES(mutex_);
    void write(std::string_view lines);

    const std::string path_;
    const std::function<void(std::string_view)> sink_;
    const std::size_t waiting_bytes_max_;
    Mutex mutex_{LockRank::access_log};
    std::string waiting_ TROUPE_GUARDED_BY(mutex_);
    std::uint64_t lost_ TROUPE_GUARDED_BY(mutex_) = 0;
    bool writing_ TROUPE_GUARDED_BY(mutex_) = false;  // a job is under way
};

}  // namespace troupe::http_internal

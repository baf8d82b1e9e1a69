#include <troupe/base/log.hpp>
#include <troupe/http/internal/line_file.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::http_internal {

struct LineFile::Writing : Job {
    explicit Writing(std::shared_ptr<LineFile> the_file) : file(std::move(the_file)) {
        run = [](Job* job) noexcept {
            const std::unique_ptr<Writing> self(static_cast<Writing*>(job));
            self->file->write_all();
        };
        drop = [](Job* job) noexcept {
            const std::unique_ptr<Writing> self(static_cast<Writing*>(job));
            self->file->give_up();
        };
    }
    std::shared_ptr<LineFile> file;  // shared with those who add lines
};

LineFile::~LineFile() {
    const LockGuard lock(mutex_);
    if (!waiting_.empty()) write(waiting_);
}

void LineFile::add(Engine& engine, std::string_view line) {
    {
        const LockGuard lock(mutex_);
        if (waiting_.size() + line.size() > waiting_bytes_max_) {
            ++lost_;
            return;
        }
        waiting_ += line;
        if (writing_) return;
        writing_ = true;
    }
    auto* const job = new Writing(shared_from_this());  // the pool's, once it has taken it
    if (engine.offload(job)) return;
    delete job;
    give_up();
}

/// There is nobody to write at present; the next line tries again.
void LineFile::give_up() {
    const LockGuard lock(mutex_);
    writing_ = false;
}

void LineFile::write_all() {
    for (;;) {
        std::string lines;
        std::uint64_t lost = 0;
        {
            const LockGuard lock(mutex_);
            lines.swap(waiting_);
            std::swap(lost, lost_);
            writing_ = !lines.empty();
        }
        if (lost != 0) {
            log_warn("the access log is written more slowly than requests come",
                     {{"lines_lost", lost}});
        }
        if (lines.empty()) return;
        write(lines);
    }
}

void LineFile::write(std::string_view lines) {
    if (sink_) {
        sink_(lines);
        return;
    }
    const int fd = path_.empty()
                       ? STDOUT_FILENO
                       : ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    int reason = fd < 0 ? errno : 0;
    while (reason == 0 && !lines.empty()) {
        const ssize_t written = ::write(fd, lines.data(), lines.size());
        if (written >= 0) {
            lines.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            reason = errno;
        }
    }
    if (fd >= 0 && fd != STDOUT_FILENO) ::close(fd);
    if (reason == 0) return;
    log_error("the access log cannot be written",
              {{"file", path_}, {"reason", std::string_view(std::strerror(reason))}});
}

}  // namespace troupe::http_internal

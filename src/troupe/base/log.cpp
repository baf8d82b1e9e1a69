#include <troupe/base/asks_machine.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/base/internal/before_abort.hpp>
#include <troupe/base/internal/log_text.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/unique_function.hpp>

#include <pthread.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;

// The thresholds of Erlang's logger, in lines that wait for the writer.
constexpr std::size_t kSlowDownAbove = 10;
constexpr std::size_t kDropFrom = 200;
constexpr std::size_t kDiscardAt = 1000;
constexpr std::uint32_t kBurstLines = 500;  // in kBurstTime, from one place
constexpr Duration kBurstTime = 1s;

constexpr Duration kLongestDelay = 1ms;   // of a caller, while the writer keeps moving
constexpr Duration kReportEvery = 1s;     // what was left out, at most this often
constexpr Duration kLongestGoodbye = 1s;  // of the process, for the log's last lines
constexpr Duration kBeforeAbort = 100ms;  // likewise, when an assertion failed

struct Record {
    LogLevel level;
    LogFormat format;
    Duration time;
    std::string text;
};

// How many lines one place in the code has logged in its current second. Places that share an entry
// take it from each other, which can only let more lines through.
struct Site {
    const char* file = nullptr;
    std::uint32_t line = 0;
    std::uint32_t lines = 0;
    Duration since = Duration::zero();
};

enum class Mode : std::uint8_t {
    sleeping,  // nothing was logged yet, so there is no writer
    queued,    // the writer runs
    direct,    // the process is ending and the writer has gone: callers write
    silent,    // the same, but the writer hangs in its sink: nobody can write any more
};

thread_local constinit bool t_is_writer = false;

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

// Puts the time before the lines and brings them out. One thread at a time.
class Output {
public:
    void set_sink(LogSink sink) { sink_ = std::move(sink); }

    void write(const Record& record) {
        spdlog::details::log_msg message(
            spdlog::log_clock::time_point(
                std::chrono::duration_cast<spdlog::log_clock::duration>(record.time)),
            spdlog::source_loc(), "", spdlog_level(record.level), record.text);
        if (!sink_) {
            if (stderr_format_ != record.format) {
                stderr_format_ = record.format;
                stderr_sink_.set_formatter(formatter(record.format, "\n"));
            }
            stderr_sink_.log(message);
            return;
        }
        spdlog::memory_buf_t line;
        (record.format == LogFormat::json ? json_ : text_)->format(message, line);
        sink_(record.level, std::string_view(line.data(), line.size()));
    }

    void flush() {
        if (!sink_) stderr_sink_.flush();
    }

private:
    using Formatter = std::unique_ptr<spdlog::formatter>;

    static Formatter formatter(LogFormat format, std::string line_end) {
        const char* pattern = format == LogFormat::json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",%v"
                                                        : "%Y-%m-%dT%H:%M:%S.%fZ %^%-7l%$ %v";
        auto made = std::make_unique<spdlog::pattern_formatter>(
            pattern, spdlog::pattern_time_type::utc, std::move(line_end));
        // It keeps the calendar form of the second it saw last, and takes second zero for one it
        // has seen. Virtual time begins there, so it is shown another second first.
        spdlog::memory_buf_t unused;
        made->format(spdlog::details::log_msg(spdlog::log_clock::time_point(1s),
                                              spdlog::source_loc(), "", spdlog::level::info, ""),
                     unused);
        return made;
    }

    spdlog::sinks::ansicolor_stderr_sink_st stderr_sink_{spdlog::color_mode::automatic};
    std::optional<LogFormat> stderr_format_;
    Formatter text_ = formatter(LogFormat::text, "");
    Formatter json_ = formatter(LogFormat::json, "");
    LogSink sink_;
};

class Log {
public:
    // Never destroyed: others log while the process ends, and the writer may still run.
    static Log& instance() {
        static Log& log = *new Log();
        return log;
    }

    void write(LogLevel level, std::string_view message, LogFields fields,
               const std::source_location& location) {
        if (level < least_.load(std::memory_order_relaxed)) return;
        Duration now = clock_.load(std::memory_order_relaxed)();
        {
            LockGuard lock(queue_mutex_);
            if (!admit(level, location, now)) return;
        }
        LogFormat format = format_.load(std::memory_order_relaxed);
        Record record{level, format, now,
                      format == LogFormat::json
                          ? base_internal::json_line(level, message, fields, location)
                          : base_internal::text_line(level, message, fields, location)};
        {
            LockGuard lock(queue_mutex_);
            if (mode_ == Mode::sleeping) start_writer();
            if (mode_ == Mode::silent) return;
            if (mode_ == Mode::queued) return enqueue(std::move(record));
            ++accepted_;
            ++written_;
        }
        LockGuard lock(output_mutex_);
        output_.write(record);
        output_.flush();
    }

    bool flush(Duration longest) {
        LockGuard lock(queue_mutex_);
        return flush_locked(longest);
    }

    // On the way to abort(): whoever failed may hold our mutex, or be the writer.
    void flush_before_abort() {
        if (t_is_writer || !queue_mutex_.try_lock()) return;
        flush_locked(kBeforeAbort);
        queue_mutex_.unlock();
    }

    void set_sink(LogSink sink) {
        flush(kLongestGoodbye);
        LockGuard lock(output_mutex_);
        output_.set_sink(std::move(sink));
    }

    LogStats stats() {
        LockGuard lock(queue_mutex_);
        return {written_ - discarded_, overload_.total, burst_.total};
    }

    void set_level(LogLevel least) { least_.store(least, std::memory_order_relaxed); }
    bool enabled(LogLevel level) { return level >= least_.load(std::memory_order_relaxed); }
    void set_format(LogFormat format) { format_.store(format, std::memory_order_relaxed); }
    void set_clock(Duration (*clock)() noexcept) {
        clock_.store(clock != nullptr ? clock : &wall_now, std::memory_order_relaxed);
    }

private:
    struct Dropped {
        std::uint64_t total = 0;
        std::uint64_t reported = 0;

        std::uint64_t unreported() const { return total - reported; }
    };

    // Decides cheaply, before the line is put together.
    bool admit(LogLevel level, const std::source_location& location, Duration now)
        TROUPE_REQUIRES(queue_mutex_) {
        std::uint64_t key = reinterpret_cast<std::uintptr_t>(location.file_name());
        Site& site = sites_[hash_combine(key, location.line()) % kSites];
        bool same = site.file == location.file_name() && site.line == location.line();
        if (!same || now < site.since || now - site.since >= kBurstTime) {
            site = Site{location.file_name(), location.line(), 0, now};
        }
        if (site.lines == kBurstLines) {
            ++burst_.total;
            burst_site_ = location;
            // The writer sleeps while nothing is queued; it has to set out to report this.
            if (burst_.unreported() == 1) arrived_.notify_one();
            return false;
        }
        ++site.lines;
        if (queue_.size() >= kDropFrom && level < LogLevel::warn) {
            ++overload_.total;
            return false;
        }
        return true;
    }

    void enqueue(Record&& record) TROUPE_REQUIRES(queue_mutex_) {
        if (queue_.size() >= kDiscardAt) {
            overload_.total += queue_.size();
            discarded_ += queue_.size();
            written_ += queue_.size();
            queue_.clear();
        }
        queue_.push_back(std::move(record));
        std::uint64_t mine = ++accepted_;
        if (queue_.size() == 1) arrived_.notify_one();
        if (queue_.size() <= kSlowDownAbove || writer_is_stuck_ || t_is_writer) return;

        // Wait our turn, as long as the writer moves at all. By the machine's clock, since it is a
        // real thread that is waited for, also in a simulation, which sees nothing of it.
        const AsksMachine machine(kMachineTime);
        std::uint64_t before = written_;
        Duration deadline = monotonic_now() + kLongestDelay;
        Duration left = kLongestDelay;
        while (written_ < mine && left > Duration::zero()) {
            progressed_.wait_for(queue_mutex_, left);
            left = deadline - monotonic_now();
        }
        if (written_ == before) writer_is_stuck_ = true;
    }

    bool flush_locked(Duration longest) TROUPE_REQUIRES(queue_mutex_) {
        if (mode_ == Mode::silent) return false;
        if (mode_ != Mode::queued || t_is_writer) return true;
        const AsksMachine machine(kMachineTime);  // as in enqueue
        Duration deadline = monotonic_now() + longest;
        std::uint64_t target = accepted_;
        ++flushing_;
        arrived_.notify_one();
        bool done = true;
        while (written_ < target || anything_to_report()) {
            Duration left = deadline - monotonic_now();
            if (left <= Duration::zero()) {
                done = false;
                break;
            }
            progressed_.wait_for(queue_mutex_, left);
        }
        --flushing_;
        return done;
    }

    bool anything_to_report() const TROUPE_REQUIRES(queue_mutex_) {
        return overload_.unreported() + burst_.unreported() != 0;
    }

    void start_writer() TROUPE_REQUIRES(queue_mutex_) {
        // No signal is meant for the writer, so it must not be the thread that gets one.
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        // The first line may be that of a simulated step: it runs no code of the simulation.
        const AsksMachine machine(kMachineThread);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        auto run = [](void* log) -> void* {
            static_cast<Log*>(log)->run_writer();
            return nullptr;
        };
        bool started = ::pthread_create(&writer_, nullptr, run, this) == 0;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        mode_ = started ? Mode::queued : Mode::direct;
        if (!started) return;
        std::atexit([] { instance().say_goodbye(); });
        base_internal::set_before_abort([]() noexcept { instance().flush_before_abort(); });
    }

    void run_writer() {
        t_is_writer = true;
        std::deque<Record> batch;
        for (;;) {
            std::uint64_t lines = 0;
            {
                LockGuard lock(queue_mutex_);
                wait_for_work();
                if (queue_.empty() && stopping_ && !anything_to_report()) {
                    mode_ = Mode::direct;
                    progressed_.notify_all();
                    return;
                }
                std::swap(batch, queue_);
                lines = batch.size();
                if (report_is_due()) batch.push_back(take_report());
            }
            {
                LockGuard lock(output_mutex_);
                for (const Record& record : batch)
                    output_.write(record);
                output_.flush();
            }
            batch.clear();
            LockGuard lock(queue_mutex_);
            written_ += lines;
            writer_is_stuck_ = false;
            progressed_.notify_all();
        }
    }

    // Sleeps without a time limit unless something was left out and not reported yet.
    void wait_for_work() TROUPE_REQUIRES(queue_mutex_) {
        while (queue_.empty() && !stopping_ && !report_is_due()) {
            if (anything_to_report()) {
                arrived_.wait_for(queue_mutex_, kReportEvery);
                if (queue_.empty()) report_now_ = true;
            } else {
                arrived_.wait(queue_mutex_);
            }
        }
    }

    // Once a second under load, at once when somebody waits for all to be said.
    bool report_is_due() const TROUPE_REQUIRES(queue_mutex_) {
        if (!anything_to_report()) return false;
        return flushing_ != 0 || stopping_ || report_now_ ||
               monotonic_now() - last_report_ >= kReportEvery;
    }

    Record take_report() TROUPE_REQUIRES(queue_mutex_) {
        LogFields fields = {{"by_overload", overload_.unreported()},
                            {"by_burst", burst_.unreported()},
                            {"burst_in", burst_site_.file_name()},
                            {"burst_line", burst_site_.line()}};
        overload_.reported = overload_.total;
        burst_.reported = burst_.total;
        last_report_ = monotonic_now();
        report_now_ = false;
        constexpr std::string_view kMessage = "log lines were left out";
        LogFormat format = format_.load(std::memory_order_relaxed);
        auto here = std::source_location::current();
        return Record{LogLevel::warn, format, clock_.load(std::memory_order_relaxed)(),
                      format == LogFormat::json
                          ? base_internal::json_line(LogLevel::warn, kMessage, fields, here)
                          : base_internal::text_line(LogLevel::warn, kMessage, fields, here)};
    }

    // Runs at exit. Objects destroyed after this still log, then in their own thread.
    void say_goodbye() {
        bool gone = false;
        {
            LockGuard lock(queue_mutex_);
            stopping_ = true;
            arrived_.notify_one();
            Duration deadline = monotonic_now() + kLongestGoodbye;
            Duration left = kLongestGoodbye;
            while (mode_ == Mode::queued && left > Duration::zero()) {
                progressed_.wait_for(queue_mutex_, left);
                left = deadline - monotonic_now();
            }
            gone = mode_ == Mode::direct;
            if (!gone) mode_ = Mode::silent;
        }
        // A writer that hangs in its sink cannot be joined; it owns nothing that goes away.
        gone ? ::pthread_join(writer_, nullptr) : ::pthread_detach(writer_);
    }

    static constexpr std::size_t kSites = 256;

    std::atomic<LogLevel> least_{LogLevel::info};            // anybody sets it, every line reads it
    std::atomic<LogFormat> format_{LogFormat::text};         // the same
    std::atomic<Duration (*)() noexcept> clock_{&wall_now};  // the same

    Mutex queue_mutex_{LockRank::log_queue};
    CondVar arrived_;     // the writer waits: for lines, or the end
    CondVar progressed_;  // callers wait: for lines to be written
    std::deque<Record> queue_ TROUPE_GUARDED_BY(queue_mutex_);
    std::uint64_t accepted_ TROUPE_GUARDED_BY(queue_mutex_) = 0;
    std::uint64_t written_ TROUPE_GUARDED_BY(queue_mutex_) =
        0;  // or discarded, reports not counted
    std::uint64_t discarded_ TROUPE_GUARDED_BY(queue_mutex_) = 0;
    Dropped overload_ TROUPE_GUARDED_BY(queue_mutex_);
    Dropped burst_ TROUPE_GUARDED_BY(queue_mutex_);
    std::source_location burst_site_ TROUPE_GUARDED_BY(queue_mutex_);
    Duration last_report_ TROUPE_GUARDED_BY(queue_mutex_) = Duration::zero();
    bool report_now_ TROUPE_GUARDED_BY(queue_mutex_) = false;
    int flushing_ TROUPE_GUARDED_BY(queue_mutex_) = 0;
    bool writer_is_stuck_ TROUPE_GUARDED_BY(queue_mutex_) = false;
    bool stopping_ TROUPE_GUARDED_BY(queue_mutex_) = false;
    Mode mode_ TROUPE_GUARDED_BY(queue_mutex_) = Mode::sleeping;
    Site sites_[kSites] TROUPE_GUARDED_BY(queue_mutex_);
    pthread_t writer_{};  // by start_writer, then by say_goodbye

    Mutex output_mutex_{LockRank::log_output};
    Output output_ TROUPE_GUARDED_BY(output_mutex_);
};

}  // namespace

void log(LogLevel level, std::string_view message, LogFields fields,
         std::source_location location) noexcept {
    Log::instance().write(level, message, fields, location);
}

void set_log_level(LogLevel least) noexcept {
    Log::instance().set_level(least);
}
bool log_enabled(LogLevel level) noexcept {
    return Log::instance().enabled(level);
}
void set_log_format(LogFormat format) noexcept {
    Log::instance().set_format(format);
}
void set_log_sink(LogSink sink) noexcept {
    Log::instance().set_sink(std::move(sink));
}
void set_log_clock(Duration (*clock)() noexcept) noexcept {
    Log::instance().set_clock(clock);
}
bool log_flush(Duration longest) noexcept {
    return Log::instance().flush(longest);
}
LogStats log_stats() noexcept {
    return Log::instance().stats();
}

}  // namespace troupe

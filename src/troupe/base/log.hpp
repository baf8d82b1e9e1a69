#pragma once

// The structured log: a constant message and typed fields, one line each, on standard error unless
// a sink takes them.
//
//     log_info("connection accepted", {{"peer", address}, {"open", count}});
//
// A log must never be what brings the process down, so it protects itself against overload. Lines
// are queued and written by a thread of the log's own. With more than 10 lines waiting, callers
// slow down to the writer's pace, but by no more than a millisecond a line, and not at all while
// the writer is stuck. From 200 on, only warnings and errors are taken. At 1000, what waits is
// thrown away, since the newest lines say more than the oldest. One place in the code may log 500
// lines a second. All that is left out is counted, and the count is logged.

#include <troupe/base/duration.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>

namespace troupe {

class Error;
template <class Signature>
class UniqueFunction;

enum class LogLevel : std::uint8_t { debug, info, warn, error };

/// A value in a line of the log. It borrows what it is made of until the call to log returns.
class LogValue {
public:
    LogValue(std::same_as<bool> auto value) : kind_(Kind::boolean) { of_.boolean = value; }
    LogValue(std::signed_integral auto value) : kind_(Kind::integer) { of_.integer = value; }
    LogValue(std::unsigned_integral auto value)
        requires(!std::same_as<decltype(value), bool>)
        : kind_(Kind::natural) {
        of_.natural = value;
    }
    LogValue(std::floating_point auto value) : kind_(Kind::real) {
        of_.real = static_cast<double>(value);
    }
    LogValue(std::string_view value) : kind_(Kind::text) { of_.text = value; }
    LogValue(const char* value) : LogValue(std::string_view(value)) {}
    LogValue(const std::string& value) : LogValue(std::string_view(value)) {}
    template <class Count, class Period>
    LogValue(std::chrono::duration<Count, Period> value) : kind_(Kind::duration) {
        of_.integer = std::chrono::duration_cast<Duration>(value).count();
    }
    /// The error's whole message.
    LogValue(const Error& value) : kind_(Kind::error) { of_.error = &value; }

    enum class Kind : std::uint8_t { boolean, integer, natural, real, text, duration, error };
    union Of {
        Of() : integer(0) {}
        bool boolean;
        std::int64_t integer;  // of a duration: nanoseconds
        std::uint64_t natural;
        double real;
        std::string_view text;
        const Error* error;
    };

    Kind kind() const noexcept { return kind_; }
    const Of& of() const noexcept { return of_; }

private:
    Kind kind_;
    Of of_;
};

class LogField {
public:
    LogField(std::string_view key, LogValue value) : key_(key), value_(value) {}

    std::string_view key() const noexcept { return key_; }
    const LogValue& value() const noexcept { return value_; }

private:
    std::string_view key_;
    LogValue value_;
};

using LogFields = std::initializer_list<LogField>;

/// Writes a line: a message that is the same each time, and what differs as fields.
///
/// Errors:  none; a line that cannot be written is counted (log_stats). Throws nothing.
/// Threads: any, also before main and while the process ends. Delays the caller by a millisecond at
///          most, and only while more than 10 lines wait.
/// Order:   lines of one thread appear in the order they were logged.
void log(LogLevel level, std::string_view message, LogFields fields = {},
         std::source_location location = std::source_location::current()) noexcept;

inline void log_debug(std::string_view message, LogFields fields = {},
                      std::source_location location = std::source_location::current()) noexcept {
    log(LogLevel::debug, message, fields, location);
}
inline void log_info(std::string_view message, LogFields fields = {},
                     std::source_location location = std::source_location::current()) noexcept {
    log(LogLevel::info, message, fields, location);
}
inline void log_warn(std::string_view message, LogFields fields = {},
                     std::source_location location = std::source_location::current()) noexcept {
    log(LogLevel::warn, message, fields, location);
}
inline void log_error(std::string_view message, LogFields fields = {},
                      std::source_location location = std::source_location::current()) noexcept {
    log(LogLevel::error, message, fields, location);
}

/// Lines below this level are left out; info at the beginning.
///
/// Threads: any.
void set_log_level(LogLevel least) noexcept;

/// Whether lines of this level are written: to skip work that only the log needs.
bool log_enabled(LogLevel level) noexcept;

/// `text` is for people: time, level, message, key=value. `json` is an object a line.
enum class LogFormat : std::uint8_t { text, json };

/// Threads: any. Holds for lines logged from here on.
void set_log_format(LogFormat format) noexcept;

/// Receives each line, without the line's end, in place of standard error.
using LogSink = UniqueFunction<void(LogLevel level, std::string_view line)>;

/// Replaces where lines go, after those logged so far have been written there; an empty sink means
/// standard error again.
///
/// Threads: any. The sink is called by one thread at a time and throws nothing.
void set_log_sink(LogSink sink) noexcept;

/// Replaces where the time in the lines, and of the limit a second, comes from; nullptr means the
/// machine's wall clock again. The simulator shows virtual time this way.
///
/// Threads: any.
void set_log_clock(Duration (*clock)() noexcept) noexcept;

/// Waits until all that was logged before is written. False: the time was not enough.
///
/// Threads: any; blocks the thread, so never from a worker's turn.
bool log_flush(Duration longest = std::chrono::seconds(1)) noexcept;

/// Lines since the process started.
struct LogStats {
    std::uint64_t written = 0;
    std::uint64_t dropped_by_overload = 0;  // too many lines were waiting
    std::uint64_t dropped_by_burst = 0;     // one place logged more than 500 a second
};

/// Threads: any.
LogStats log_stats() noexcept;

}  // namespace troupe

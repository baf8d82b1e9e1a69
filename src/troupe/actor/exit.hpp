#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/shared_text.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// Why an actor ended. Copying it allocates nothing, so that it can be told to many at the end.
class ExitReason {
public:
    enum class Kind : std::uint8_t {
        normal,         ///< it had nothing more to do
        shutdown,       ///< it was asked to stop
        shutdown_with,  ///< the same, with a text
        failed,         ///< a handler threw, or starting failed
        killed,         ///< it was killed
        noproc,         ///< there was no such actor
        timeout,        ///< something it had to do in time took too long
        node_down,      ///< the connection to its node is gone
    };

    ExitReason() = default;
    explicit ExitReason(Kind kind, std::string_view text = std::string_view())
        : kind_(kind), text_(text) {}

    Kind kind() const noexcept { return kind_; }
    bool has_text() const noexcept { return !text_.empty(); }
    /// The exception's or the stopper's text; for the other kinds their name.
    std::string text() const;
    /// Whether a supervisor would call this a failure.
    bool abnormal() const noexcept {
        return kind_ != Kind::normal && kind_ != Kind::shutdown && kind_ != Kind::shutdown_with;
    }
    friend bool operator==(const ExitReason&, const ExitReason&) = default;

private:
    Kind kind_ = Kind::normal;
    SharedText text_;
};

/// The kind's name: "shutdown".
const char* name(ExitReason::Kind kind) noexcept;

/// How firmly an actor is asked to end.
enum class Stop : std::uint8_t {
    drain,  ///< after the mail it has now
    stop,   ///< after the handler that runs now
    kill,   ///< at that handler's next suspension; it is never resumed, on_stop is skipped
};

/// What a monitor hears when the actor it watches has ended.
struct Down {
    Pid pid;
    /// Which of a supervised actor's lives has ended, counted from 1: its address may stay, and
    /// can be monitored again. 0 when there was no such actor.
    std::uint32_t incarnation = 1;
    ExitReason reason;
};

/// What an actor that traps exits hears when one it is linked to has ended.
struct Exit {
    Pid pid;
    ExitReason reason;
};

}  // namespace troupe

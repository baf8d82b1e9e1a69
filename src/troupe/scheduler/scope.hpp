#pragma once

/// What the code that runs now runs under: whether it is cancelled, and until when it may wait.
///
/// The problem: cancelling must reach a handler or task wherever it waits, must go on holding for
/// whatever it awaits afterwards, must stop at a shield, and must not cost anything where nobody
/// uses it.
///
/// The answer: `MailNode::context` of the message whose handler runs (or of the task) is a stack of
/// contexts, the innermost first. A `Scope` lies in the frame of the coroutine that opened it, and
/// only the cell's own turn touches it. Whoever wants to cancel from elsewhere sends the cell a
/// `CancelSignal`. A wait that begins looks through the stack, and a signal that arrives ends the
/// wait of the moment; without a stack both are one comparison. See
/// docs/design/0032-cancellation.md.

#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// One element of the stack.
class Context {
public:
    enum class Kind : std::uint8_t {
        scope,  ///< in the frame of a coroutine
        root,   ///< the same for the whole handler: made when it is cancelled, freed with it
        facts,  ///< what travels with messages; shared, so always at the bottom
        shown,  ///< the same, in the frame of a coroutine
    };

    explicit Context(Kind kind) noexcept : kind_(kind) {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    Kind kind() const noexcept { return kind_; }

    Context* outer = nullptr;  ///< null at the bottom

protected:
    ~Context() = default;

private:
    Kind kind_;
};

/// Part of what a handler or task does that can be cancelled by itself. Its cell's turn only.
class Scope : public Context {
public:
    Scope() noexcept : Context(Kind::scope) {}
    ~Scope() { leave(); }

    /// What runs in this turn from now on runs in this scope. In a turn only.
    void enter();
    /// And from now on no more; scopes are left in the reverse order.
    void leave() noexcept;

    void cancel(const Error& why);
    bool cancelled() const noexcept { return cancelled_; }
    /// When it was cancelled, by the engine's clock.
    Duration since() const noexcept { return since_; }
    const Error& reason() const noexcept { return reason_; }
    /// How many waits this has ended or not let begin.
    std::uint32_t waits_ended() const noexcept { return waits_ended_; }
    void note_wait_ended() noexcept { ++waits_ended_; }

    /// It is cancelled then. Units: engine time.
    Duration deadline = Duration::max();
    /// A shield: what cancels the scopes outside of it is felt here so much later. Below zero: at
    /// once.
    Duration grace{-1};

protected:
    explicit Scope(Kind kind) noexcept : Context(kind) {}

private:
    friend struct ScopeView;

    MailNode* handling_ = nullptr;  // whose stack it is on
    bool cancelled_ = false;
    std::uint32_t waits_ended_ = 0;
    Duration since_{};
    Error reason_{Errc::cancelled};
};

/// What travels with everything that a handler or task sends, asks, spawns and starts: the trace it
/// belongs to, and what users put along. Never changed once it is shared; counted.
class Facts : public Context {
public:
    struct Trace {
        std::uint64_t id_high = 0;  ///< of the trace; 0 and 0: none
        std::uint64_t id_low = 0;
        std::uint64_t span = 0;  ///< of whoever caused this
        bool sampled = false;
        friend bool operator==(const Trace&, const Trace&) = default;
    };

    /// A copy of those that hold now, or empty ones, to be added to and then carried. Counts one.
    static Facts* copy_of_now();

    Trace trace;
    std::vector<std::pair<std::string, std::string>> baggage;

    void retain() noexcept { users_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;

    /// Those that hold in this turn; null when there are none.
    static Facts* now() noexcept;
    /// The same, counted once more: for a message that is made here. One load where nobody in the
    /// process uses any.
    static Facts* carried() noexcept { return in_use() ? carry() : nullptr; }
    static bool in_use() noexcept { return in_use_.load(std::memory_order_relaxed); }

private:
    Facts() noexcept : Context(Kind::facts) {}
    ~Facts() = default;
    static Facts* carry() noexcept;

    std::atomic<std::uint32_t> users_{1};                      // whoever has it
    static inline constinit std::atomic<bool> in_use_{false};  // set once; all read
};

/// Shows other facts to what a coroutine calls. Its cell's turn only; entered and left as a Scope.
class ShownFacts : public Context {
public:
    /// Takes the count over.
    explicit ShownFacts(Facts* facts) noexcept;
    ~ShownFacts();
    Facts& facts() const noexcept { return *facts_; }

private:
    Facts* facts_;
    MailNode* handling_;
};

/// What a stack of contexts says at a moment.
struct ScopeView {
    Scope* cancelled_by = nullptr;        ///< null: not cancelled
    Duration deadline = Duration::max();  ///< when it will be, if nothing changes

    /// Units: engine time.
    static ScopeView of(Context* innermost, Duration now) noexcept;
};

/// What the running turn handles: a message, a hook or a task; null outside of all.
MailNode* handled_now() noexcept;
/// As ScopeView::of, for what runs in this turn.
ScopeView scope_now() noexcept;

/// Begins a wait that a cancellation ends, as begin_await. False when it is cancelled already: then
/// nothing has begun, and await_suspend returns `record.yielding`.
///
/// A scope that goes on waiting after it was cancelled is named in the log, and from some point on
/// every wait lets the others go first, so that a loop that does not look at results starves
/// nobody.
bool begin_wait(Awaiting& record, std::coroutine_handle<> leaf) noexcept;

/// The error of a wait that was cancelled, or that a stop has ended. In the turn that goes on.
Error cancelled_error(const Awaiting& record);

/// Cancels the whole of what `handling` does, from now on. In its cell's turn.
void cancel_handling(MailNode& handling, const Error& why);

/// Something about the scopes of `handling`, which waits in the cell at `record`, has changed. True
/// when the wait has ended by it. Either may be null. The cell's turn.
bool look_at_scope_again(Cell& cell, Awaiting* record, const MailNode* handling) noexcept;

/// Frees what the message's context owns. After its handler has ended; whoever frees the message.
void release_context_slowly(MailNode& message) noexcept;
inline void release_context(MailNode& message) noexcept {
    if (message.context != nullptr) [[unlikely]]
        release_context_slowly(message);
}

/// Asks a cell to cancel something it does.
struct CancelSignal : MailNode {
    explicit CancelSignal(Error why) noexcept : reason(std::move(why)) {}
    Error reason;
    bool kill = false;               ///< a task: it is not resumed any more
    const Cell* asker = nullptr;     ///< an actor: what this cell has asked it for
    std::uint32_t await_number = 0;  ///< in this await
};

}  // namespace troupe

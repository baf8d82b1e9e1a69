#pragma once

/// A trace: every choice of a run, in order. It is the test case; a seed only makes one.
///
/// As text it is one word that fits on a command line. Choices that took the first alternative are
/// most of any run and nearly all of one that was shrunk, so stretches of them cost two letters.

#include <troupe/base/result.hpp>
#include <troupe/scheduler/choice.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::sim {

/// One question and its answer.
struct Choice {
    std::uint64_t answer = 0;
    std::uint64_t n = 0;         ///< alternatives; 0: not known, since the first was taken
    std::uint32_t question = 0;  ///< what was asked, and by whom: `question_of`
    /// Of a step: whose turn was taken. Not part of the text.
    std::uint32_t subject = 0;

    friend bool operator==(const Choice&, const Choice&) = default;
};

/// The kind of a choice and the place that asks, as one number.
std::uint32_t question_of(ChoiceKind kind, const char* site) noexcept;
ChoiceKind kind_of(const Choice& choice) noexcept;

using Trace = std::vector<Choice>;

/// `t1:` and letters, digits, `-` and `_`. Choices behind the last that did not take the first
/// alternative are left out: that is what a replay does at the end of a trace.
std::string to_text(const Trace& trace);
/// Errors:  failed, with what is wrong with the text. `@path` reads the text from a file.
Result<Trace> trace_from(std::string_view text);

/// Whether the two agree but for what the text leaves out.
bool same_in_text(const Trace& left, const Trace& right);

/// How many choices did not take the first alternative.
std::size_t departures(const Trace& trace) noexcept;

/// Where a recorder puts its choices: memory that outlives it, and may outlive the process.
struct TraceBuffer {
    std::span<Choice> room;
    std::size_t used = 0;
    bool overflowed = false;  ///< there were more choices than room
};

/// Asks another chooser and writes its answers down.
class Recorder final : public Chooser {
public:
    /// `buffer` null: nothing is written down.
    Recorder(Chooser& chooser, TraceBuffer* buffer)
        : Chooser(chooser.looks_at_steps()), chooser_(chooser), buffer_(buffer) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;
    std::size_t choose_step(std::span<const Alternative> steps) override;

    /// From now on the first alternative is taken, and nothing is written down: how a test is taken
    /// down is not part of it.
    void finish() noexcept { finished_ = true; }

private:
    void write(const Choice& choice) noexcept;

    Chooser& chooser_;
    TraceBuffer* buffer_;
    bool finished_ = false;
};

/// Takes the choices of a trace. Where the run asks something else than the trace has an answer
/// to, and behind the trace's end, another chooser goes on.
class Replayer final : public Chooser {
public:
    static constexpr std::size_t kNowhere = ~std::size_t{0};

    /// `go_on` null: the first alternative is taken.
    explicit Replayer(Trace trace, Chooser* go_on = nullptr)
        : trace_(std::move(trace)), go_on_(go_on) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;

    /// At which choice the run was not that of the trace any more; kNowhere while it is.
    std::size_t diverged_at() const noexcept { return diverged_at_; }

private:
    Trace trace_;
    Chooser* go_on_;
    std::size_t at_ = 0;
    std::size_t diverged_at_ = kNowhere;
};

/// Follows a trace that was tampered with as well as can be: where it says whose turn it is, that
/// one gets it, wherever it stands now; where the answer is none, the first alternative is taken.
class LooseReplayer final : public Chooser {
public:
    explicit LooseReplayer(const Trace& trace) : Chooser(true), trace_(trace) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;
    std::size_t choose_step(std::span<const Alternative> steps) override;

private:
    const Trace& trace_;
    std::size_t at_ = 0;
};

/// Always the first alternative: whoever has been runnable for longest goes on.
class FirstChooser final : public Chooser {
public:
    std::uint64_t choose(std::uint64_t, ChoiceKind, const char*) override { return 0; }
};

}  // namespace troupe::sim

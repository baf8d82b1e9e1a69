#pragma once

/// Programs that code under test starts, as a script of what each does: says something, takes its
/// time, exits, dies or hangs.
///
///     sim::Programs programs(sim);
///     programs.set("convert", sim::Script().says("page 1\n").waits(2s).exits(0));
///     ...
///     auto child = programs.start("convert", {"in.pdf"});
///     const auto ended = co_await child->wait();
///
/// Code under test reaches it through an interface of its own, with real processes behind that in
/// production, as for Disk.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

class Sim;

namespace sim {

/// How a child has ended.
struct ChildEnd {
    int status = 0;  ///< what it exited with
    int signal = 0;  ///< what it was ended by; 0: it exited
    friend bool operator==(const ChildEnd&, const ChildEnd&) = default;
};

/// What a program does, from its start on. One that says nothing of its end exits with 0.
class Script {
public:
    Script& says(std::string output);
    Script& waits(Duration duration);
    /// Takes that long or anything up to it, as the strategy likes.
    Script& waits_up_to(Duration duration);
    Script& exits(int status);
    Script& dies(int signal);
    /// Goes on until it is killed.
    Script& hangs();
    /// Takes no notice of SIGTERM.
    Script& ignores_term();

private:
    friend class Programs;
    friend class Child;

    struct Step {
        enum class Kind : std::uint8_t { output, wait, wait_up_to, end, hang };
        Kind kind;
        std::string output;
        Duration duration{};
        ChildEnd end;
    };
    Script& add(Step step);

    std::vector<Step> steps_;
    bool ignores_term_ = false;
};

/// A process that was started. Letting go of it kills it.
///
/// Threads: in an actor or task of the simulation; one at a time waits or reads.
class Child {
public:
    class State;

    explicit Child(std::shared_ptr<State> state) noexcept;
    Child(Child&&) noexcept;
    Child& operator=(Child&&) noexcept;
    ~Child();

    const std::vector<std::string>& arguments() const noexcept;
    /// What it has said next; empty once it has ended and all was read.
    ///
    /// Errors:  cancelled.
    Task<Result<std::string>> read();
    /// Errors:  cancelled.
    Task<Result<ChildEnd>> wait();
    /// SIGKILL, and SIGTERM, which it may ignore. Nothing, when it has ended.
    void kill();
    void terminate();

private:
    std::shared_ptr<State> state_;  // shared with those who wait in read and wait
};

/// The programs that there are.
class Programs {
public:
    explicit Programs(Sim& sim) : sim_(&sim) {}

    /// From now on a program of that name does this; one that has been started goes on as it was.
    void set(std::string name, Script script);
    /// As above, by what it is started with.
    void set(std::string name,
             std::function<Script(const std::vector<std::string>& arguments)> script);
    void remove(const std::string& name) { programs_.erase(name); }

    /// Errors:  not_found.
    Result<Child> start(const std::string& name, std::vector<std::string> arguments = {});

    /// How many were started, and how many of them run at present.
    std::size_t started() const noexcept { return started_; }
    std::size_t running() const noexcept;

private:
    Sim* sim_;
    std::map<std::string, std::function<Script(const std::vector<std::string>&)>> programs_;
    std::vector<std::weak_ptr<Child::State>> children_;
    std::size_t started_ = 0;
};

}  // namespace sim
}  // namespace troupe

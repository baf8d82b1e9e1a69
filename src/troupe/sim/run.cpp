/// Running a test once, and many times in forked processes.
///
/// Why processes: a failed assertion of ours, a crash or an endless loop in one run must not end
/// the search, or the shrinking that follows; and cores are used without a thread in any simulated
/// process. What a child finds out lies in memory that it shares with its parent, so it is there
/// even if the child is not: the choices of the run that is under way, above all.

#include <troupe/actor/accounting.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/log.hpp>
#include <troupe/sim/internal/invariants.hpp>
#include <troupe/sim/internal/promises.hpp>
#include <troupe/sim/internal/shared_memory.hpp>
#include <troupe/sim/run.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::sim {

using sim_internal::Promises;
using sim_internal::Shared;

// ---- once ---------------------------------------------------------------------------------------

namespace {

/// Asks another chooser whose turn it is up to some step; from there on turns are fair.
class FairInTheEnd final : public Chooser {
public:
    FairInTheEnd(Chooser& chooser, std::uint64_t steps)
        : Chooser(chooser.looks_at_steps()), chooser_(chooser), left_(steps) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override {
        if (kind == ChoiceKind::next_runnable && is_over()) return 0;
        return chooser_.choose(n, kind, site);
    }
    std::size_t choose_step(std::span<const Alternative> steps) override {
        return is_over() ? 0 : chooser_.choose_step(steps);
    }

private:
    bool is_over() noexcept {
        if (left_ == 0) return true;
        --left_;
        return false;
    }

    Chooser& chooser_;
    std::uint64_t left_;
};

}  // namespace

RunResult run_once(const TestCase& test, Chooser& chooser, const RunOptions& options) {
    count_messages();
    const std::uint64_t live_blocks = block_pool_stats().live_blocks;
    FairInTheEnd fair(chooser, options.fair_after);
    Recorder recorder(fair, options.trace);
    RunResult result;
    Sim sim(recorder);
    sim.engine().set_steps_max(options.steps_max);
    sim.engine().break_at(options.break_at);
    sim_internal::Invariants invariants(sim, options.observer);
    sim.engine().observe(&invariants);
    try {
        test.body(sim);
    } catch (const sim_internal::RunOver& over) {
        ignore(over, "the Sim knows why");
    } catch (const std::exception& thrown) {
        sim.fail(std::string("the test's body threw: ") + thrown.what());
    } catch (...) {
        sim.fail("the test's body threw something that is no std::exception");
    }
    if (test.has_failed && test.has_failed()) sim.fail("an expectation of the test failed");
    sim.engine().observe(nullptr);
    recorder.finish();
    result.steps = sim.engine().steps();
    result.time = sim.now();
    result.hash = sim.engine().event_hash();
    sim.engine().set_steps_max(options.steps_max * 2 + 1'000'000);  // to be taken down
    sim.finish(live_blocks);
    if (sim.failure() != nullptr) result.failure = *sim.failure();
    return result;
}

namespace {

// ---- what processes share -----------------------------------------------------------------------

constexpr std::size_t kChoicesMax = std::size_t{1} << 21;
constexpr std::size_t kTextMax = 16'384;
constexpr std::size_t kHashesMax = std::size_t{1} << 20;

/// One process's run, as it is under way or has failed.
struct Slot {
    std::atomic<std::uint64_t> runs{0};  // the child writes these, the parent reads
    std::atomic<std::uint64_t> steps{0};
    std::atomic<bool> failed{false};
    std::atomic<bool> done{false};  // the child has ended of its own accord
    std::uint64_t order = 0;        // of the run, among all
    Search search = Search::random;
    std::uint64_t seed = 0;
    TraceBuffer trace;
    std::uint64_t step = 0;
    Duration time{};
    std::uint64_t total_steps = 0;
    std::uint64_t hash = 0;
    std::array<char, kTextMax> text{};

    void begin(Search its_search, std::uint64_t its_seed) noexcept {
        search = its_search;
        seed = its_seed;
        // Lies behind the slot, untouched, so that it costs only what is used.
        trace = TraceBuffer{{reinterpret_cast<Choice*>(this + 1), kChoicesMax}};
    }
    void set_text(std::string_view what) noexcept {
        const std::size_t length = std::min(what.size(), kTextMax - 1);
        what.copy(text.data(), length);
        text[length] = '\0';
    }
    void keep(const RunResult& result) noexcept {
        total_steps = result.steps;
        hash = result.hash;
        time = result.time;
        step = result.steps;
        if (!result.failure) return;
        step = result.failure->step;
        time = result.failure->time;
        set_text(result.failure->text);
        // release: the parent reads the rest once it has seen this; pairs with its load.
        failed.store(true, std::memory_order_release);
    }
    Trace recorded() const {
        const auto used = trace.room.first(trace.used);
        return {used.begin(), used.end()};
    }
};

/// A slot and the room for its choices.
class SharedSlot {
public:
    SharedSlot()
        : memory_(sizeof(Slot) + kChoicesMax * sizeof(Choice)), slot_(::new(memory_.data()) Slot) {}
    Slot* operator->() const noexcept { return slot_; }
    Slot& operator*() const noexcept { return *slot_; }

private:
    sim_internal::SharedMemory memory_;
    Slot* slot_;
};

/// What all processes of an exploration share besides.
struct Common {
    std::atomic<std::uint64_t> next_session{0};  // each child takes the next
    std::atomic<bool> stop{false};               // some run has failed, or the time is up
    std::atomic<bool> exhaustive{false};
    std::atomic<std::size_t> hashes{0};
    Promises promises;
    std::array<std::uint64_t, kHashesMax> hash_of_run;

    void note(std::uint64_t hash) noexcept {
        const std::size_t at = hashes.fetch_add(1, std::memory_order_relaxed);
        if (at < kHashesMax) hash_of_run[at] = hash;
    }
};

// ---- children -----------------------------------------------------------------------------------

/// In a child: nothing it prints is seen, and nothing it logs is put together.
void be_silent() noexcept {
    constexpr auto kNothing = static_cast<LogLevel>(255);
    set_log_level(kNothing);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (nowhere < 0) return;
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::close(nowhere);
}

/// Runs `work` in a process of its own.
template <class Work>
pid_t fork_for(bool silent, Work work) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    if (silent) be_silent();
    work();
    std::fflush(nullptr);
    ::_exit(0);  // nothing of the parent's is flushed or destroyed twice
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status)) {
        return std::string("the process was ended by ") + ::strsignal(WTERMSIG(status));
    }
    return "the process ended itself with status " + std::to_string(WEXITSTATUS(status));
}

/// Waits for the child, but no longer than it may take for one run. How it ended, where that was
/// not as it should; empty otherwise.
std::string wait_for(pid_t child, const Slot& slot, Duration run_time_max) {
    int status = 0;
    std::uint64_t runs_seen = ~std::uint64_t{0};
    Duration since = monotonic_now();
    std::string hung;
    for (int pause_ms = 0;;) {
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) break;
        const std::uint64_t runs = slot.runs.load(std::memory_order_relaxed);
        const Duration now = monotonic_now();
        if (runs != runs_seen) {
            runs_seen = runs;
            since = now;
        } else if (hung.empty() && now - since > run_time_max) {
            hung = "the run took more than " + sim_internal::shown(run_time_max) +
                   " by the machine's clock: a handler does not return";
            ::kill(child, SIGKILL);
        }
        ::poll(nullptr, 0, pause_ms);
        pause_ms = std::min(pause_ms + 1, 10);
    }
    if (!hung.empty()) return hung;
    // acquire: pairs with the child's store.
    if (slot.done.load(std::memory_order_acquire)) return {};
    return how_it_ended(status);
}

// ---- many runs ----------------------------------------------------------------------------------

/// A stretch of runs of one strategy, for one process.
struct Session {
    Search search = Search::random;
    std::uint64_t first_seed = 0;
    std::size_t runs = 0;
    bool is_walk = false;  // it is the only one of its strategy
};

/// Cuts an exploration into sessions, as many as are asked for: a few runs of those that draw,
/// whose luck costs little; then those that learn from run to run, one each; then the others in
/// turn.
class Sessions {
public:
    explicit Sessions(const ExploreOptions& options) {
        for (std::size_t i = 0; i < options.searches.size(); ++i) {
            const std::size_t share = options.runs / options.searches.size() +
                                      (i < options.runs % options.searches.size() ? 1 : 0);
            auto& list = make_searcher(options.searches[i])->splits() ? split_ : whole_;
            list.push_back({options.searches[i], options.first_seed, share});
            most_ = std::max(most_, share);
        }
    }

    /// The session of this number, which may have no runs; nothing behind the last.
    std::optional<Session> at(std::uint64_t number) const {
        if (number < split_.size()) return part_of(number, 0, kRunsFirst);
        number -= split_.size();
        if (number < whole_.size()) {
            Session session = whole_[number];
            session.is_walk = true;
            session.runs = std::min(session.runs, kRunsOfWalk);
            return session;
        }
        if (split_.empty()) return std::nullopt;
        number -= whole_.size();
        const std::uint64_t begin = kRunsFirst + number / split_.size() * kRunsOfPart;
        if (begin >= most_) return std::nullopt;
        return part_of(number % split_.size(), begin, kRunsOfPart);
    }
    /// More processes have nothing to do.
    std::size_t count_up_to(std::size_t most) const {
        std::size_t count = 0;
        while (count < most && at(count))
            ++count;
        return count;
    }

private:
    Session part_of(std::uint64_t which, std::uint64_t begin, std::size_t runs) const {
        Session session = split_[which];
        session.first_seed += begin;
        session.runs = begin < session.runs ? std::min(session.runs - begin, runs) : 0;
        return session;
    }

    static constexpr std::size_t kRunsFirst = 16;
    static constexpr std::size_t kRunsOfPart = 64;
    static constexpr std::size_t kRunsOfWalk = 100'000;  // so that others have a turn, too

    std::vector<Session> whole_;
    std::vector<Session> split_;
    std::size_t most_ = 0;
};

void run_session(const TestCase& test, const Session& session, const ExploreOptions& options,
                 Duration until, Common& common, Slot& slot) {
    const auto searcher = make_searcher(session.search);
    for (std::size_t i = 0; i < session.runs; ++i) {
        if (common.stop.load(std::memory_order_relaxed) || monotonic_now() >= until) return;
        const std::uint64_t seed = session.first_seed + i;
        slot.begin(session.search, seed);
        Chooser* const chooser = searcher->next_run(seed);
        if (chooser == nullptr) {
            if (searcher->exhaustive()) common.exhaustive.store(true, std::memory_order_relaxed);
            return;
        }
        RunOptions run{.steps_max = options.steps_max, .fair_after = options.fair_after};
        run.observer = searcher->observer();
        run.trace = &slot.trace;
        const RunResult result = run_once(test, *chooser, run);
        common.note(result.hash);
        slot.steps.fetch_add(result.steps, std::memory_order_relaxed);
        slot.runs.fetch_add(1, std::memory_order_relaxed);
        slot.keep(result);
        if (result.failure) return;
    }
}

unsigned cores() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
}

Found found_in(const Slot& slot, const std::string& ending) {
    Found found;
    found.search = slot.search;
    found.seed = slot.seed;
    found.trace = slot.recorded();
    found.trace_complete = !slot.trace.overflowed;
    found.crashed = !ending.empty();
    found.text = found.crashed ? ending : std::string(slot.text.data());
    found.step = slot.step;
    found.time = slot.time;
    found.hash = slot.hash;
    return found;
}

/// What `explore` and `explore_here` have in common: the sessions, who takes them, and what was
/// seen.
class Exploring {
public:
    explicit Exploring(const ExploreOptions& options)
        : options_(options), began_(monotonic_now()), sessions_(options) {
        if (options.budget < Duration::max() - began_) until_ = began_ + options.budget;
    }

    std::size_t processes_up_to(unsigned wanted) const {
        return std::max<std::size_t>(sessions_.count_up_to(std::max(wanted, 1U)), 1);
    }

    /// Takes sessions until there are none, the time is up or some run has failed.
    void work(const TestCase& test, Slot& slot) const {
        Promises::use(&common_->promises);
        for (;;) {
            const std::optional<Session> session =
                sessions_.at(common_->next_session.fetch_add(1, std::memory_order_relaxed));
            if (!session || monotonic_now() >= until_) break;
            if (common_->stop.load(std::memory_order_relaxed)) break;
            run_session(test, *session, options_, until_for(*session), *common_, slot);
            if (slot.failed.load(std::memory_order_relaxed)) break;
        }
        if (slot.failed.load(std::memory_order_relaxed)) {
            common_->stop.store(true, std::memory_order_relaxed);
        }
        // release: the parent reads the rest once it has seen this; pairs with its load.
        slot.done.store(true, std::memory_order_release);
    }

    /// Adds what the one with this slot has done; `ending`: how its process ended, if not as it
    /// should.
    void add(Explored& explored, const Slot& slot, const std::string& ending) const {
        explored.runs += slot.runs.load(std::memory_order_relaxed);
        explored.steps += slot.steps.load(std::memory_order_relaxed);
        // acquire: pairs with keep.
        const bool failed = slot.failed.load(std::memory_order_acquire);
        if (!ending.empty() && !failed) {
            common_->stop.store(true, std::memory_order_relaxed);
            ++explored.runs;
        }
        if (explored.found || (!failed && ending.empty())) return;
        explored.found = found_in(slot, failed ? std::string() : ending);
    }

    void sum_up(Explored& explored) const {
        const std::size_t hashes =
            std::min(common_->hashes.load(std::memory_order_relaxed), kHashesMax);
        const auto begin = common_->hash_of_run.begin();
        const auto end = begin + static_cast<std::ptrdiff_t>(hashes);
        std::sort(begin, end);
        explored.distinct = static_cast<std::size_t>(std::unique(begin, end) - begin);
        explored.exhaustive = common_->exhaustive.load(std::memory_order_relaxed);
        explored.unmet = common_->promises.unmet();
        explored.took = monotonic_now() - began_;
    }

private:
    /// A walk could take all the time there is.
    Duration until_for(const Session& session) const {
        if (!session.is_walk || until_ == Duration::max()) return until_;
        const auto shares = static_cast<std::int64_t>(options_.searches.size());
        return std::min(until_, monotonic_now() + (until_ - began_) / shares);
    }

    const ExploreOptions& options_;
    Duration began_;
    Duration until_ = Duration::max();
    Sessions sessions_;
    Shared<Common> common_;
};

}  // namespace

Explored explore(const TestCase& test, const ExploreOptions& options) {
    const Exploring exploring(options);
    const unsigned wanted = options.processes != 0 ? options.processes : cores();
    const std::size_t processes = exploring.processes_up_to(wanted);
    std::vector<std::unique_ptr<SharedSlot>> slots;
    std::vector<pid_t> children;
    for (std::size_t i = 0; i < processes; ++i) {
        Slot& slot = **slots.emplace_back(std::make_unique<SharedSlot>());
        children.push_back(fork_for(true, [&] { exploring.work(test, slot); }));
    }
    Explored explored;
    for (std::size_t i = 0; i < processes; ++i) {
        const std::string ending = children[i] < 0
                                       ? std::string("fork: ") + std::strerror(errno)
                                       : wait_for(children[i], **slots[i], options.run_time_max);
        exploring.add(explored, **slots[i], ending);
    }
    exploring.sum_up(explored);
    return explored;
}

Explored explore_here(const TestCase& test, const ExploreOptions& options) {
    const Exploring exploring(options);
    const SharedSlot slot;
    exploring.work(test, *slot);
    Promises::use(nullptr);
    Explored explored;
    exploring.add(explored, *slot, {});
    exploring.sum_up(explored);
    return explored;
}

Replayed replay_apart(const TestCase& test, const Trace& trace, bool loosely,
                      const RunOptions& options) {
    const SharedSlot slot;
    const pid_t child = fork_for(options.silent, [&] {
        const Shared<Promises> promises;
        Promises::use(&*promises);
        slot->begin(Search::random, 0);
        RunOptions run = options;
        run.trace = &slot->trace;
        Replayer replayer(trace);
        LooseReplayer loose(trace);
        Chooser& chooser = loosely ? static_cast<Chooser&>(loose) : replayer;
        slot->keep(run_once(test, chooser, run));
        // release: as in explore.
        slot->done.store(true, std::memory_order_release);
    });
    Replayed replayed;
    const std::string ending = child < 0 ? std::string("fork: ") + std::strerror(errno)
                                         : wait_for(child, *slot, ExploreOptions().run_time_max);
    // acquire: pairs with keep.
    const bool failed = slot->failed.load(std::memory_order_acquire);
    replayed.crashed = !ending.empty() && !failed;
    if (replayed.crashed) {
        replayed.text = ending;
    } else if (failed) {
        replayed.text = slot->text.data();
    }
    replayed.trace = slot->recorded();
    replayed.result.hash = slot->hash;
    replayed.result.steps = slot->total_steps;
    replayed.result.time = slot->time;
    if (!replayed.text.empty()) {
        replayed.result.failure = Failure{replayed.text, slot->step, slot->time};
    }
    return replayed;
}

}  // namespace troupe::sim

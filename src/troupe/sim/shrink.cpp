#include <troupe/base/clock.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/shrink.hpp>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace troupe::sim {

namespace {

class Shrinker {
public:
    Shrinker(const TestCase& test, const ShrinkOptions& options)
        : test_(test),
          options_(options),
          until_(options.budget < Duration::max() - monotonic_now()
                     ? monotonic_now() + options.budget
                     : Duration::max()) {}

    Shrunk run(const Trace& failing) {
        // As it is, to begin with: the text has lost who took the steps, a run knows.
        best_.trace = failing;
        if (!try_out(failing, false)) return std::move(best_);
        for (bool smaller = true; smaller && !spent();) {
            smaller = cut_tail();
            smaller = without([](ChoiceKind kind) { return kind == ChoiceKind::fault; }) || smaller;
            smaller = without([](ChoiceKind kind) {
                          return kind == ChoiceKind::delay || kind == ChoiceKind::split;
                      }) ||
                      smaller;
            smaller = without([](ChoiceKind) { return true; }) || smaller;
            smaller = lower() || smaller;
        }
        return std::move(best_);
    }

private:
    bool spent() const { return best_.runs >= options_.runs_max || monotonic_now() >= until_; }

    /// Runs the trace; when it fails and is smaller than the best, what was run is the best.
    bool try_out(const Trace& trace, bool loosely = true) {
        ++best_.runs;
        Replayed replayed = replay_apart(test_, trace, loosely, options_.run);
        if (!replayed.result.failure) return false;
        if (loosely && !is_smaller(replayed.trace, best_.trace)) return false;
        best_.trace = replayed.trace;
        best_.replayed = std::move(replayed);
        return true;
    }

    static std::size_t length(const Trace& trace) {
        std::size_t length = trace.size();
        while (length != 0 && trace[length - 1].answer == 0)
            --length;
        return length;
    }
    static bool is_smaller(const Trace& left, const Trace& right) {
        const auto weight = [](const Trace& trace) {
            std::uint64_t answers = 0;
            for (const Choice& choice : trace)
                answers += std::min<std::uint64_t>(choice.answer, 1 << 20);
            return std::tuple(departures(trace), length(trace), answers);
        };
        return weight(left) < weight(right);
    }

    /// The end of a trace is often what came after the failure.
    bool cut_tail() {
        bool smaller = false;
        std::size_t keep = length(best_.trace) / 2;
        while (keep < length(best_.trace) && !spent()) {
            Trace shorter(best_.trace.begin(),
                          best_.trace.begin() + static_cast<std::ptrdiff_t>(keep));
            if (try_out(shorter)) {
                smaller = true;
                keep = length(best_.trace) / 2;
            } else {
                keep += (length(best_.trace) - keep + 1) / 2;
                if (keep + 1 >= length(best_.trace)) break;
            }
        }
        return smaller;
    }

    /// Delta debugging over the departures of these kinds.
    template <class Wanted>
    bool without(Wanted wanted) {
        bool smaller = false;
        const auto places = [&] {
            std::vector<std::size_t> found;
            for (std::size_t i = 0; i < best_.trace.size(); ++i) {
                const Choice& choice = best_.trace[i];
                if (choice.answer != 0 && wanted(kind_of(choice))) found.push_back(i);
            }
            return found;
        };
        std::size_t part = std::max<std::size_t>(places().size(), 1);
        while (part != 0 && !spent()) {
            bool progress = false;
            for (std::size_t begin = 0; !spent();) {
                const std::vector<std::size_t> there = places();
                if (begin >= there.size()) break;
                Trace fewer = best_.trace;
                const std::size_t end = std::min(begin + part, there.size());
                for (std::size_t i = begin; i < end; ++i)
                    fewer[there[i]].answer = 0;
                if (try_out(fewer)) {
                    progress = true;
                    smaller = true;
                } else {
                    begin = end;
                }
            }
            part = part == 1 && progress ? 1 : part / 2;
        }
        return smaller;
    }

    /// Smaller answers: an earlier alternative is nearer to the plain run.
    bool lower() {
        bool smaller = false;
        for (std::size_t i = 0; i < best_.trace.size() && !spent(); ++i) {
            if (best_.trace[i].answer < 2) continue;
            Trace lower = best_.trace;
            lower[i].answer /= 2;
            lower[i].subject = 0;
            smaller = try_out(lower) || smaller;
        }
        return smaller;
    }

    const TestCase& test_;
    const ShrinkOptions& options_;
    Duration until_;
    Shrunk best_;
};

}  // namespace

Shrunk shrink(const TestCase& test, const Trace& failing, const ShrinkOptions& options) {
    return Shrinker(test, options).run(failing);
}

}  // namespace troupe::sim

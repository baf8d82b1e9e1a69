#include <troupe/sim/internal/settings.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

namespace troupe::sim_internal {

namespace {

Result<std::uint64_t> number_in(std::string_view what, std::string_view text) {
    std::uint64_t number = 0;
    const auto [stopped, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure == std::errc() && stopped == text.data() + text.size() && !text.empty()) {
        return number;
    }
    return error(Errc::failed,
                 std::string(what) + " wants a number, not '" + std::string(text) + "'");
}

Result<std::vector<sim::Search>> searches_in(std::string_view text) {
    std::vector<sim::Search> searches;
    if (text == "portfolio") {
        searches.assign(sim::kAllSearches.begin(), sim::kAllSearches.end());
        return searches;
    }
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        TROUPE_TRY(const sim::Search search, sim::search_named(text.substr(0, comma)));
        searches.push_back(search);
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return searches;
}

/// Sets one; false when nobody knows the name.
Result<bool> set(Settings& settings, std::string_view name, std::string_view value) {
    if (name == "replay") {
        settings.replay = value;
    } else if (name == "shrink") {
        settings.shrink = value;
    } else if (name == "step-log") {
        settings.step_log = value;
    } else if (name == "seed") {
        TROUPE_TRY(settings.seed, number_in(name, value));
    } else if (name == "seeds") {
        constexpr std::string_view kOneIn = "1/";
        const bool share = value.starts_with(kOneIn);
        TROUPE_TRY(const std::uint64_t runs,
                   number_in(name, share ? value.substr(kOneIn.size()) : value));
        if (share && runs == 0) return error(Errc::failed, "seeds cannot be 1/0 of them");
        (share ? settings.one_run_in : settings.runs) = static_cast<std::size_t>(runs);
    } else if (name == "budget") {
        TROUPE_TRY(settings.budget, duration_in(value));
    } else if (name == "strategy") {
        TROUPE_TRY(settings.searches, searches_in(value));
    } else if (name == "jobs") {
        TROUPE_TRY(const std::uint64_t jobs, number_in(name, value));
        settings.jobs = static_cast<unsigned>(jobs);
    } else if (name == "shrink-runs") {
        TROUPE_TRY(const std::uint64_t runs, number_in(name, value));
        settings.shrink_runs = static_cast<std::size_t>(runs);
    } else if (name == "break-at") {
        TROUPE_TRY(settings.break_at, number_in(name, value));
    } else if (name == "check-determinism") {
        TROUPE_TRY(const std::uint64_t seeds, number_in(name, value));
        settings.check_determinism = static_cast<unsigned>(seeds);
    } else if (name == "mermaid") {
        settings.wants_mermaid = value != "0";
    } else if (name == "apart") {
        settings.apart = value != "0";
    } else {
        return false;
    }
    return true;
}

struct Name {
    const char* flag;
    const char* variable;
    bool takes_value;
};
constexpr Name kNames[] = {
    {"replay", "TROUPE_REPLAY", true},
    {"shrink", "TROUPE_SHRINK", true},
    {"step-log", "TROUPE_STEP_LOG", true},
    {"seed", "TROUPE_SEED", true},
    {"seeds", "TROUPE_SEEDS", true},
    {"budget", "TROUPE_BUDGET", true},
    {"strategy", "TROUPE_STRATEGY", true},
    {"jobs", "TROUPE_JOBS", true},
    {"shrink-runs", "TROUPE_SHRINK_RUNS", true},
    {"break-at", "TROUPE_BREAK_AT", true},
    {"check-determinism", "TROUPE_CHECK_DETERMINISM", false},
    {"mermaid", "TROUPE_MERMAID", false},
    {"apart", "TROUPE_APART", false},
};

std::vector<std::string> arguments_of_process() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<std::string> arguments;
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t end = std::min(all.find('\0', begin), all.size());
        arguments.push_back(all.substr(begin, end - begin));
        begin = end + 1;
    }
    if (!arguments.empty()) arguments.erase(arguments.begin());
    return arguments;
}

}  // namespace

Result<Duration> duration_in(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = number_in("a duration", text.substr(0, digits));
    const std::string_view unit = text.substr(digits);
    Duration one{};
    if (unit == "ms") one = std::chrono::milliseconds(1);
    if (unit == "s") one = std::chrono::seconds(1);
    if (unit == "m") one = std::chrono::minutes(1);
    if (unit == "h") one = std::chrono::hours(1);
    if (!number || one == Duration{} || *number > 1'000'000) {
        return error(Errc::failed,
                     "a duration is written 250ms, 60s, 5m or 2h, not '" + std::string(text) + "'");
    }
    return one * static_cast<std::int64_t>(*number);
}

Result<Settings> Settings::of(const std::vector<std::string>& arguments) {
    Settings settings;
    for (const Name& name : kNames) {
        const char* const value = std::getenv(name.variable);
        if (value != nullptr && *value != '\0') {
            TROUPE_TRY(const bool known, set(settings, name.flag, value));
            static_cast<void>(known);
        }
    }
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (!argument.starts_with("--")) continue;
        const std::size_t equals = argument.find('=');
        const std::string flag =
            argument.substr(2, equals == std::string::npos ? equals : equals - 2);
        for (const Name& name : kNames) {
            if (flag != name.flag) continue;
            std::string value = "1";
            if (equals != std::string::npos) {
                value = argument.substr(equals + 1);
            } else if (name.takes_value) {
                if (i + 1 == arguments.size()) {
                    return error(Errc::failed, argument + " wants a value behind it");
                }
                value = arguments[++i];
            }
            TROUPE_TRY(const bool known, set(settings, name.flag, value));
            static_cast<void>(known);
            break;
        }
    }
    return settings;
}

Result<Settings> Settings::of_process() {
    return of(arguments_of_process());
}

void Settings::apply_to(sim::ExploreOptions& options) const {
    if (budget) {
        options.budget = *budget;
        options.runs = std::numeric_limits<std::size_t>::max() / 64;  // as many as fit the time
    }
    if (runs) options.runs = *runs;
    if (!searches.empty()) options.searches = searches;
    if (jobs) options.processes = *jobs;
    if (seed) {
        options.first_seed = *seed;
        options.runs = 1;
        if (searches.empty()) options.searches = {sim::Search::random};
    }
}

}  // namespace troupe::sim_internal

#pragma once

/// For the tests of what a simulated test does: what the environment asks of those is not for
/// these.

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim_internal {

/// While it lives, the environment asks for nothing: a night's budget would change what the test of
/// a search sees, and the tests that it makes up are none that another process could run.
class NothingAsked {
public:
    NothingAsked() {
        for (const char* const name : {"TROUPE_BUDGET", "TROUPE_SEEDS", "TROUPE_SEED",
                                       "TROUPE_STRATEGY", "TROUPE_CHECK_DETERMINISM"}) {
            if (const char* const value = std::getenv(name)) before_.emplace_back(name, value);
            ::unsetenv(name);
        }
    }
    ~NothingAsked() {
        for (const auto& [name, value] : before_)
            ::setenv(name.c_str(), value.c_str(), 1);
    }
    NothingAsked(const NothingAsked&) = delete;
    NothingAsked& operator=(const NothingAsked&) = delete;

private:
    std::vector<std::pair<std::string, std::string>> before_;
};

}  // namespace troupe::sim_internal

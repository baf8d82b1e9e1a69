#include <troupe/sim/history.hpp>
#include <troupe/sim/internal/determinism.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace troupe::sim_internal {

namespace {

/// A file that is gone at the end.
class TemporaryFile {
public:
    TemporaryFile() {
        std::error_code failure;
        path_ = (std::filesystem::temp_directory_path(failure) / "troupe-steps-XXXXXX").string();
        const int file = ::mkstemp(path_.data());
        if (file >= 0) ::close(file);
    }
    ~TemporaryFile() { ::unlink(path_.c_str()); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// Runs this program again, silently. `perturb`: the byte that new memory is filled with.
void run_again(const std::string& test, const std::vector<std::string>& choices,
               const std::string& steps, const char* perturb) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        for (const char* const other : {"TROUPE_CHECK_DETERMINISM", "TROUPE_SEEDS"})
            ::unsetenv(other);
        for (const std::string& choice : choices) {
            const std::size_t equals = choice.find('=');
            ::setenv(choice.substr(0, equals).c_str(), choice.substr(equals + 1).c_str(), 1);
        }
        ::setenv("TROUPE_STEP_LOG", steps.c_str(), 1);
        ::setenv("MALLOC_PERTURB_", perturb, 1);
        const int nowhere = ::open("/dev/null", O_WRONLY);
        ::dup2(nowhere, STDOUT_FILENO);
        ::dup2(nowhere, STDERR_FILENO);
        const std::string filter = "--gtest_filter=" + test;
        std::array<char*, 4> arguments{
            const_cast<char*>("simulated"), const_cast<char*>(filter.c_str()),
            const_cast<char*>("--gtest_also_run_disabled_tests"), nullptr};
        ::execv("/proc/self/exe", arguments.data());
        ::_exit(127);
    }
    int status = 0;
    if (child > 0) ::waitpid(child, &status, 0);
}

}  // namespace

void log_steps(const sim::TestCase& test, Chooser& chooser, const std::string& what,
               const std::string& path) {
    sim::History history;
    sim::RunOptions options;
    options.observer = &history;
    const sim::RunResult result = sim::run_once(test, chooser, options);
    std::ofstream file(path, std::ios::app);  // a test may have several bodies
    file << what << "\n";
    for (const sim::StepRecord& step : history.steps())
        file << history.describe(step) << "  [" << std::hex << step.hash << std::dec << "]\n";
    file << "the end, after " << result.steps << " steps  [" << std::hex << result.hash << "]\n";
}

std::string first_difference(const std::string& test, const std::vector<std::string>& choices) {
    const TemporaryFile first;
    const TemporaryFile second;
    run_again(test, choices, first.path(), "85");
    run_again(test, choices, second.path(), "170");
    std::ifstream left(first.path());
    std::ifstream right(second.path());
    std::string one;
    std::string other;
    std::string run;
    std::string before = "(the beginning)";
    for (bool any = false;; any = true) {
        const bool more = static_cast<bool>(std::getline(left, one));
        const bool more_there = static_cast<bool>(std::getline(right, other));
        if (!more && !more_there) {
            return any ? std::string()
                       : test + ": neither process has run: did the program refuse its flags?";
        }
        if (more && more_there && one == other) {
            before = one;
            if (one.starts_with("the run of ")) run = one;
            continue;
        }
        std::string text = test;
        text += " is not deterministic: two processes with the same choices differ in ";
        text += run;
        text += ".\n  last step in common: ";
        text += before;
        text += "\n  then one:   ";
        text += more ? one : "(has ended)";
        text += "\n  the other:  ";
        text += more_there ? other : "(has ended)";
        return text + "\n";
    }
}

}  // namespace troupe::sim_internal

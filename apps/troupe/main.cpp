// The command line of Troupe: `troupe sim ...` runs simulated tests of other programs.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr const char* kUsage =
    "usage: troupe sim run PROGRAM [Suite.Promise] [--seeds=N] [--budget=60s] "
    "[--strategy=pct,dpor]\n"
    "                              [--jobs=N] [--check-determinism]\n"
    "       troupe sim replay PROGRAM --gtest_filter=Suite.Promise --replay TRACE [--break-at=K]\n"
    "       troupe sim shrink PROGRAM Suite.Promise TRACE [--budget=60s]\n"
    "\n"
    "PROGRAM holds tests written with TROUPE_SIM_TEST. `replay` takes the line that a failing "
    "test\n"
    "has printed as it is; TRACE is t1:... or @file.\n";

int fail(const std::string& text) {
    std::fprintf(stderr, "troupe: %s\n%s", text.c_str(), kUsage);
    return 2;
}

/// Becomes the other program.
int become(std::vector<std::string> arguments) {
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (std::string& argument : arguments)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    return fail("cannot run " + arguments[0] + ": " + std::strerror(errno));
}

/// Whether the program has tests of that filter; what is wrong is said. Otherwise GoogleTest would
/// run none, and call that a success, and a program that has no tests would just run.
bool has_tests(const std::string& program, const std::string& filter) {
    std::fflush(nullptr);
    int ends[2];
    if (::pipe(ends) != 0) return true;
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        const int nowhere = ::open("/dev/null", O_WRONLY);
        ::dup2(nowhere, STDERR_FILENO);
        ::close(ends[0]);
        ::execlp(program.c_str(), program.c_str(), "--gtest_list_tests", filter.c_str(), nullptr);
        ::_exit(errno == EACCES || errno == ENOENT ? 126 : 127);
    }
    ::close(ends[1]);
    std::string listed;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;)
        listed.append(buffer, static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 126) {
        fail("there is no program " + program + " that can be run");
        return false;
    }
    if (status != 0) {
        fail(program + " is no program of tests: it does not list them when it is asked to");
        return false;
    }
    // A suite begins a line, and its tests are set in.
    if (listed.find("\n  ") != std::string::npos) return true;
    fail(program + " has no test for " + filter + "; --gtest_list_tests says which it has");
    return false;
}

constexpr const char* kAllTests = "--gtest_filter=*";

/// Runs the tests that the line is about, or says that there are none.
int become_tests(std::vector<std::string> line) {
    std::string filter = kAllTests;
    for (const std::string& argument : line) {
        if (argument.starts_with("--gtest_filter=")) filter = argument;
    }
    if (!has_tests(line[0], filter)) return 2;
    return become(std::move(line));
}

/// A flag that simulated tests do not know, or nothing. They would not say so.
std::string unknown_flag(const std::vector<std::string>& line) {
    static const std::vector<std::string_view> known{
        "replay",   "shrink", "seed",        "seeds",    "budget",
        "strategy", "jobs",   "shrink-runs", "break-at", "check-determinism",
        "mermaid",  "apart"};
    for (const std::string& argument : line) {
        if (!argument.starts_with("--") || argument.starts_with("--gtest_")) continue;
        const std::string_view flag = std::string_view(argument).substr(
            2,
            argument.find('=') == std::string::npos ? std::string::npos : argument.find('=') - 2);
        if (std::find(known.begin(), known.end(), flag) == known.end()) return argument;
    }
    return {};
}

int replay(const std::vector<std::string>& rest) {
    const auto is_trace = [](const std::string& argument) {
        return argument == "--replay" || argument.starts_with("--replay=");
    };
    if (std::none_of(rest.begin(), rest.end(), is_trace)) {
        return fail("replay wants the line that was printed, with --replay TRACE in it");
    }
    return become_tests(rest);
}

int run(const std::vector<std::string>& rest) {
    std::vector<std::string> line{rest[0]};
    for (std::size_t i = 1; i < rest.size(); ++i) {
        const bool is_flag = rest[i].starts_with("--");
        line.push_back(is_flag ? rest[i] : "--gtest_filter=" + rest[i]);
    }
    return become_tests(std::move(line));
}

int shrink(const std::vector<std::string>& rest) {
    if (rest.size() < 3) return fail("shrink wants a program, a test and a trace");
    std::vector<std::string> line{rest[0], "--gtest_filter=" + rest[1], "--shrink=" + rest[2]};
    line.insert(line.end(), rest.begin() + 3, rest.end());
    return become_tests(std::move(line));
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> all(argv + 1, argv + argc);
    if (all.size() < 3 || all[0] != "sim") return fail("there is only `sim` so far");
    const std::vector<std::string> rest(all.begin() + 2, all.end());
    const std::string unknown = unknown_flag(rest);
    if (!unknown.empty()) return fail("no simulated test knows " + unknown);
    if (all[1] == "run") return run(rest);
    if (all[1] == "replay") return replay(rest);
    if (all[1] == "shrink") return shrink(rest);
    return fail("sim cannot " + all[1]);
}

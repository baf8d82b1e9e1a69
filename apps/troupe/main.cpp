// The command line of Troupe: `troupe sim ...` runs simulated tests of other programs.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
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

int run(const std::vector<std::string>& rest) {
    std::vector<std::string> line{rest[0]};
    for (std::size_t i = 1; i < rest.size(); ++i) {
        const bool is_flag = rest[i].starts_with("--");
        line.push_back(is_flag ? rest[i] : "--gtest_filter=" + rest[i]);
    }
    return become(std::move(line));
}

int shrink(const std::vector<std::string>& rest) {
    if (rest.size() < 3) return fail("shrink wants a program, a test and a trace");
    std::vector<std::string> line{rest[0], "--gtest_filter=" + rest[1], "--shrink=" + rest[2]};
    line.insert(line.end(), rest.begin() + 3, rest.end());
    return become(std::move(line));
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> all(argv + 1, argv + argc);
    if (all.size() < 3 || all[0] != "sim") return fail("there is only `sim` so far");
    const std::vector<std::string> rest(all.begin() + 2, all.end());
    if (all[1] == "run") return run(rest);
    if (all[1] == "replay") return become(rest);
    if (all[1] == "shrink") return shrink(rest);
    return fail("sim cannot " + all[1]);
}

#include <troupe/base/assert.hpp>
#include <troupe/scheduler/explore.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>

namespace troupe {

std::string replay_hint(std::uint64_t seed) {
    return "TROUPE_SEED=" + std::to_string(seed);
}

namespace explore_internal {

namespace {

std::optional<std::uint64_t> number_from_environment(const char* variable) {
    const char* const text = std::getenv(variable);
    if (text == nullptr || *text == '\0') return std::nullopt;
    std::uint64_t number = 0;
    const char* const end = text + std::strlen(text);
    const auto [stopped, failure] = std::from_chars(text, end, number);
    if (failure == std::errc() && stopped == end) return number;
    std::fprintf(stderr, "troupe: %s=%s is not a number and is ignored\n", variable, text);
    return std::nullopt;
}

struct Running {
    AnnouncedRun::Kind kind = AnnouncedRun::Kind::none;
    std::uint64_t number = 0;
};
constinit thread_local Running running_here{};

AssertHook hook_before = nullptr;  // written once, before it can be called

void announce() noexcept {
    switch (running_here.kind) {
        case AnnouncedRun::Kind::none:
            break;
        case AnnouncedRun::Kind::seed:
            std::fprintf(stderr, "troupe: replay with TROUPE_SEED=%llu\n",
                         static_cast<unsigned long long>(running_here.number));
            break;
        case AnnouncedRun::Kind::depth_first:
            std::fprintf(stderr, "troupe: in run %llu of the depth-first walk\n",
                         static_cast<unsigned long long>(running_here.number));
            break;
    }
}

void announce_failed_assertion() noexcept {
    announce();
    if (hook_before != nullptr) hook_before();
}

void hook_into_assertions() noexcept {
    static const bool hooked = [] {
        hook_before = set_assert_hook(&announce_failed_assertion);
        return true;
    }();
    static_cast<void>(hooked);
}

}  // namespace

SeedRange seeds_to_run(SeedRange asked) {
    if (const auto seed = number_from_environment("TROUPE_SEED")) return {*seed, 1};
    if (const auto count = number_from_environment("TROUPE_SEEDS")) {
        return {asked.first, static_cast<std::size_t>(*count)};
    }
    return asked;
}

std::size_t count_distinct(std::vector<std::uint64_t> hashes) {
    std::sort(hashes.begin(), hashes.end());
    return static_cast<std::size_t>(std::unique(hashes.begin(), hashes.end()) - hashes.begin());
}

AnnouncedRun::AnnouncedRun(Kind kind, std::uint64_t number) noexcept
    : exceptions_before_(std::uncaught_exceptions()) {
    hook_into_assertions();
    running_here = Running{kind, number};
}

AnnouncedRun::~AnnouncedRun() {
    if (std::uncaught_exceptions() > exceptions_before_) announce();
    running_here = Running();
}

}  // namespace explore_internal

}  // namespace troupe

/// Keeps a simulated run from asking the machine: link this into a test program, and a step that
/// calls the C library for the time, for chance, to sleep or for a thread is refused, with the
/// place that called. The product's programs are the same without it.
///
/// The problem: a run replays only if nothing in it depends on more than the engine's choices, and
/// a library deep below may ask the machine behind our backs.
///
/// Our answer: this file defines those functions; the linker takes ours. Outside of a simulated
/// step they do what they always do, through the system call or the next definition. Inside of one,
/// time is the simulation's, and the rest ends the process, so that the run is a failure with a
/// stack. TROUPE_ALLOW_UNCONTROLLED=1 lets them through, with one line on standard error each, and
/// TROUPE_ALLOW_UNCONTROLLED=rand,getrandom these only. What we ask for ourselves, and why nothing
/// depends on it, is said where it is done: base/asks_machine.hpp.

#include <troupe/base/asks_machine.hpp>
#include <troupe/sim/sim.hpp>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

using troupe::AsksMachine;
using troupe::kMachineEntropy;
using troupe::kMachineThread;
using troupe::kMachineTime;
using troupe::MachineSource;

/// To sleep.
constexpr MachineSource kNobodyMay{};

/// Whether the calling thread is in a step of a simulation, and is not let through.
troupe::Sim* simulation(MachineSource source) noexcept {
    if (AsksMachine::may(source) || troupe::current_cell() == nullptr) return nullptr;
    troupe::Sim* const sim = troupe::Sim::current();
    return sim;
}

/// TROUPE_ALLOW_UNCONTROLLED is 1, for all of them, or names with commas between them.
bool is_allowed(std::string_view what) noexcept {
    const char* const text = std::getenv("TROUPE_ALLOW_UNCONTROLLED");
    std::string_view names = text != nullptr ? text : "";
    if (names == "1") return true;
    while (!names.empty()) {
        const std::size_t comma = names.find(',');
        if (names.substr(0, comma) == what) return true;
        names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
    }
    return false;
}

void refuse(const char* what) noexcept {
    std::fprintf(stderr,
                 "troupe: a simulated step called %s, which no seed replays: take it from the "
                 "system (now(), random), sleep() or offload()\n",
                 what);
    if (is_allowed(what)) return;
    std::array<void*, 32> frames{};
    const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
    ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
    std::abort();
}

void check(const char* what, MachineSource source) noexcept {
    if (simulation(source) != nullptr) refuse(what);
}

/// Does what the next definition of that name does, but not within a step.
template <class Function, class... Arguments>
auto refused(const char* name, MachineSource source, Arguments... arguments) {
    check(name, source);
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name))(arguments...);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
    if (troupe::Sim* const sim = simulation(kMachineTime)) {
        const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
        // Of the machine whose step it is: each has its own clock.
        const troupe::Engine* engine = troupe::current_engine();
        if (engine == nullptr) engine = &sim->engine();
        const troupe::Duration now = wall ? engine->wall_now() : engine->now();
        time->tv_sec = static_cast<time_t>(now.count() / 1'000'000'000);
        time->tv_nsec = static_cast<long>(now.count() % 1'000'000'000);
        return 0;
    }
    return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
}

int gettimeofday(timeval* __restrict time, void* __restrict) {
    timespec now{};
    const int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t* out) {
    timespec now{};
    static_cast<void>(clock_gettime(CLOCK_REALTIME, &now));
    if (out != nullptr) *out = now.tv_sec;
    return now.tv_sec;
}

int nanosleep(const timespec* wanted, timespec* left) {
    check("nanosleep", kNobodyMay);
    return static_cast<int>(::syscall(SYS_nanosleep, wanted, left));
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* wanted, timespec* left) {
    check("clock_nanosleep", kNobodyMay);
    return ::syscall(SYS_clock_nanosleep, clock, flags, wanted, left) == 0 ? 0 : errno;
}

int usleep(useconds_t micros) {
    check("usleep", kNobodyMay);
    const timespec wanted{static_cast<time_t>(micros / 1'000'000),
                          static_cast<long>(micros % 1'000'000) * 1000};
    return static_cast<int>(::syscall(SYS_nanosleep, &wanted, nullptr));
}

ssize_t getrandom(void* buffer, size_t bytes, unsigned flags) {
    check("getrandom", kMachineEntropy);
    return ::syscall(SYS_getrandom, buffer, bytes, flags);
}

int getentropy(void* buffer, size_t bytes) {
    check("getentropy", kMachineEntropy);
    return ::syscall(SYS_getrandom, buffer, bytes, 0) == static_cast<long>(bytes) ? 0 : -1;
}

int rand() {
    return refused<int (*)()>("rand", kMachineEntropy);
}
long random() {
    return refused<long (*)()>("random", kMachineEntropy);
}
long lrand48() {
    return refused<long (*)()>("lrand48", kMachineEntropy);
}
double drand48() {
    return refused<double (*)()>("drand48", kMachineEntropy);
}
std::uint32_t arc4random() {
    return refused<std::uint32_t (*)()>("arc4random", kMachineEntropy);
}
std::uint32_t arc4random_uniform(std::uint32_t below) {
    return refused<std::uint32_t (*)(std::uint32_t)>("arc4random_uniform", kMachineEntropy, below);
}
void arc4random_buf(void* buffer, size_t bytes) {
    refused<void (*)(void*, size_t)>("arc4random_buf", kMachineEntropy, buffer, bytes);
}

unsigned sleep(unsigned seconds) {
    return refused<unsigned (*)(unsigned)>("sleep", kNobodyMay, seconds);
}

int timespec_get(timespec* time, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* argument) {
    return refused<int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>(
        "pthread_create", kMachineThread, thread, attributes, body, argument);
}
int thrd_create(thrd_t* thread, thrd_start_t body, void* argument) {
    return refused<int (*)(thrd_t*, thrd_start_t, void*)>("thrd_create", kMachineThread, thread,
                                                          body, argument);
}

/// What std::random_device draws with in libstdc++: perhaps the processor, where nobody sees it.
unsigned troupe_random_device_draws(void* device) __asm__("_ZNSt13random_device9_M_getvalEv");
unsigned troupe_random_device_draws(void* device) {
    check("std::random_device", kMachineEntropy);
    return refused<unsigned (*)(void*)>("_ZNSt13random_device9_M_getvalEv", kMachineEntropy,
                                        device);
}

}  // extern "C"

#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/internal/stack_capture.hpp>

#include <cxxabi.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// libbacktrace's interface, as in GCC's backtrace.h. That header lies among GCC's private ones,
// which no other compiler should be shown.
extern "C" {
struct backtrace_state;
using backtrace_error_callback = void (*)(void* data, const char* message, int error);
using backtrace_full_callback = int (*)(void* data, std::uintptr_t pc, const char* file, int line,
                                        const char* function);
using backtrace_syminfo_callback = void (*)(void* data, std::uintptr_t pc, const char* name,
                                            std::uintptr_t value, std::uintptr_t size);
backtrace_state* backtrace_create_state(const char* program, int threaded,
                                        backtrace_error_callback on_error, void* data);
int backtrace_pcinfo(backtrace_state* state, std::uintptr_t pc, backtrace_full_callback found,
                     backtrace_error_callback on_error, void* data);
int backtrace_syminfo(backtrace_state* state, std::uintptr_t pc, backtrace_syminfo_callback found,
                      backtrace_error_callback on_error, void* data);
}

// Where the program's code lies, from the linker; null in a shared object.
extern "C" {
[[gnu::weak]] extern const char troupe_text_begin[] __asm__("__executable_start");
[[gnu::weak]] extern const char troupe_text_end[] __asm__("etext");
}

namespace troupe::scheduler_internal {

namespace {

constexpr int kSignal = SIGURG;
constexpr std::size_t kScanMax = 4096;  // words of the stack, where the chain is broken
constexpr std::size_t kStepsMax = 4096;

constinit thread_local StackCapture* capture_of_thread = nullptr;

// Written before the handler that reads it is installed.
struct sigaction handler_before;

/// What the thread was at when it was interrupted may be anything, so the sanitizers are not asked.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread]] std::uintptr_t word_at(
    std::uintptr_t address) noexcept {
    return *reinterpret_cast<const std::uintptr_t*>(address);
}

bool is_ours(std::uintptr_t pc) noexcept {
    return pc >= reinterpret_cast<std::uintptr_t>(troupe_text_begin) &&
           pc < reinterpret_cast<std::uintptr_t>(troupe_text_end);
}

}  // namespace

bool StackCapture::prepare() noexcept {
    static const bool prepared = [] {
        if (::sigaction(kSignal, nullptr, &handler_before) != 0) return false;
        struct sigaction ours{};
        ours.sa_sigaction = &StackCapture::on_signal;
        ours.sa_flags = SA_SIGINFO | SA_RESTART;
        ::sigemptyset(&ours.sa_mask);
        return ::sigaction(kSignal, &ours, nullptr) == 0;
    }();
    return prepared;
}

void StackCapture::enter(const void* base) noexcept {
    base_ = reinterpret_cast<std::uintptr_t>(base);
    state_.store(State::idle, std::memory_order_relaxed);
    capture_of_thread = this;
}

void StackCapture::leave() noexcept {
    capture_of_thread = nullptr;
}

void StackCapture::ask(pthread_t thread) noexcept {
    // release: the handler may write the frames from here on; pairs with it.
    state_.store(State::asked, std::memory_order_release);
    static_cast<void>(::pthread_kill(thread, kSignal));
}

std::vector<std::uintptr_t> StackCapture::take() {
    std::vector<std::uintptr_t> frames(frames_.begin(),
                                       frames_.begin() + static_cast<std::ptrdiff_t>(count_));
    state_.store(State::idle, std::memory_order_relaxed);
    return frames;
}

void StackCapture::on_signal(int signal, siginfo_t* info, void* machine_context) noexcept {
    const int error_before = errno;
    StackCapture* const capture = capture_of_thread;
    // acquire: pairs with ask.
    if (capture != nullptr && capture->state_.load(std::memory_order_acquire) == State::asked) {
        capture->walk(registers_of(machine_context));
        // release: publishes the frames; pairs with answered.
        capture->state_.store(State::answered, std::memory_order_release);
    } else if ((handler_before.sa_flags & SA_SIGINFO) != 0) {
        handler_before.sa_sigaction(signal, info, machine_context);
    } else if (handler_before.sa_handler != SIG_DFL && handler_before.sa_handler != SIG_IGN) {
        handler_before.sa_handler(signal);
    }
    errno = error_before;
}

StackCapture::Registers StackCapture::registers_of(const void* machine_context) noexcept {
    const auto& context = static_cast<const ucontext_t*>(machine_context)->uc_mcontext;
    Registers at;
#if defined(__x86_64__)
    at.pc = static_cast<std::uintptr_t>(context.gregs[REG_RIP]);
    at.frame = static_cast<std::uintptr_t>(context.gregs[REG_RBP]);
    at.stack = static_cast<std::uintptr_t>(context.gregs[REG_RSP]);
#elif defined(__aarch64__)
    at.pc = context.pc;
    at.frame = context.regs[29];
    at.stack = context.sp;
#else
    static_cast<void>(context);  // reports come without a backtrace there
#endif
    return at;
}

void StackCapture::walk(const Registers& at) noexcept {
    count_ = 0;
    if (at.pc == 0) return;
    frames_[0] = at.pc;
    if (follow(at.frame, at)) return;
    std::uintptr_t place = (at.stack + 7) & ~std::uintptr_t{7};
    for (std::size_t i = 0; i < kScanMax && place < base_; ++i, place += sizeof place) {
        if (follow(place, at)) return;
    }
    count_ = 1;
}

/// Notes where the frames from this one on return to. False when it is not one of a chain that
/// leads to the thread's first function.
bool StackCapture::follow(std::uintptr_t frame, const Registers& at) noexcept {
    std::size_t count = 1;
    if (!is_ours(at.pc)) {
        // Whoever called the library has a frame, which says where that one returns to.
        std::uintptr_t place = (at.stack + 7) & ~std::uintptr_t{7};
        const std::uintptr_t end = std::min({frame, base_, place + kScanMax * sizeof place});
        while (place < end && !is_ours(word_at(place)))
            place += sizeof place;
        if (place < end) frames_[count++] = word_at(place);
    }
    for (std::size_t steps = 0; steps < kStepsMax; ++steps) {
        if (frame == base_) {
            count_ = count;
            return true;
        }
        if (frame < at.stack || frame > base_ || frame % sizeof frame != 0) return false;
        const std::uintptr_t next = word_at(frame);
        const std::uintptr_t back_to = word_at(frame + sizeof frame);
        if (next <= frame || back_to == 0) return false;
        if (count < kFramesMax) frames_[count++] = back_to;
        frame = next;
    }
    return false;
}

// ---- names --------------------------------------------------------------------------------------

namespace {

struct Place {
    std::string function;
    std::string file;
    int line = 0;
};

void ignore_error(void*, const char*, int) {}

std::string demangled(const char* name) {
    int status = 0;
    char* const text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string result = text != nullptr && status == 0 ? text : name;
    std::free(text);
    return result;
}

backtrace_state* symbols() noexcept {
    // Never freed: the library has no way to, and the table serves as long as the process lives.
    static backtrace_state* const state =
        ::backtrace_create_state(nullptr, 1, &ignore_error, nullptr);
    return state;
}

Place place_of(std::uintptr_t pc) {
    Place place;
    if (symbols() == nullptr) return place;
    // The first answer is the innermost of functions inlined here.
    ::backtrace_pcinfo(
        symbols(), pc,
        [](void* data, std::uintptr_t, const char* file, int line, const char* function) {
            auto& found = *static_cast<Place*>(data);
            if (function != nullptr) found.function = demangled(function);
            if (file != nullptr) {
                const char* const slash = std::strrchr(file, '/');
                found.file = slash != nullptr ? slash + 1 : file;
            }
            found.line = line;
            return 1;
        },
        &ignore_error, &place);
    if (!place.function.empty()) return place;
    ::backtrace_syminfo(
        symbols(), pc,
        [](void* data, std::uintptr_t, const char* name, std::uintptr_t, std::uintptr_t) {
            if (name != nullptr) static_cast<Place*>(data)->function = demangled(name);
        },
        &ignore_error, &place);
    return place;
}

}  // namespace

std::vector<std::string> symbolise(const std::vector<std::uintptr_t>& frames) {
    // One at a time: reading the debug information takes memory, and who waits is in no hurry.
    static Mutex mutex(LockRank::symbols);
    LockGuard lock(mutex);
    std::vector<std::string> lines;
    lines.reserve(frames.size());
    for (const std::uintptr_t pc : frames) {
        // All but the first are where a call returns to: the call itself is before that.
        Place place = place_of(lines.empty() ? pc : pc - 1);
        if (place.function.empty()) {
            char text[2 + 2 * sizeof pc + 1];
            std::snprintf(text, sizeof text, "0x%zx", static_cast<std::size_t>(pc));
            place.function = text;
        }
        if (!place.file.empty()) {
            place.function += " (" + place.file + ":" + std::to_string(place.line) + ")";
        }
        lines.push_back(std::move(place.function));
    }
    return lines;
}

}  // namespace troupe::scheduler_internal

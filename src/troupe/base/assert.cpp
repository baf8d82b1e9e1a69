#include <troupe/base/assert.hpp>
#include <troupe/base/internal/before_abort.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace troupe {
namespace {

// Written by set_assert_hook, taken once by the first thread that fails.
constinit std::atomic<AssertHook> g_hook{nullptr};

// Written by set_before_abort, taken once, likewise.
constinit std::atomic<AssertHook> g_last_words{nullptr};

}  // namespace

AssertHook set_assert_hook(AssertHook hook) noexcept {
    return g_hook.exchange(hook, std::memory_order_acq_rel);  // publishes what the hook reads
}

namespace base_internal {

void set_before_abort(void (*last_words)() noexcept) noexcept {
    g_last_words.store(last_words, std::memory_order_release);  // publishes what it reads
}

void assertion_failed(const char* expression, const char* sentence, const char* file, int line,
                      const char* function) noexcept {
    // One write of a text on the stack: the heap may be what is broken, and lines of several
    // failing threads must not mix.
    char text[2048];
    int size = std::snprintf(text, sizeof text,
                             "troupe: assertion failed: %s\n  expression: %s\n  at: %s:%d\n"
                             "  in: %s\n",
                             sentence, expression, file, line, function);
    if (size > 0) {
        std::size_t bytes = static_cast<std::size_t>(size);
        if (bytes >= sizeof text) bytes = sizeof text - 1;
        [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text, bytes);
    }
    // acq_rel: reads what the setter published; pairs with set_before_abort.
    if (AssertHook words = g_last_words.exchange(nullptr, std::memory_order_acq_rel)) words();
    // acq_rel: reads what the setter published; pairs with set_assert_hook.
    if (AssertHook hook = g_hook.exchange(nullptr, std::memory_order_acq_rel)) hook();
    std::abort();
}

}  // namespace base_internal
}  // namespace troupe

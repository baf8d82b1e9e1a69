#pragma once

/// Where another thread stands: its stack, taken by that thread itself in a signal handler.
///
/// The handler does nothing but follow frame pointers within its own stack, so it is safe wherever
/// the thread was interrupted, in malloc or under a lock. All of ours is compiled with frame
/// pointers. The C library is not: where it has broken the chain, the first place up the stack is
/// taken from which a chain leads to the thread's first function; and who called it is the first
/// address of the program's own code that lies on the stack.
///
/// Names are looked up later, elsewhere, with libbacktrace, which reads the program's own symbol
/// table and debug information. dladdr knows exported symbols only, and those of an ordinary
/// program are not exported.
///
/// The signal is SIGURG, which does nothing by default and which debuggers pass on in silence. Like
/// any signal it ends some blocking system calls with EINTR, sleeps and poll among them. It is sent
/// only to a thread whose turn is about to be reported.

#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe::scheduler_internal {

class StackCapture {
public:
    static constexpr std::size_t kFramesMax = 48;

    /// Installs the signal's handler, once per process. A handler that was there before is called
    /// for signals that nobody of us has asked for. False when the machine refuses.
    static bool prepare() noexcept;

    // ---- the thread itself ----

    /// It can be asked from now on. `base` is the frame of its first function.
    void enter(const void* base) noexcept;
    /// Before it ends.
    static void leave() noexcept;

    // ---- one other thread, while this one runs ----

    /// Interrupts it. `thread` is the one that has called enter.
    void ask(pthread_t thread) noexcept;

    /// Whether the thread has answered since it was asked.
    bool answered() const noexcept {
        // acquire: sees the frames; pairs with the handler.
        return state_.load(std::memory_order_acquire) == State::answered;
    }

    /// What it answered, innermost first. It can be asked anew then.
    std::vector<std::uintptr_t> take();

private:
    enum class State : std::uint8_t { idle, asked, answered };

    /// What the interrupted thread's registers said.
    struct Registers {
        std::uintptr_t pc = 0;
        std::uintptr_t frame = 0;
        std::uintptr_t stack = 0;
    };

    static void on_signal(int signal, siginfo_t* info, void* machine_context) noexcept;
    static Registers registers_of(const void* machine_context) noexcept;
    void walk(const Registers& at) noexcept;
    bool follow(std::uintptr_t frame, const Registers& at) noexcept;

    std::uintptr_t base_ = 0;
    std::atomic<State> state_{State::idle};  // the asker sets asked and idle, the handler answered
    std::size_t count_ = 0;
    std::array<std::uintptr_t, kFramesMax> frames_{};
};

/// "Account::deposit(long) (account.cpp:31)" for each address, innermost first; the bare address
/// where nothing is known. Slow at first: debug information is read. Threads: any.
std::vector<std::string> symbolise(const std::vector<std::uintptr_t>& frames);

}  // namespace troupe::scheduler_internal

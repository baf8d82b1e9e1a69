#pragma once

/// What we ask the machine for ourselves where a simulated step must not.
///
/// Test programs are linked with a library that refuses a simulated step the C library's time,
/// chance, sleep and threads (sim/interpose.cpp). A few places need them all the same, and nothing
/// that a run replays depends on the answers: each says so by one of these, and why beside it.
///
/// Source: docs/design/0053-faults-and-the-guard.md

#include <utility>

namespace troupe {

/// Bits: one or more of these.
using MachineSource = unsigned;
inline constexpr MachineSource kMachineTime = 1;     ///< clocks
inline constexpr MachineSource kMachineEntropy = 2;  ///< what a generator is seeded with
inline constexpr MachineSource kMachineThread = 4;   ///< a thread of our own

/// While it lives, this thread may ask the machine for these. Not across a `co_await`.
class AsksMachine {
public:
    explicit AsksMachine(MachineSource sources) noexcept
        : before_(std::exchange(allowed, allowed | sources)) {}
    ~AsksMachine() { allowed = before_; }
    AsksMachine(const AsksMachine&) = delete;
    AsksMachine& operator=(const AsksMachine&) = delete;

    static bool may(MachineSource source) noexcept { return (allowed & source) != 0; }

private:
    static inline constinit thread_local unsigned allowed = 0;  // this thread only

    unsigned before_;
};

}  // namespace troupe

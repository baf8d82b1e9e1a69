#pragma once

#include <troupe/actor/pipe.hpp>
#include <troupe/scheduler/timer.hpp>

#include <cstdint>
#include <unordered_map>

namespace troupe::actor_internal {

/// One answer that will come as a message.
struct Pipe {
    MailNode* message = nullptr;
    const PipeOps* ops = nullptr;
    TimerNode* deadline = nullptr;  // on the clock or on its way; null for ever

    // For the error of one that comes too late.
    Cell* target = nullptr;
    std::uint32_t generation = 0;
    std::string_view method;
    Duration timeout{};
};

/// All answers that an actor waits for without waiting, by number: reply and deadline each carry
/// it, and whichever arrives first takes the pipe away, so the other finds none.
struct Pipes {
    std::unordered_map<std::uint32_t, Pipe> open;
    std::uint32_t made = 0;
};

/// Nobody is left to handle what an actor that ends has asked for. The actor's turn.
void end_pipes(Cell& cell) noexcept;

}  // namespace troupe::actor_internal

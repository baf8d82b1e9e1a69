#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/system.hpp>

#include <memory>

namespace troupe::actor_internal {

namespace {

/// Tells an actor. It outlives the actor, for it is the engine's.
class ActorHearsOfStalls final : public StallListener {
public:
    ActorHearsOfStalls(Cell& cell, std::uint32_t generation, std::ptrdiff_t offset,
                       MailNode* (*make_call)(std::ptrdiff_t offset, StallReport report)) noexcept
        : cell_(cell), generation_(generation), offset_(offset), make_call_(make_call) {}

    void stalled(const StallReport& report) noexcept override {
        if (cell_.generation() != generation_) return;
        tell_listener(&cell_, generation_, make_call_(offset_, report));
    }

private:
    Cell& cell_;
    const std::uint32_t generation_;
    const std::ptrdiff_t offset_;
    MailNode* (*const make_call_)(std::ptrdiff_t offset, StallReport report);
};

/// Tells the actors that it is about, where their class has a hook for it.
class HooksHearOfStalls final : public StallListener {
public:
    explicit HooksHearOfStalls(Engine& engine) noexcept : engine_(engine) {}

    void stalled(const StallReport& report) noexcept override {
        tell(report.slot, report.generation, [&](const ActorType& type) -> MailNode* {
            if (!type.hears_of_slow_handlers) return nullptr;
            SlowHandler slow;
            slow.method = report.method;
            slow.lasted = report.lasted;
            slow.held_worker = true;
            if (!report.backtrace.empty()) slow.where = report.backtrace.front();
            return ActorAccess::slow_handler_message(type.offset_of_actor(), std::move(slow));
        });
    }

    void starved(const StarvationReport& report) noexcept override {
        tell(report.slot, report.generation, [&](const ActorType& type) {
            return type.hears_of_starvation
                       ? ActorAccess::starvation_message(type.offset_of_actor(), report)
                       : nullptr;
        });
    }

private:
    template <class Make>
    void tell(std::uint32_t slot, std::uint32_t generation, Make make) {
        Cell* const cell = engine_.find_cell(slot);
        if (cell == nullptr || cell->generation() != generation || !is_actor(*cell)) return;
        MailNode* const message = make(*static_cast<const ActorType*>(cell->type()));
        if (message == nullptr) return;
        message->generation = generation;
        if (!force(*cell, generation, message))
            message->ops->drop(message, Error(Errc::actor_gone));
    }

    Engine& engine_;
};

}  // namespace

void tell_hooks_of_stalls(Engine& engine) {
    engine.on_stall(std::make_unique<HooksHearOfStalls>(engine));
}

void listen_to_stalls(SystemCore& core, Cell* cell, std::uint32_t generation, std::ptrdiff_t offset,
                      MailNode* (*make_call)(std::ptrdiff_t offset, StallReport report)) {
    if (cell == nullptr) return;
    core.engine().on_stall(
        std::make_unique<ActorHearsOfStalls>(*cell, generation, offset, make_call));
}

}  // namespace troupe::actor_internal

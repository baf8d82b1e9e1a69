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
        MailNode* const message = make_call_(offset_, report);
        switch (admit(&cell_, generation_, message, Sender::tells)) {
            case Admission::admitted:
            case Admission::redirected:
            case Admission::dropped:
                break;
            case Admission::full:
            case Admission::failing:
            case Admission::gone:
                message->ops->drop(message, Error(Errc::mailbox_full));
        }
    }

private:
    Cell& cell_;
    const std::uint32_t generation_;
    const std::ptrdiff_t offset_;
    MailNode* (*const make_call_)(std::ptrdiff_t offset, StallReport report);
};

}  // namespace

void listen_to_stalls(SystemCore& core, Cell* cell, std::uint32_t generation, std::ptrdiff_t offset,
                      MailNode* (*make_call)(std::ptrdiff_t offset, StallReport report)) {
    if (cell == nullptr) return;
    core.engine().on_stall(
        std::make_unique<ActorHearsOfStalls>(*cell, generation, offset, make_call));
}

}  // namespace troupe::actor_internal

#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/scheduler/cell.hpp>

#include <memory>
#include <string>
#include <vector>

namespace troupe::actor_internal {

class SystemCore;

/// "waits in sleep at shop.cpp:12", or that it does not wait. The cell's own turn.
std::string where_it_waits(const Cell& cell);

/// Whoever is asked where it is says so in its own turn, so nobody looks into a running actor.
struct WhereaboutsSignal : MailNode {
    /// Called in that turn, or with an empty text when there is nobody any more.
    void (*answer)(WhereaboutsSignal* signal, std::string text) noexcept = nullptr;

    static const MailOps kOps;
};

/// One actor that has not ended.
struct Remaining {
    Pid pid;
    std::string type;
    std::string where;  ///< empty while it has not said: its handler does not return
};

/// Answers for all remaining actors of a system, as they come in. Shared by the one who asks and
/// the questions that are under way.
class Whereabouts;
std::shared_ptr<Whereabouts> ask_all_where(SystemCore& core);
bool all_have_said(Whereabouts& whereabouts);
std::vector<Remaining> said(Whereabouts& whereabouts);

}  // namespace troupe::actor_internal

#pragma once

/// How an actor shares its worker with the others, what becomes of handlers that take too long, and
/// which of its messages may be handled while others wait.
///
///     options().slice(8).priority(Priority::low)
///     options().handler_timeout(2s, OnTimeout::cancel).handler_timeout<&Shop::order>(500ms)
///     options().concurrent<&Shop::price, &Shop::stock>()
///
/// An actor that says nothing of this pays nothing for it.

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/placement.hpp>
#include <troupe/scheduler/stall.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// What becomes of a handler that takes longer than it may. It is reported in any case: in the log,
/// to `Actor::on_slow_handler`, and counted.
enum class OnTimeout : std::uint8_t {
    warn,    ///< nothing else: it goes on
    cancel,  ///< it is cancelled: whatever it awaits answers `cancelled`, now and from then on
    stop,    ///< the actor fails: its supervisor decides. Whoever asked hears actor_gone
};
const char* name(OnTimeout action) noexcept;

/// A handler that has taken longer than it may, or kept its worker for too long.
struct SlowHandler {
    std::string method;  ///< "Shop::order", "on_start"
    Duration lasted{};   ///< so far, or in all when it has ended
    Duration limit{};    ///< of `handler_timeout`; zero when it held its worker
    OnTimeout action = OnTimeout::warn;
    bool held_worker = false;  ///< without waiting for anything: the watchdog has seen it
    std::string where;         ///< the file and line it waits at; empty when it does not
};

/// How many handlers of an actor may be at work at the same time, where nothing else is said.
inline constexpr std::size_t kHandlersDefault = 100;

namespace actor_internal {

/// How long a handler may take.
struct HandlerLimit {
    const void* method = nullptr;  // null: any
    Duration longest = Duration::max();
    OnTimeout action = OnTimeout::warn;
};

/// What was asked of the scheduling of one actor.
struct Scheduling {
    unsigned slice_messages = 0;  // 0: as everybody
    Duration slice_time{};        // zero: as everybody
    HandlerLimit handlers;
    HandlerLimit on_start;
    HandlerLimit on_stop;
    std::vector<HandlerLimit> methods;
    std::size_t handlers_max = 1;         // at work at the same time
    std::vector<const void*> concurrent;  // methods; empty: all, when there may be several

    /// Whether there is anything in it.
    bool special() const noexcept {
        return slice_messages != 0 || handlers_max != 1 || !methods.empty() ||
               handlers.longest != Duration::max() || on_start.longest != Duration::max() ||
               on_stop.longest != Duration::max();
    }
};

}  // namespace actor_internal

}  // namespace troupe

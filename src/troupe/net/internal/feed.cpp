#include <troupe/base/error.hpp>
#include <troupe/net/internal/feed.hpp>

#include <utility>

namespace troupe::net_internal {

Feed::Feed(NewPump pump)
    : pump_(spawn<Pump>(troupe::options().mailbox(bounded(pump.frames_waiting_max)),
                        std::move(pump.stream), self(this), pump.limits)) {
    *pump.made = pump_;
}

Task<Result<void>> Feed::on_start() {
    monitor<&Feed::pump_ended>(pump_);
    pump_.tell<&Pump::more>();
    return {};
}

Task<void> Feed::ended(Result<void> why) {
    co_await pass_on_end(std::move(why));
    if (pump_is_gone_) end();
}

/// This overtakes what the pump has told us last. One that has ended as `normal` has told the end,
/// and that is handled first; one that was killed has said nothing.
Task<void> Feed::pump_ended(Down down) {
    pump_is_gone_ = true;
    if (down.reason.kind() != ExitReason::Kind::normal) {
        co_await pass_on_end(error(Errc::closed, "the connection is closed"));
    }
    if (over()) end();
}

void Feed::end() {
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

}  // namespace troupe::net_internal

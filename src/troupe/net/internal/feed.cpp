#include <troupe/base/error.hpp>
#include <troupe/net/internal/feed.hpp>

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

/// This overtakes what the pump has told us last, so it goes behind that once more.
void Feed::pump_ended(Down) {
    self(this).tell<&Feed::nobody_pumps>();
}

/// A pump that was killed has said nothing.
Task<void> Feed::nobody_pumps() {
    co_await ended(error(Errc::closed, "the connection is closed"));
    self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
}

}  // namespace troupe::net_internal

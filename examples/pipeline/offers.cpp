#include "offers.hpp"

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/task_group.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

using namespace std::chrono_literals;

// ---- a replica ----------------------------------------------------------------------------------

bool Replica::one_in_a_hundred(unsigned times) const {
    return system().engine().random() % 100 < times;
}

troupe::Task<troupe::Result<Part>> Replica::answer(std::string item, Behaviour behaviour) {
    const bool slow = one_in_a_hundred(behaviour.slow_in_a_hundred);
    const bool fails = one_in_a_hundred(behaviour.failing_in_a_hundred);
    // Whoever is hedged and loses is cancelled here, and is free for the next one.
    co_await troupe::or_return(co_await troupe::sleep(slow ? behaviour.slow : behaviour.usual));
    if (fails) co_return troupe::error(troupe::Errc::failed, backend_ + " is out of order");
    Part part;
    part.text = backend_ + " of " + item;
    part.by = self(this).pid();
    co_return part;
}

void Replica::crash() {
    throw std::runtime_error("somebody asked this replica to crash");
}

// ---- the desk -----------------------------------------------------------------------------------

std::size_t Offer::missing() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(shares, [](const Share& share) { return !share.part; }));
}

void Desk::count(std::size_t missing) {
    ++tally_.asked;
    ++(missing == 0 ? tally_.whole : missing == kBackends.size() ? tally_.empty : tally_.degraded);
}

// ---- an offer -----------------------------------------------------------------------------------

namespace {

using Backend = troupe::Pool<Replica>;

troupe::Error too_late() {
    return troupe::Error(troupe::Errc::timed_out, "no answer within the deadline");
}

/// One backend's share: a second replica is asked when the first takes long, or has failed; the
/// first answer counts.
troupe::Task<troupe::Result<Share>> fetch(troupe::System system, Backend backend,
                                          std::string_view name, Asked asked, Behaviour behaviour) {
    const troupe::Duration begun = system.now();
    Share share;
    share.backend = std::string(name);
    share.part = co_await backend.router().hedge<&Replica::answer>(asked.hedge_after, 2, asked.item,
                                                                   behaviour);
    share.took = system.now() - begun;
    // That it was cancelled says nothing about the backend; why it was, does.
    if (!share.part && troupe::cancelled()) share.part = std::unexpected(too_late());
    co_return share;
}

}  // namespace

troupe::Task<troupe::Result<Offer>> make_offer(troupe::System system, Kitchen kitchen,
                                               Asked asked) {
    const troupe::Duration begun = system.now();
    auto behaviours = co_await troupe::or_return(co_await kitchen.desk.ask<&Desk::behaviours>());
    auto group = troupe::task_group<Share>(troupe::all_settled());
    group.within(asked.deadline);  // who is not ready by then is cancelled
    for (std::size_t i = 0; i < kBackends.size(); ++i) {
        if (kBackends[i] == asked.slow) behaviours[i].slow_in_a_hundred = 100;
        if (kBackends[i] == asked.failing) behaviours[i].failing_in_a_hundred = 100;
        group.add(fetch, system, kitchen.backends[i], kBackends[i], asked, behaviours[i]);
    }
    auto settled = co_await group.run();
    Offer offer;
    offer.shares.reserve(settled.size());
    for (std::size_t i = 0; i < settled.size(); ++i) {
        Share late;  // one that was cancelled before it had begun
        late.backend = kBackends[i];
        late.part = std::unexpected(too_late());
        late.took = system.now() - begun;
        offer.shares.push_back(settled[i] ? std::move(*settled[i]) : std::move(late));
    }
    offer.took = system.now() - begun;
    kitchen.desk.tell<&Desk::count>(offer.missing());
    co_return offer;
}

// ---- opening and closing ------------------------------------------------------------------------

troupe::Task<troupe::Result<Kitchen>> open_kitchen(troupe::System system) {
    Kitchen kitchen;
    kitchen.desk = system.spawn<Desk>();
    for (const std::string_view name : kBackends) {
        const auto options =
            troupe::pool_options()
                .name(std::string(name))
                .workers(2, 16)
                .policy(troupe::permanent().backoff(200ms, 2s).reset_after(1s).intensity(50, 10s))
                .grow_above(20ms);
        const auto backend = troupe::pool<Replica>(options, std::string(name));
        co_await troupe::or_return(co_await backend.start(system));
        kitchen.backends.push_back(backend);
    }
    co_return kitchen;
}

troupe::Task<void> close_kitchen(Kitchen kitchen) {
    for (const Backend& backend : kitchen.backends)
        troupe::ignore(co_await backend.stop(), "the program ends either way");
}

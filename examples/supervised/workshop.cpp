#include "workshop.hpp"

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

using namespace std::chrono_literals;

std::int64_t Helper::sum_up_to(std::int64_t n) {
    if (system().engine().random() % 100 < failures_in_a_hundred_) {
        throw std::runtime_error("this worker has dropped the job");
    }
    return n * (n + 1) / 2;
}

void Helper::crash() {
    throw std::runtime_error("somebody asked this worker to crash");
}

troupe::Task<troupe::Result<std::int64_t>> Desk::sum_up_to(std::int64_t n) {
    ++tally_.asked;
    troupe::Result<std::int64_t> sum = troupe::error(troupe::Errc::failed);
    for (std::size_t tries = 0; tries < workers_.size(); ++tries) {
        if (tries != 0) ++tally_.tried_again;
        const troupe::Ref<Helper> worker = workers_[next_++ % workers_.size()];
        // A worker in its backoff answers when it is back, which may take too long.
        sum = co_await worker.ask<&Helper::sum_up_to>(n).within(1s);
        if (sum) {
            ++tally_.done;
            co_return sum;
        }
    }
    ++tally_.given_up;
    co_return sum;
}

Workshop write_workshop() {
    auto pool = troupe::supervisor("pool");
    // Ready with two of three; more than 50 failures in 10 s are no bad luck any more.
    pool.one_for_one().intensity(50, 10s).min_healthy(2);
    const auto policy = troupe::permanent().backoff(300ms, 2s).reset_after(1s);
    auto ann = pool.child<Helper>("ann", policy);
    auto bob = pool.child<Helper>("bob", policy);
    auto eve = pool.child<Helper>("eve", policy);

    auto tree = troupe::supervisor("workshop");
    tree.rest_for_one();
    tree.child(std::move(pool));
    auto desk = tree.child<Desk>("desk", ann, bob, eve);
    return Workshop{std::move(tree), {ann, bob, eve}, desk};
}

troupe::Task<troupe::Result<OpenWorkshop>> open_workshop(troupe::System system) {
    Workshop workshop = write_workshop();
    auto running = co_await troupe::or_return(co_await system.start(std::move(workshop.tree)));
    OpenWorkshop open{running, {}, running.ref(workshop.desk)};
    for (const auto& worker : workshop.workers)
        open.workers.push_back(running.ref(worker));
    co_return open;
}

#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/http/internal/admission.hpp>
#include <troupe/task/task.hpp>

#include <memory>
#include <utility>

namespace troupe::http_internal {

/// Measures how long what is ready to run waits for a worker, by being such a thing itself. A timer
/// makes it runnable, which puts it first in line; then it lets all go first that are in line, and
/// how late it comes out of that is the wait: what a connection waits, without a clock being read
/// for each of them.
class LoadProbe final : public Actor {
public:
    explicit LoadProbe(std::shared_ptr<Admission> admission) : admission_(std::move(admission)) {}

    void begin() { wait(); }

private:
    void wait();
    Task<void> look();

    std::shared_ptr<Admission> admission_;  // shared with the connections
    Duration due_{};
    int looks_ = 0;  // since it was judged
};

}  // namespace troupe::http_internal

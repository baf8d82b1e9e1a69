#include <troupe/actor/system.hpp>
#include <troupe/http/internal/load_probe.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>

namespace troupe::http_internal {

namespace {

constexpr Duration kPeriod = std::chrono::milliseconds(10);
constexpr int kLooksPerJudgement = 10;

/// What the process holds, in the machine's memory. A few microseconds.
std::size_t memory_of_process() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void LoadProbe::wait() {
    due_ = system().now() + kPeriod;
    after<&LoadProbe::look>(kPeriod);
}

Task<void> LoadProbe::look() {
    co_await yield();
    admission_->overload().waited(std::max(system().now() - due_, Duration::zero()));
    if (++looks_ == kLooksPerJudgement) {
        looks_ = 0;
        admission_->overload().judge(system().engine().deterministic() ? 0 : memory_of_process());
    }
    wait();
}

}  // namespace troupe::http_internal

// What runs after a wait may be on another worker, with another value.
// First error: the function given to WorkerLocal::with must not suspend: it may go on on another
//   worker, whose value is another one; await before or after
#include <troupe/actor/actor.hpp>
#include <troupe/scheduler/worker_local.hpp>

void parse(troupe::WorkerLocal<int>& local) {
    (void)local.with([](int& value) -> troupe::Task<int> { co_return value; });
}

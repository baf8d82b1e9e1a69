// First error: group.add(f, args...): f cannot be called with these arguments
#include <troupe/task/task_group.hpp>

troupe::Task<int> half(int n) {
    co_return n / 2;
}

troupe::Task<int> run() {
    auto group = troupe::task_group<int>(troupe::all_successful());
    group.add(half, 4, 5);
    auto results = co_await group.run();
    co_return results ? 0 : 1;
}

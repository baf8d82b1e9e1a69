// A child waits for things, so it is a coroutine.
// First error: a child of a group is a coroutine: it returns Task<...>
#include <troupe/task/task_group.hpp>

int half(int n) {
    return n / 2;
}

troupe::Task<int> run() {
    auto group = troupe::task_group<int>(troupe::all_successful());
    group.add(half, 4);
    auto results = co_await group.run();
    co_return results ? 0 : 1;
}

// What the call was given may be gone when the group runs.
// First error: pass the function and its arguments, group.add(load, user), so that the group
//   keeps them alive; not load(user)
#include <troupe/task/task_group.hpp>

troupe::Task<int> half(int n) {
    co_return n / 2;
}

troupe::Task<int> run() {
    auto group = troupe::task_group<int>(troupe::all_successful());
    group.add(half(4));
    auto results = co_await group.run();
    co_return results ? 0 : 1;
}

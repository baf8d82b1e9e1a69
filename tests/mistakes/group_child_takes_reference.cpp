// The group may outlive what the reference names.
// First error: a child of a group takes its parameters by value; a reference could dangle
//   (use Borrow<T> for something this frame owns)
#include <troupe/task/task_group.hpp>

troupe::Task<int> half(const int& n) {
    co_return n / 2;
}

troupe::Task<int> run() {
    auto group = troupe::task_group<int>(troupe::all_successful());
    group.add(half, 4);
    auto results = co_await group.run();
    co_return results ? 0 : 1;
}

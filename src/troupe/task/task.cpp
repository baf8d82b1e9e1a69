#include <troupe/task/task.hpp>

namespace troupe::task_internal {

void resume_chain(std::coroutine_handle<> leaf) {
    AnyHandle at = as_any(leaf);
    for (;;) {
        at.resume();
        if (!at.promise().finished()) return;
        const std::coroutine_handle<> parent = at.promise().parent_;
        if (!parent) return;
        at = as_any(parent);
    }
}

}  // namespace troupe::task_internal

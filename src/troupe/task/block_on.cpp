#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/task_cell.hpp>

#include <cstdio>

namespace troupe::task_internal {

class RootTask::Root final : public TaskCell {
public:
    explicit Root(Task<void> body) noexcept : body_(std::move(body)) {}

    bool begin() override {
        body_.start();
        return !body_.finished();
    }
    void finish(End) noexcept override { body_.reset(); }
    void ended() noexcept override { finished.open(); }  // the last touch: block_on returns

    Latch finished;

private:
    Task<void> body_;
};

namespace {

constexpr CellType kRootType = task_type("block_on");

/// Says who waits for what: nothing can run, so nothing changes while we look.
[[noreturn]] void report_deadlock(Engine& engine) {
    std::fprintf(
        stderr,
        "troupe: block_on waits for ever: nothing can run and no timer is due. Waiting:\n%s",
        waiting_report(engine).c_str());
    TROUPE_ASSERT(false, "deadlock under block_on: see the list above");
    __builtin_unreachable();
}

}  // namespace

RootTask::RootTask(Engine& engine, Task<void> body)
    : engine_(engine),
      root_(new Root(std::move(body))),
      cell_(take_cell_for(engine, kRootType, *root_)) {
    schedule(cell_);
}

RootTask::~RootTask() = default;

Latch& RootTask::finished() noexcept {
    return root_->finished;
}

void RootTask::abandon() {
    cancel_task(cell_, cell_.generation(), Error(Errc::cancelled, "it was given up"), true);
    engine_.settle();
    TROUPE_ASSERT(root_->finished.is_open(), "a task was given up that could still run");
}

void RootTask::take_back() {
    TROUPE_ASSERT(cell_.state() == CellState::starting,
                  "the engine was stopped while a task of block_on waited on it: stop the system, "
                  "which waits for such tasks, and not the engine below it");
    // Stopped after we had looked. Nothing runs any more, so the cell is ours.
    static_cast<void>(cell_.close_mailbox(nullptr));
    cell_.extension_ = nullptr;
    engine_.release_cell(cell_);
}

void RootTask::forget() noexcept {
    Root* const left = root_.release();
    static_cast<void>(left);
}

bool run_as_root(Engine& engine, Task<void> body) {
    if (engine.stopped()) return false;
    RootTask root(engine, std::move(body));
    if (engine.run_until(root.finished())) return true;
    if (!engine.stopped()) report_deadlock(engine);
    root.take_back();
    return false;
}

void refuse_after_stop() {
    TROUPE_ASSERT(false,
                  "block_on was called after the engine had stopped: nothing can run there. A task "
                  "that gives a Result would hear of it as Errc::closed");
    __builtin_unreachable();
}

}  // namespace troupe::task_internal

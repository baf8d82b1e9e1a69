#include <troupe/scheduler/internal/own_threads.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <memory>
#include <utility>

namespace troupe::scheduler_internal {

/// Written under the pool's mutex, but for the context, which is the thread's own.
class OwnThreads::OwnThread : public Job, public WorkerContext {
public:
    OwnThread(OwnThreads& its_owner, Engine& its_engine, Cell& its_cell)
        : owner(its_owner), only(its_cell) {
        engine = &its_engine;
        // What it wakes is run by the workers; its own cell finds its way here by its placement.
        schedule = [](WorkerContext& self, Cell& woken) noexcept { self.engine->inject(woken); };
        // Nobody waits behind it, so there is a look at the clock before each message.
        messages = 0;
        more_messages = [](RunningTurn& self, unsigned /*given*/) noexcept {
            auto& thread = static_cast<OwnThread&>(self);
            if (thread.messages_left == 0) return 0U;
            --thread.messages_left;
            thread.read_clock();
            return 1U;
        };
        caches_cells = false;
        run = [](Job* job) noexcept {
            auto* const self = static_cast<OwnThread*>(job);
            self->owner.run(*self);
        };
        drop = [](Job* job) noexcept {
            auto* const self = static_cast<OwnThread*>(job);
            self->owner.remove(*self);
        };
    }

    // Then those who wait for room in the mailbox hear of what has been handled.
    static constexpr unsigned kMessagesOfTurn = 64;

    void read_clock() noexcept {
        now = engine->coarse_now();
        mail_stamp = troupe::mail_stamp(now);
        message_since.store(now.count(), std::memory_order_relaxed);
    }

    OwnThreads& owner;
    Cell& only;
    CondVar wake;
    bool runnable = false;
    bool ended = false;
    unsigned messages_left = 0;                   // of the running turn; its own thread
    std::atomic<Duration::rep> message_since{0};  // the thread writes, running() reads
};

OwnThreads::OwnThreads(Engine& engine, std::size_t threads_max)
    : engine_(engine),
      threads_max_(threads_max),
      // We count ourselves. A thread that has just ended its cell may still be counted there, and
      // takes the next one in a moment: so a cell may wait for it.
      pool_(BlockingPoolOptions{.threads_max = 2 * threads_max,
                                .jobs_max = threads_max,
                                .idle_time = Duration::zero(),
                                .name = "troupe-own"}) {}

OwnThreads::OwnThread* OwnThreads::find(const Cell& cell) const noexcept {
    const auto found = threads_.find(&cell);
    return found != threads_.end() ? found->second : nullptr;
}

Result<void> OwnThreads::start(Cell& cell) {
    LockGuard lock(mutex_);
    if (stopping_) return error(Errc::closed, "the engine is stopping");
    if (count_ >= threads_max_) {
        return error(Errc::failed,
                     "as many actors have a thread of their own as the engine's options allow "
                     "(own_threads_max)");
    }
    auto thread = std::make_unique<OwnThread>(*this, engine_, cell);
    Result<void> accepted = pool_.submit(thread.get());
    if (!accepted) return accepted;
    threads_[&cell] = thread.release();
    ++count_;
    return {};
}

void OwnThreads::schedule(Cell& cell) noexcept {
    LockGuard lock(mutex_);
    OwnThread* const thread = find(cell);
    if (thread == nullptr) return;  // the engine has stopped: its cells run no more
    cell.queued_at_us_ = queue_stamp(engine_.coarse_now());
    thread->runnable = true;
    thread->wake.notify_one();
}

void OwnThreads::end(Cell& cell) noexcept {
    LockGuard lock(mutex_);
    OwnThread* const thread = find(cell);
    if (thread == nullptr) return;
    // The slot's next owner may come before the thread has gone.
    threads_.erase(&cell);
    thread->ended = true;
    thread->wake.notify_one();
}

void OwnThreads::stop() noexcept {
    {
        LockGuard lock(mutex_);
        stopping_ = true;
        for (const auto& [cell, thread] : threads_)
            thread->wake.notify_one();
    }
    pool_.stop();
}

Engine::Running OwnThreads::running(const Cell& cell) const noexcept {
    LockGuard lock(mutex_);
    const OwnThread* const thread = find(cell);
    if (thread == nullptr || thread->cell.load(std::memory_order_relaxed) == nullptr) return {};
    const Duration since(thread->message_since.load(std::memory_order_relaxed));
    return {true, thread->doing.load(std::memory_order_relaxed), engine_.coarse_now() - since};
}

std::size_t OwnThreads::count() const noexcept {
    LockGuard lock(mutex_);
    return count_;
}

/// The thread's body.
void OwnThreads::run(OwnThread& thread) noexcept {
    set_current_context(&thread);
    Cell& only = thread.only;
    while (wait_for_turn(thread)) {
        thread.messages_left = OwnThread::kMessagesOfTurn;
        thread.read_clock();
        thread.doing.store(nullptr, std::memory_order_relaxed);
        thread.cell.store(&only, std::memory_order_relaxed);
        const TurnEnd end = only.type()->run(only);
        thread.cell.store(nullptr, std::memory_order_relaxed);
        turns_.fetch_add(1, std::memory_order_relaxed);
        if (end == TurnEnd::yielded) {
            mark_mail_left_behind(only);
            schedule(only);
        }
    }
    thread.locals.destroy_all();
    set_current_context(nullptr);
    remove(thread);
}

void OwnThreads::remove(OwnThread& thread) noexcept {
    {
        LockGuard lock(mutex_);
        if (!thread.ended) threads_.erase(&thread.only);
        --count_;
    }
    delete &thread;
}

/// False: the cell has ended, or everything does.
bool OwnThreads::wait_for_turn(OwnThread& thread) noexcept {
    LockGuard lock(mutex_);
    while (!thread.runnable && !thread.ended && !stopping_)
        thread.wake.wait(mutex_);
    if (thread.ended || stopping_) return false;
    thread.runnable = false;
    return true;
}

}  // namespace troupe::scheduler_internal

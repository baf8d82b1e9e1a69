#pragma once

#include <troupe/base/mutex.hpp>

#include <atomic>

namespace troupe {

/// A gate that opens once: how a thread that is none of the workers waits for something done by
/// one of them, through `Engine::run_until`.
class Latch {
public:
    /// Opens the gate. Any thread; the latch must stay alive until `open` has returned, which
    /// `wait` and `is_open` under the same lock guarantee.
    void open() noexcept {
        LockGuard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
    bool is_open() const noexcept {
        LockGuard lock(mutex_);
        return open_;
    }
    /// Blocks the calling thread until the gate is open.
    void wait() noexcept {
        LockGuard lock(mutex_);
        while (!open_)
            opened_.wait(mutex_);
    }

    /// The same; false when it will not be opened any more, since `give_up` was called.
    bool wait_unless_given_up() noexcept {
        LockGuard lock(mutex_);
        while (!open_ && !given_up_)
            opened_.wait(mutex_);
        return open_;
    }
    void give_up() noexcept {
        LockGuard lock(mutex_);
        given_up_ = true;
        opened_.notify_all();
    }

private:
    mutable Mutex mutex_{LockRank::latch};
    CondVar opened_;
    bool open_ TROUPE_GUARDED_BY(mutex_) = false;
    bool given_up_ TROUPE_GUARDED_BY(mutex_) = false;
};

}  // namespace troupe

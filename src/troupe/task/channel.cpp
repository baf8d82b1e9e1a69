#include <troupe/task/channel.hpp>

namespace troupe::task_internal {

void ChannelBase::close_sender() noexcept {
    Waiter* woken = nullptr;
    {
        note_shared_use(this);
        LockGuard lock(mutex);
        sender_gone = true;
        woken = receivers.serve();
    }
    wake(woken);
}

void ChannelBase::close_receiver() noexcept {
    Waiter* woken = nullptr;
    {
        note_shared_use(this);
        LockGuard lock(mutex);
        receiver_gone = true;
        woken = senders.serve();
    }
    wake(woken);
}

}  // namespace troupe::task_internal

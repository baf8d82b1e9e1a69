#pragma once

/// The untyped half of a TaskGroup: its children's cells, who is cancelled when, and the wait of
/// the frame the group lives in.
///
/// A child that ends puts its result into its own block and takes one off a counter; only a result
/// that the joiner wants to see takes the group's lock. The last one wakes the group's owner. So
/// joining a million children costs a million atomic decrements, and one wake-up.

#include <troupe/base/error.hpp>
#include <troupe/base/lock_rank.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/task_cell.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>

namespace troupe::task_internal {

class GroupBase;

class ChildBase : public TaskCell {
public:
    explicit ChildBase(GroupBase& group, bool service) noexcept
        : group_(group), service_(service) {}

    /// Destroys the child and gives back its block.
    virtual void free() noexcept = 0;
    virtual bool succeeded() const noexcept = 0;
    /// It is not to run at all.
    virtual void refuse(const Error& why) noexcept = 0;
    virtual const CellType& type() const noexcept = 0;

    void ended() noexcept override;
    bool stopping() const noexcept override;
    Owner owner() const noexcept override;

    bool service() const noexcept { return service_; }
    std::size_t index() const noexcept { return index_; }
    ChildBase* next() const noexcept { return next_; }

protected:
    // What every child's `begin` and `finish` do first and last. Where the group has a deadline,
    // the child is in a scope with the same, so that it is cancelled then, and what it has asked
    // for.
    void enter_scope();
    void leave_scope() noexcept { scope_.reset(); }

    GroupBase& group_;

private:
    friend class GroupBase;
    std::unique_ptr<Scope> scope_;
    ChildBase* next_ = nullptr;       // in the order of add
    ChildBase* next_done_ = nullptr;  // in the order of ending, where somebody wants to know
    Cell* cell_ = nullptr;            // once it was started
    std::uint32_t generation_ = 0;
    bool service_;
    std::size_t index_ = 0;
};

class GroupBase {
public:
    GroupBase() noexcept;
    GroupBase(const GroupBase&) = delete;
    GroupBase& operator=(const GroupBase&) = delete;

    /// Cancels all children; those that are added from now on do not begin. Before the group runs,
    /// or by one of its children.
    void cancel(const Error& why = Error(Errc::cancelled, "the group was cancelled")) noexcept;
    void cancel_child(ChildBase& child, const Error& why) noexcept;
    bool stopping() const noexcept;

protected:
    virtual ~GroupBase();

    // What the joiner says. `enough` is called with the lock held, for one child at a time.
    virtual bool wants_to_see(const ChildBase& child) const noexcept = 0;
    virtual bool enough(ChildBase& child, std::size_t children) noexcept = 0;

    void add_child(ChildBase* child) noexcept;
    ChildBase* first_child() const noexcept { return first_; }
    std::size_t children() const noexcept { return count_; }
    std::optional<std::size_t> decided_by() const noexcept { return decided_by_; }
    std::optional<Error> cut_short() const;
    void set_deadline(Duration longest) noexcept { longest_ = longest; }
    void ask_to_stop() noexcept { stopping_.store(true, std::memory_order_relaxed); }

    /// Gives all children a cell. In the turn of the group's owner.
    void start(bool in_order_of_ending) noexcept;
    /// The next child that has ended, where they are wanted in that order; null when none has.
    ChildBase* next_done() noexcept;

    /// Waits until all children have ended, or, where wanted, one has. False: it must be awaited
    /// again.
    class [[nodiscard]] Join {
    public:
        Join(GroupBase& group, std::source_location where) noexcept;
        Join(const Join&) = delete;
        Join& operator=(const Join&) = delete;
        ~Join() { group_.record_ = nullptr; }
        bool await_ready() const noexcept { return group_.all_ended_; }
        template <OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        bool await_resume() { return group_.all_ended_ || resumed(); }

    private:
        friend class GroupBase;
        struct Record : Awaiting {
            GroupBase* group = nullptr;
        };
        bool suspend(std::coroutine_handle<> self);
        bool resumed();

        GroupBase& group_;
        Record record_;
    };

private:
    friend class ChildBase;

    // The owner is woken by these; they carry no more than that they have come.
    struct Wake : MailNode {
        GroupBase* group = nullptr;
        static const MailOps kAllEndedOps;
        static const MailOps kOneEndedOps;
    };

    // Children that have not ended: all in the low half, those that are no services in the high
    // one. Until `start` has started all, there is one more.
    static constexpr std::uint64_t kOne = 1;
    static constexpr std::uint64_t kOrdinary = (std::uint64_t{1} << 32) | kOne;
    static std::uint64_t weight(const ChildBase& child) noexcept {
        return child.service_ ? kOne : kOrdinary;
    }

    void child_ended(ChildBase& child) noexcept;
    bool take_off(std::uint64_t weight) noexcept;
    void start_child(ChildBase& child) noexcept TROUPE_REQUIRES(mutex_);
    void cancel_all(const Error& why, bool kill, bool services_only) noexcept
        TROUPE_REQUIRES(mutex_);
    void cut(const Error& why) noexcept;
    Error out_of_time() const;
    void kill() noexcept;
    static bool let_go(Awaiting& record) noexcept;
    static bool wakes(GroupBase& group, MailNode* node, Cell& cell) noexcept;

    // Before the group runs only its frame touches these.
    ChildBase* first_ = nullptr;
    ChildBase* last_ = nullptr;
    std::size_t count_ = 0;
    Duration longest_ = Duration::max();

    Mutex mutex_{LockRank::task_group};
    std::optional<Error> refused_ TROUPE_GUARDED_BY(mutex_);  // why no more children begin
    bool decided_ TROUPE_GUARDED_BY(mutex_) = false;
    ChildBase* done_first_ TROUPE_GUARDED_BY(mutex_) = nullptr;
    ChildBase* done_last_ TROUPE_GUARDED_BY(mutex_) = nullptr;
    bool one_ended_sent_ TROUPE_GUARDED_BY(mutex_) = false;
    std::optional<std::size_t> decided_by_;  // under the lock until all have ended
    std::optional<Error> cut_short_;         // likewise

    std::atomic<std::uint64_t> left_{kOrdinary};  // children subtract; adding ones add
    std::atomic<bool> stopping_{false};           // children write and read

    // The owner's turn only.
    Cell* owner_ = nullptr;
    std::uint32_t owner_generation_ = 0;
    TaskCell* owner_task_ = nullptr;  // null when an actor owns it
    Engine* engine_ = nullptr;
    Duration asked_until_ = Duration::max();  // whoever waits for all this waits no longer
    Duration until_ = Duration::max();        // when all this is cancelled
    std::source_location run_at_;
    Duration deadline_ = Duration::max();
    Facts* facts_ = nullptr;  // what the children carry
    bool running_ = false;
    bool in_order_of_ending_ = false;
    bool all_ended_ = false;
    bool cutting_ = false;
    bool killing_ = false;
    Join::Record* record_ = nullptr;  // of the wait of the moment
    Wake all_ended_node_;
    Wake one_ended_node_;
};

}  // namespace troupe::task_internal

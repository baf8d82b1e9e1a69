#pragma once

/// A TaskGroup runs things at the same time, and none of them outlives it.
///
///     auto group = troupe::task_group<int>(troupe::all_successful());
///     group.add(load, "users", 3);                       // a coroutine function and its arguments
///     group.add([key]() -> Task<int> { ... });           // a closure, kept until its child ends
///     group.add(shard.ask<&Shard::find>(key));           // an ask
///     auto all = co_await group.run();                   // Result<std::vector<int>>
///
/// Nothing runs before `run`, and when it returns every child has ended, cancelled ones too. So an
/// exception between two `add`s leaves nothing behind, and no join can be forgotten.
///
/// Children are tasks with cells of their own: they run on any worker, at the same time as each
/// other, and the frame that awaits `run` waits meanwhile. Cancelling comes to them as
/// Errc::cancelled from what they await. See docs/design/0033-task-groups.md.

#include <troupe/base/block_pool.hpp>
#include <troupe/base/type_name.hpp>
#include <troupe/task/borrow.hpp>
#include <troupe/task/group_base.hpp>
#include <troupe/task/joiners.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

namespace task_internal {

template <class R>
inline constexpr bool kIsTask = false;
template <class T>
inline constexpr bool kIsTask<Task<T>> = true;

/// What a child gives: Task<U> and Task<Result<U>> both give U.
template <class R>
struct ChildValue {
    using type = R;
};
template <class T>
struct ChildValue<Result<T>> {
    using type = T;
};

// ---- the parameters of a coroutine function or closure, where they can be known -----------------

template <class... P>
struct Parameters {};
struct Unknown {};  // a generic lambda, an overloaded operator()

template <class F>
struct SignatureOf {
    using type = Unknown;
};
template <class R, class... P>
struct SignatureOf<R (*)(P...)> {
    using type = Parameters<P...>;
};
template <class R, class... P>
struct SignatureOf<R (*)(P...) noexcept> {
    using type = Parameters<P...>;
};
template <class Method>
struct CallOperator;
template <class R, class F, class... P>
struct CallOperator<R (F::*)(P...)> {
    using type = Parameters<P...>;
};
template <class R, class F, class... P>
struct CallOperator<R (F::*)(P...) const> {
    using type = Parameters<P...>;
};
template <class R, class F, class... P>
struct CallOperator<R (F::*)(P...) noexcept> {
    using type = Parameters<P...>;
};
template <class R, class F, class... P>
struct CallOperator<R (F::*)(P...) const noexcept> {
    using type = Parameters<P...>;
};
template <class F>
    requires requires { typename CallOperator<decltype(&F::operator())>::type; }
struct SignatureOf<F> {
    using type = typename CallOperator<decltype(&F::operator())>::type;
};

template <class Signature>
inline constexpr bool kByValue = true;
template <class... P>
inline constexpr bool kByValue<Parameters<P...>> = (!std::is_reference_v<P> && ...);

/// How an argument is kept until its child has ended: a view as its owner.
template <class P>
struct KeptForChild {
    using type = std::decay_t<P>;
};
template <>
struct KeptForChild<std::string_view> {
    using type = std::string;
};
template <class E, std::size_t N>
struct KeptForChild<std::span<const E, N>> {
    using type = std::vector<E>;
};

template <class Signature, class... Arguments>
struct KeptTuple {
    using type = std::tuple<std::decay_t<Arguments>...>;
};
template <class... P, class... Arguments>
    requires(sizeof...(P) == sizeof...(Arguments))
struct KeptTuple<Parameters<P...>, Arguments...> {
    using type = std::tuple<typename KeptForChild<P>::type...>;
};

template <class F, class... Arguments>
struct ChildTraits {
    using Kept = typename KeptTuple<typename SignatureOf<F>::type, Arguments...>::type;
    template <class... K>
    static auto call(F& function, std::tuple<K...>& kept) {
        return std::apply([&](K&... k) { return function(std::move(k)...); }, kept);
    }
};

/// Refuses what is no child, in words. True when it is one.
template <class T, bool kService, class F, class... Arguments>
consteval bool check_child() {
    static_assert(!kIsTask<F>,
                  "pass the function and its arguments, group.add(load, user), so that the group "
                  "keeps them alive; not load(user)");
    if constexpr (!kIsTask<F>) {
        using Signature = typename SignatureOf<F>::type;
        static_assert(kByValue<Signature>,
                      "a child of a group takes its parameters by value; a reference could dangle "
                      "(use Borrow<T> for something this frame owns)");
        if constexpr (kByValue<Signature>) {
            constexpr bool kCallable = std::is_invocable_v<F&, Arguments...>;
            static_assert(kCallable,
                          "group.add(f, args...): f cannot be called with these arguments");
            if constexpr (kCallable) {
                using Returned = std::invoke_result_t<F&, Arguments...>;
                static_assert(kIsTask<Returned>,
                              "a child of a group is a coroutine: it returns Task<...>");
                if constexpr (kIsTask<Returned>) {
                    using Value = typename ChildValue<typename Returned::value_type>::type;
                    constexpr bool kFits =
                        kService || std::is_void_v<T> || std::is_constructible_v<T, Value>;
                    static_assert(kFits,
                                  "this child gives something else than the group is made of: "
                                  "task_group<T>");
                    return kFits;
                }
            }
        }
    }
    return false;
}

template <class T>
class ChildOf : public ChildBase {
public:
    using ChildBase::ChildBase;

    bool succeeded() const noexcept override { return !outcome || outcome->has_value(); }
    void refuse(const Error& why) noexcept override { outcome.emplace(std::unexpect, why); }

    std::optional<Result<T>> outcome;  // set when it has ended; a service has none unless it fails
};

template <class F>
inline constexpr auto kChildName = type_name<F>();
template <class F>
inline constexpr CellType kChildType = task_type(kChildName<F>);

template <class T, bool kService, class F, class... Arguments>
class Child final : public ChildOf<T> {
    using Traits = ChildTraits<F, Arguments...>;
    using Kept = typename Traits::Kept;
    using Returned = std::invoke_result_t<F&, Arguments...>;

public:
    template <class... Given>
    Child(GroupBase& group, F&& function, Given&&... given)
        : ChildOf<T>(group, kService),
          function_(std::move(function)),
          kept_(std::forward<Given>(given)...) {}

    void free() noexcept override {
        this->~Child();
        free_block(this, sizeof(Child));
    }
    const CellType& type() const noexcept override { return kChildType<F>; }

    bool begin() override {
        this->enter_scope();
        // The arguments are moved into the coroutine's frame, which may throw.
        try {
            running_ = Traits::call(function_, kept_);
        } catch (...) {
            this->outcome.emplace(std::unexpect, failure(text_of_current_exception()));
            return false;
        }
        running_.start();
        return !running_.finished();
    }

    void finish(TaskCell::End how) noexcept override {
        if (how == TaskCell::End::finished) {
            if (!this->outcome) take();
        } else if (!this->outcome) {
            this->outcome.emplace(std::unexpect, why_cancelled());
        }
        running_.reset();
        this->leave_scope();
    }

private:
    /// What the child throws is its failure: an exception never vanishes, and nobody has to catch.
    void take() noexcept {
        using Value = typename Returned::value_type;
        try {
            if constexpr (std::is_void_v<Value>) {
                running_.take();
                keep();
            } else if constexpr (kIsResult<Value>) {
                keep_result(running_.take());
            } else {
                keep(running_.take());
            }
        } catch (...) {
            this->outcome.emplace(std::unexpect, failure(text_of_current_exception()));
        }
    }
    template <class U>
    void keep_result(Result<U> result) {
        if (!result) {
            this->outcome.emplace(std::unexpect, std::move(result).error());
        } else if constexpr (std::is_void_v<U>) {
            keep();
        } else {
            keep(std::move(*result));
        }
    }
    template <class... Value>
    void keep(Value&&... value) {
        if constexpr (kService) {
            return;
        } else if constexpr (std::is_void_v<T>) {
            this->outcome.emplace();
        } else {
            this->outcome.emplace(std::in_place, std::forward<Value>(value)...);
        }
    }
    static Error failure(const std::string& text) {
        return Error(Errc::failed, std::string(kChildName<F>) + ": " + text);
    }
    static Error why_cancelled() {
        const Scope* const scope = scope_now().cancelled_by;
        const Error why = scope != nullptr ? scope->reason() : Error(Errc::cancelled);
        return Error(Errc::cancelled, "a child of a group was cancelled: " + why.text())
            .with_cause(why);
    }

    F function_;
    Kept kept_;
    Returned running_;
};

template <class A>
concept Askable = !kIsTask<A> && requires(A&& awaitable) {
    typename A::value_type;
    std::move(awaitable).operator co_await();
};

}  // namespace task_internal

/// One child of a group, to be cancelled by itself. Good as long as the group.
class GroupChild {
public:
    GroupChild(task_internal::GroupBase& group, task_internal::ChildBase* child) noexcept
        : group_(&group), child_(child) {}

    /// What it awaits ends with Errc::cancelled, now and from now on. Before it has begun: it does
    /// not. By other children of the group, or before it runs.
    void cancel(const Error& why = Error(Errc::cancelled, "this child was cancelled")) noexcept {
        if (child_ != nullptr) group_->cancel_child(*child_, why);
    }

private:
    task_internal::GroupBase* group_;
    task_internal::ChildBase* child_;  // null for what was refused at compile time
};

template <class T, class Joiner>
class [[nodiscard]] TaskGroup final : public task_internal::GroupBase {
    using ChildOf = task_internal::ChildOf<T>;

public:
    using Output = typename Joiner::template Output<T>;

    explicit TaskGroup(Joiner joiner) : joiner_(std::move(joiner)) {}
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    /// Adds a child: a coroutine function or closure, called as `function(arguments...)` when the
    /// group runs. Both are kept until that child has ended. While the group runs, its children
    /// may add more (`borrow(group)`), which start at once.
    template <class F, class... Arguments>
        requires(!task_internal::Askable<std::remove_cvref_t<F>>)
    GroupChild add(F&& function, Arguments&&... arguments) {
        return add_kind<false>(std::forward<F>(function), std::forward<Arguments>(arguments)...);
    }

    /// An ask is a child too. It is sent when the group runs.
    template <task_internal::Askable A>
    GroupChild add(A&& ask) {
        using Value = typename std::remove_cvref_t<A>::value_type;
        auto wait = [](std::remove_cvref_t<A> asked) -> Task<Result<Value>> {
            co_return co_await std::move(asked);
        };
        return add(std::move(wait), std::forward<A>(ask));
    }

    /// Adds a child that runs as long as the others, and is cancelled when they have ended. Its
    /// failure is one of the group's, its value is not among the results.
    template <class F, class... Arguments>
    GroupChild add_service(F&& function, Arguments&&... arguments) {
        return add_kind<true>(std::forward<F>(function), std::forward<Arguments>(arguments)...);
    }

    /// The children are cancelled when so much time has passed since `run`. What that means for the
    /// output is the joiner's to say. Units: engine time.
    TaskGroup& within(Duration longest) noexcept {
        set_deadline(longest);
        return *this;
    }

    /// Asks the children to come to an end by themselves (`troupe::stopping()` is true in them) and
    /// cancels those that have not after `grace`. While the group runs, by its children.
    void request_stop(Duration grace) {
        ask_to_stop();
        auto then_cancel = [](Duration left, task_internal::GroupBase* group) -> Task<void> {
            const Result<void> waited = co_await sleep(left);
            if (waited) {
                group->cancel(
                    Error(Errc::cancelled, "the grace after the request to stop is over"));
            }
        };
        add_service(std::move(then_cancel), grace, static_cast<task_internal::GroupBase*>(this));
    }

    /// Runs the children and waits until all have ended. Once, in the frame the group lives in.
    /// When that frame is cancelled, so are they; it goes on when they have ended.
    Task<Output> run(std::source_location where = std::source_location::current()) {
        start(false);
        for (;;) {
            const bool ended = co_await Join(*this, where);
            if (ended) break;
        }
        co_return finish();
    }

    /// The same, and hands over every result as soon as it is there, in the order in which they
    /// come: `each(std::size_t index, const Result<T>& result)`, in this frame's turn. It may be a
    /// coroutine: then the next result waits for it.
    template <class Each>
    Task<Output> run_each(Each each, std::source_location where = std::source_location::current()) {
        start(true);
        std::exception_ptr thrown;
        for (bool ended = false; !ended;) {
            // All have ended: what is here now is all there will be.
            ended = co_await Join(*this, where);
            try {
                while (task_internal::ChildBase* const done = thrown ? nullptr : next_done()) {
                    const auto& child = *static_cast<ChildOf*>(done);
                    if constexpr (task_internal::kIsTask<
                                      std::invoke_result_t<Each&, std::size_t, const Result<T>&>>) {
                        co_await each(child.index(), *child.outcome);
                    } else {
                        each(child.index(), *child.outcome);
                    }
                }
            } catch (...) {
                // Not before the children have ended: they may use this frame.
                thrown = std::current_exception();
                cancel(Error(Errc::cancelled, "run_each: what it was given has thrown"));
            }
        }
        if (thrown) std::rethrow_exception(thrown);
        co_return finish();
    }

private:
    template <bool kService, class F, class... Arguments>
    GroupChild add_kind(F&& function, Arguments&&... arguments) {
        using Function = std::decay_t<F>;
        if constexpr (task_internal::check_child<T, kService, Function, Arguments...>()) {
            using Child = task_internal::Child<T, kService, Function, Arguments...>;
            void* const block = allocate_block(sizeof(Child));
            task_internal::ChildBase* child = nullptr;
            try {
                child = ::new (block) Child(*this, Function(std::forward<F>(function)),
                                            std::forward<Arguments>(arguments)...);
            } catch (...) {
                free_block(block, sizeof(Child));
                throw;
            }
            add_child(child);
            return GroupChild(*this, child);
        } else {
            return GroupChild(*this, nullptr);
        }
    }

    bool wants_to_see(const task_internal::ChildBase& child) const noexcept override {
        using task_internal::Looks;
        const bool succeeded = child.succeeded();
        if (child.service()) return !succeeded && !was_cancelled(child);
        if constexpr (requires { Joiner::kLooks; }) {
            if constexpr (Joiner::kLooks == Looks::never) return false;
            if constexpr (Joiner::kLooks == Looks::at_failures) return !succeeded;
            if constexpr (Joiner::kLooks == Looks::at_successes) return succeeded;
        }
        return true;
    }
    static bool was_cancelled(const task_internal::ChildBase& child) noexcept {
        const auto& outcome = static_cast<const ChildOf&>(child).outcome;
        return outcome && !*outcome && outcome->error() == Errc::cancelled;
    }
    bool enough(task_internal::ChildBase& child, std::size_t children) noexcept override {
        const Result<T>& result = *static_cast<ChildOf&>(child).outcome;
        if constexpr (requires { joiner_.template enough<T>(result, children); }) {
            return joiner_.template enough<T>(result, children);
        } else {
            static_cast<void>(children);
            return joiner_.template enough<T>(result);
        }
    }

    Output finish() {
        GroupResults<T> group;
        group.results.reserve(children());
        group.cut_short = cut_short();
        for (task_internal::ChildBase* at = first_child(); at != nullptr; at = at->next()) {
            if (at->service()) continue;
            if (decided_by() == at->index()) group.decided_by = group.results.size();
            group.results.push_back(std::move(*static_cast<ChildOf*>(at)->outcome));
        }
        if constexpr (requires { joiner_.template finish<T>(std::move(group)); }) {
            return joiner_.template finish<T>(std::move(group));
        } else {
            return joiner_.template finish<T>(std::move(group.results));
        }
    }

    Joiner joiner_;
};

/// An empty group whose children give T each: `task_group<int>(all_successful())`.
template <class T = void, class Joiner>
TaskGroup<T, Joiner> task_group(Joiner joiner) {
    return TaskGroup<T, Joiner>(std::move(joiner));
}

/// Whether the group that the running task belongs to, or one further out, was asked to stop: a
/// loop that takes on work ends then. False in an actor and outside of tasks.
bool stopping() noexcept;

}  // namespace troupe

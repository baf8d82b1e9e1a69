#pragma once

/// Joiners say when a group has what it wants, and what comes of its children's results.
///
/// One of your own is a class with
///
///     template <class T> using Output = ...;               // what run() gives
///     template <class T> bool enough(const Result<T>& r);  // true: cancel the others
///     template <class T> Output<T> finish(std::vector<Result<T>> results);  // in order of add
///
/// `enough` is called for each child that ends, for one at a time, on whatever worker that is; it
/// must neither wait nor throw.

#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// How the children of a group have ended, as joiners see it.
template <class T>
struct GroupResults {
    std::vector<Result<T>> results;         ///< in the order of add
    std::optional<std::size_t> decided_by;  ///< the child after which the others were cancelled
    std::optional<Error> cut_short;         ///< why all were cancelled, if they were
};

namespace task_internal {

/// Which results a joiner wants to see as soon as they are there; most need not be looked at.
enum class Looks : unsigned char { never, at_failures, at_successes, at_all };

template <class T>
using ValuesOf =
    std::conditional_t<std::is_void_v<T>, Result<void>,
                       Result<std::vector<std::conditional_t<std::is_void_v<T>, int, T>>>>;

/// The first failure with all others in its text.
Error all_failures(const std::vector<const Error*>& failures, std::size_t children,
                   const Error& first);
Error none_succeeded(const std::vector<const Error*>& failures, const std::string& wanted);

template <class T>
std::vector<const Error*> failures_of(const std::vector<Result<T>>& results) {
    std::vector<const Error*> failures;
    for (const Result<T>& result : results) {
        if (!result) failures.push_back(&result.error());
    }
    return failures;
}

/// The values of those that have succeeded, `most` of them.
template <class T>
ValuesOf<T> values_of(std::vector<Result<T>>& results, std::size_t most) {
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        std::vector<T> values;
        values.reserve(results.size() < most ? results.size() : most);
        for (Result<T>& result : results) {
            if (result && values.size() < most) values.push_back(std::move(*result));
        }
        return values;
    }
}

}  // namespace task_internal

/// All values, or the first failure, which cancels the others; its text names all that failed.
class AllSuccessful {
public:
    static constexpr auto kLooks = task_internal::Looks::at_failures;
    template <class T>
    using Output = task_internal::ValuesOf<T>;

    template <class T>
    bool enough(const Result<T>& result) {
        if (!result && !first_) first_ = result.error();
        return !result;
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) {
        const auto failures = task_internal::failures_of(group.results);
        if (failures.empty() && !first_)
            return task_internal::values_of(group.results, group.results.size());
        const Error& first = first_ ? *first_ : *failures.front();  // perhaps a service's
        // Children that were cancelled because all were, are not what went wrong.
        if (first == Errc::cancelled && group.cut_short) return std::unexpected(*group.cut_short);
        return std::unexpected(task_internal::all_failures(failures, group.results.size(), first));
    }

private:
    std::optional<Error> first_;
};

/// The first value; the others are cancelled. Errc::unreachable when all have failed.
class FirstSuccess {
public:
    static constexpr auto kLooks = task_internal::Looks::at_successes;
    template <class T>
    using Output = Result<T>;

    template <class T>
    bool enough(const Result<T>& result) const noexcept {
        return result.has_value();
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) const {
        if (group.decided_by) return std::move(group.results[*group.decided_by]);
        return std::unexpected(task_internal::none_succeeded(
            task_internal::failures_of(group.results), "none succeeded"));
    }
};

/// What the first child to end gives, a value or a failure; the others are cancelled.
class FirstCompleted {
public:
    static constexpr auto kLooks = task_internal::Looks::at_all;
    template <class T>
    using Output = Result<T>;

    template <class T>
    bool enough(const Result<T>&) const noexcept {
        return true;
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) const {
        if (group.decided_by) return std::move(group.results[*group.decided_by]);
        if (group.cut_short) return std::unexpected(*group.cut_short);
        return error(Errc::unreachable, "the group had no children");
    }
};

/// Every child's own result. Nobody is cancelled.
class AllSettled {
public:
    static constexpr auto kLooks = task_internal::Looks::never;
    template <class T>
    using Output = std::vector<Result<T>>;

    template <class T>
    bool enough(const Result<T>&) const noexcept {
        return false;
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) const {
        return std::move(group.results);
    }
};

/// The first `k` values, in the order of add; the others are cancelled. Errc::unreachable as soon
/// as so many have failed that `k` cannot succeed any more.
class Quorum {
public:
    static constexpr auto kLooks = task_internal::Looks::at_all;
    template <class T>
    using Output = task_internal::ValuesOf<T>;

    explicit Quorum(std::size_t wanted) noexcept : wanted_(wanted) {}

    template <class T>
    bool enough(const Result<T>& result, std::size_t children) noexcept {
        ++(result ? succeeded_ : failed_);
        return succeeded_ >= wanted_ || children - failed_ < wanted_;
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) const {
        if (succeeded_ >= wanted_) return task_internal::values_of(group.results, wanted_);
        return std::unexpected(task_internal::none_succeeded(
            task_internal::failures_of(group.results), std::to_string(succeeded_) + " of the " +
                                                           std::to_string(wanted_) +
                                                           " wanted succeeded"));
    }

private:
    std::size_t wanted_;
    std::size_t succeeded_ = 0;
    std::size_t failed_ = 0;
};

/// Every child's result; once `predicate(const Result<T>&)` is true for one that has ended, the
/// others are cancelled.
template <class Predicate>
class Until {
public:
    static constexpr auto kLooks = task_internal::Looks::at_all;
    template <class T>
    using Output = std::vector<Result<T>>;

    explicit Until(Predicate predicate) : predicate_(std::move(predicate)) {}

    template <class T>
    bool enough(const Result<T>& result) {
        return predicate_(result);
    }
    template <class T>
    Output<T> finish(GroupResults<T> group) const {
        return std::move(group.results);
    }

private:
    Predicate predicate_;
};

inline AllSuccessful all_successful() noexcept {
    return {};
}
inline FirstSuccess first_success() noexcept {
    return {};
}
inline FirstCompleted first_completed() noexcept {
    return {};
}
inline AllSettled all_settled() noexcept {
    return {};
}
inline Quorum quorum(std::size_t wanted) noexcept {
    return Quorum(wanted);
}
template <class Predicate>
Until<Predicate> until(Predicate predicate) {
    return Until<Predicate>(std::move(predicate));
}

}  // namespace troupe

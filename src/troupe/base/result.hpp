#pragma once

#include <troupe/base/error.hpp>

#include <expected>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

/// A value, or the Error that stands in its way.
template <class T = void>
using Result = std::expected<T, Error>;

namespace base_internal {

template <class R>
inline constexpr bool kIsResult = false;
template <class T>
inline constexpr bool kIsResult<std::expected<T, Error>> = true;

template <class R>
concept AnyResult = kIsResult<std::remove_cvref_t<R>>;

// Calls f with the result's value, or with nothing for Result<void>.
template <class R, class F>
constexpr decltype(auto) call_with_value(R&& result, F&& f) {
    if constexpr (std::is_void_v<typename std::remove_cvref_t<R>::value_type>) {
        return std::forward<F>(f)();
    } else {
        return std::forward<F>(f)(*std::forward<R>(result));
    }
}

}  // namespace base_internal

// libstdc++ 12 has std::expected without its monadic members, hence the free functions.

/// Goes on with `f(value)`, which returns a Result, or passes the error on.
template <base_internal::AnyResult R, class F>
[[nodiscard]] constexpr auto and_then(R&& result, F&& f) {
    using Next = std::remove_cvref_t<decltype(base_internal::call_with_value(
        std::forward<R>(result), std::forward<F>(f)))>;
    static_assert(base_internal::AnyResult<Next>,
                  "and_then(result, f): f returns a Result; for a plain value use transform");
    if (!result) return Next(std::unexpect, std::forward<R>(result).error());
    return Next(base_internal::call_with_value(std::forward<R>(result), std::forward<F>(f)));
}

/// Replaces the value by `f(value)`, or passes the error on.
template <base_internal::AnyResult R, class F>
[[nodiscard]] constexpr auto transform(R&& result, F&& f) {
    using Value = std::remove_cv_t<decltype(base_internal::call_with_value(std::forward<R>(result),
                                                                           std::forward<F>(f)))>;
    if (!result) return Result<Value>(std::unexpect, std::forward<R>(result).error());
    if constexpr (std::is_void_v<Value>) {
        base_internal::call_with_value(std::forward<R>(result), std::forward<F>(f));
        return Result<void>();
    } else {
        return Result<Value>(
            base_internal::call_with_value(std::forward<R>(result), std::forward<F>(f)));
    }
}

/// Keeps the value, or goes on with `f(error)`, which returns a Result of the same type.
template <base_internal::AnyResult R, class F>
[[nodiscard]] constexpr std::remove_cvref_t<R> or_else(R&& result, F&& f) {
    if (result) return std::forward<R>(result);
    return std::forward<F>(f)(std::forward<R>(result).error());
}

/// The value, or `fallback` in place of an error.
template <base_internal::AnyResult R, class U>
[[nodiscard]] constexpr auto value_or(R&& result, U&& fallback) {
    using Value = typename std::remove_cvref_t<R>::value_type;
    return result ? static_cast<Value>(*std::forward<R>(result))
                  : static_cast<Value>(std::forward<U>(fallback));
}

/// Drops a value aloud: `ignore(sent, "the peer has left anyway");`. The reason is for the reader.
template <class T>
constexpr void ignore([[maybe_unused]] T&& value, [[maybe_unused]] std::string_view why) noexcept {}

}  // namespace troupe

/// Takes the value of a Result or returns its error from the function around it:
///
///     TROUPE_TRY(auto config, read_config(path));
///     TROUPE_TRY(check(config));          // Result<void>, or a value nobody wants
///
/// For ordinary functions that return a Result. A coroutine writes
/// `auto config = co_await or_return(…)`. In the short form a comma outside parentheses starts the
/// long form, so put parentheses around such an expression.
#define TROUPE_TRY(first, ...)                                                                   \
    TROUPE_INTERNAL_SECOND(__VA_OPT__(, ) TROUPE_INTERNAL_TRY_VALUE, TROUPE_INTERNAL_TRY_VOID, ) \
    (TROUPE_INTERNAL_UNIQUE(__COUNTER__), first __VA_OPT__(, ) __VA_ARGS__)

#define TROUPE_INTERNAL_SECOND(first, second, ...) second
#define TROUPE_INTERNAL_UNIQUE(number) TROUPE_INTERNAL_JOIN(troupe_try_, number)
#define TROUPE_INTERNAL_JOIN(left, right) left##right

// NOLINTBEGIN(bugprone-macro-parentheses): neither a declaration nor a name it declares can
#define TROUPE_INTERNAL_TRY_VALUE(temporary, declaration, ...) \
    auto temporary = (__VA_ARGS__);                            \
    if (!temporary) [[unlikely]]                               \
        return std::unexpected(std::move(temporary).error());  \
    declaration = *std::move(temporary)

#define TROUPE_INTERNAL_TRY_VOID(temporary, expression)             \
    do {                                                            \
        if (auto temporary = (expression); !temporary) [[unlikely]] \
            return std::unexpected(std::move(temporary).error());   \
    } while (false)
// NOLINTEND(bugprone-macro-parentheses)

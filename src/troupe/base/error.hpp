#pragma once

// An Error is a code of any enum, where it arose, and on request a text and a cause.
//
// It is 16 bytes, so that Result<T> stays small and travels in registers or in a reply slot: 32
// bits name the enum type (a hash of its name, so nobody registers anything), 32 bits hold the
// value, and one pointer holds the place. Only an error with a text or a cause allocates; then the
// pointer is tagged and leads to a counted detail shared by all copies.
//
// std::error_code was the alternative: it needs a category class per enum and has no room for the
// place, which is what one wants to know at three in the morning.

#include <troupe/base/hash.hpp>
#include <troupe/base/type_name.hpp>

#include <bit>
#include <cstdint>
#include <expected>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

/// What the runtime itself can answer. Users bring enums of their own.
enum class Errc {
    timed_out = 1,
    actor_gone,
    no_reply,
    mailbox_full,
    call_cycle,
    cancelled,
    not_found,
    already_registered,
    wrong_type,
    failed,
    start_failed,
    unreachable,
    closed,
};

/// The enumerator's name: "timed_out". Empty for a value outside the enum.
std::string_view name(Errc code) noexcept;

template <class E>
concept Enum = std::is_enum_v<E>;

class Error;

namespace base_internal {

struct ErrorDetail;  // text, place, cause; counted

void register_error_domain(std::uint32_t domain, std::string_view type_name) noexcept;

template <Enum E>
inline constexpr std::uint32_t kErrorDomain = fnv1a_32(type_name<E>());

// Says the enum's name to the process before main begins, so that a message can spell it, and so
// that two enums whose names share a hash are found at start-up. Costs an Error nothing.
template <Enum E>
struct ErrorDomain {
    static inline const bool registered =
        (register_error_domain(kErrorDomain<E>, type_name<E>()), true);
};

}  // namespace base_internal

class Error {
public:
    /// An error with this code, made here. An empty text stands for the code's own sentence.
    ///
    /// Threads: any. Allocates only when there is a text.
    template <Enum E>
    Error(E code, std::string text = std::string(),
          std::source_location location = std::source_location::current())
        : domain_(base_internal::kErrorDomain<E>),
          value_(static_cast<std::int32_t>(code)),
          place_(std::bit_cast<std::uintptr_t>(location)) {
        static_assert(sizeof(E) <= sizeof(std::int32_t), "an error code fits 32 bits");
        static_cast<void>(&base_internal::ErrorDomain<E>::registered);
        if (!text.empty()) attach(std::move(text));
    }

    Error(const Error& other) noexcept
        : domain_(other.domain_), value_(other.value_), place_(other.place_) {
        if (has_detail()) retain();
    }
    Error(Error&& other) noexcept
        : domain_(other.domain_), value_(other.value_), place_(std::exchange(other.place_, 0)) {}
    Error& operator=(const Error& other) noexcept {
        Error copy(other);
        swap(copy);
        return *this;
    }
    Error& operator=(Error&& other) noexcept {
        Error taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Error() {
        if (has_detail()) release();
    }

    void swap(Error& other) noexcept {
        std::swap(domain_, other.domain_);
        std::swap(value_, other.value_);
        std::swap(place_, other.place_);
    }

    /// The text given, or the plain sentence of an Errc; empty for another enum without a text.
    const std::string& text() const noexcept;

    /// Where the error was made. Empty after a move.
    std::source_location where() const noexcept;

    /// The error that led to this one, or nullptr. Lives as long as this error or a copy of it.
    const Error* cause() const noexcept;

    /// This error with the given one as its cause, in place of the cause it had.
    Error with_cause(Error cause) const;

    /// This error with this text in place of the one it had.
    Error with_text(std::string text) const;

    /// All there is to say in one line: `no funds (BankErrc 1 at shop/bank.cpp:12); caused by: …`.
    std::string message() const;

    /// The hash of the enum type's name, and the enumerator's value: for codecs and metrics.
    std::uint32_t domain() const noexcept { return domain_; }
    std::int32_t value() const noexcept { return value_; }

    /// Whether the error is this code of this very enum.
    template <Enum E>
    friend bool operator==(const Error& error, E code) noexcept {
        return error.domain_ == base_internal::kErrorDomain<E> &&
               error.value_ == static_cast<std::int32_t>(code);
    }

    /// Whether both have the same code; text, place and cause do not count.
    friend bool operator==(const Error& left, const Error& right) noexcept {
        return left.domain_ == right.domain_ && left.value_ == right.value_;
    }

private:
    static constexpr std::uintptr_t kDetailTag = 1;  // a source_location's pointer is even

    void attach(std::string&& text);
    Error with_detail(std::string text, const Error* cause) const;
    bool has_detail() const noexcept { return (place_ & kDetailTag) != 0; }
    base_internal::ErrorDetail* detail() const noexcept;
    void retain() const noexcept;
    void release() noexcept;

    std::uint32_t domain_;
    std::int32_t value_;
    std::uintptr_t place_;  // the source_location's pointer, or a tagged ErrorDetail
};

static_assert(sizeof(Error) == 16);
static_assert(sizeof(std::source_location) == sizeof(std::uintptr_t) &&
                  std::is_trivially_copyable_v<std::source_location>,
              "Error keeps a source_location as one pointer; this standard library's is wider");

/// An error ready to be returned: `return error(BankErrc::insufficient_funds, "only 3 left");`
template <Enum E>
[[nodiscard]] std::unexpected<Error> error(
    E code, std::string text = std::string(),
    std::source_location location = std::source_location::current()) {
    return std::unexpected<Error>(std::in_place, code, std::move(text), location);
}

/// What the exception that is being handled says of itself. In a catch clause only.
std::string text_of_current_exception();

}  // namespace troupe

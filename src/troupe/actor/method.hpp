#pragma once

/// A method is a message: what its type says about arguments, storage and reply, and the texts for
/// calls that do not fit.

#include <troupe/base/result.hpp>
#include <troupe/base/type_name.hpp>
#include <troupe/task/task.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

template <class A>
class Ref;
template <class T>
class Reply;

/// Lets a type into messages that is refused by default: `template <> inline constexpr bool
/// troupe::kSendable<Handle*> = true;`
template <class T>
inline constexpr bool kSendable = false;

/// Picks one of several overloads: `ref.tell<overload<void(int)>(&A::set)>(1)`.
template <class Signature>
struct Overload;
template <class R, class... P>
struct Overload<R(P...)> {
    template <class C>
    consteval auto operator()(R (C::*method)(P...)) const noexcept {
        return method;
    }
};
template <class R, class... P>
struct Overload<R(P...) const> {
    template <class C>
    consteval auto operator()(R (C::*method)(P...) const) const noexcept {
        return method;
    }
};
template <class Signature>
inline constexpr Overload<Signature> overload{};

namespace actor_internal {

template <class... P>
struct TypeList {
    static constexpr std::size_t kSize = sizeof...(P);
};

template <class M>
struct MethodTraits {
    static constexpr bool kIsMethod = false;
};
template <class C, class R, bool Const, bool RvalueOnly, class... P>
struct MethodTraitsOf {
    static constexpr bool kIsMethod = true;
    static constexpr bool kConst = Const;
    static constexpr bool kRvalueOnly = RvalueOnly;
    using Class = C;
    using Return = R;
    using Parameters = TypeList<P...>;
};
#define TROUPE_METHOD_TRAITS(qualifiers, is_const, rvalue_only) \
    template <class C, class R, class... P>                     \
    struct MethodTraits<R (C::*)(P...) qualifiers>              \
        : MethodTraitsOf<C, R, is_const, rvalue_only, P...> {}; \
    template <class C, class R, class... P>                     \
    struct MethodTraits<R (C::*)(P...) qualifiers noexcept>     \
        : MethodTraitsOf<C, R, is_const, rvalue_only, P...> {}
TROUPE_METHOD_TRAITS(, false, false);
TROUPE_METHOD_TRAITS(const, true, false);
TROUPE_METHOD_TRAITS(&, false, false);
TROUPE_METHOD_TRAITS(const&, true, false);
TROUPE_METHOD_TRAITS(&&, false, true);
TROUPE_METHOD_TRAITS(const&&, true, true);
#undef TROUPE_METHOD_TRAITS

template <auto M>
using Traits = MethodTraits<std::remove_cv_t<decltype(M)>>;

template <auto M>
consteval bool is_const_method() {
    if constexpr (Traits<M>::kIsMethod) return Traits<M>::kConst;
    return false;
}
template <auto M>
inline constexpr bool kIsConst = is_const_method<M>();

/// Its address is the method's identity.
template <auto M, class C = typename Traits<M>::Class>
inline constexpr char kMethodId = 0;

// ---- how a parameter is kept in the envelope
// -----------------------------------------------------

template <class T>
struct Kept {
    using type = T;
};
template <>
struct Kept<std::string_view> {
    using type = std::string;
};
template <class T>
struct Kept<std::span<const T>> {
    using type = std::vector<T>;
};
template <class P>
using KeptAs = typename Kept<std::remove_cvref_t<P>>::type;

/// Hands a kept argument to its parameter: moved where the parameter takes it, lent where it is a
/// const reference or a view.
template <class P, class K>
decltype(auto) pass(K& kept) noexcept {
    using Plain = std::remove_cvref_t<P>;
    if constexpr (!std::is_same_v<Plain, K>) {
        return Plain(kept);
    } else if constexpr (std::is_lvalue_reference_v<P>) {
        return static_cast<const K&>(kept);
    } else {
        return static_cast<K&&>(kept);
    }
}

template <class T>
inline constexpr bool kIsReferenceWrapper = false;
template <class T>
inline constexpr bool kIsReferenceWrapper<std::reference_wrapper<T>> = true;

template <class P>
inline constexpr bool kTakesMutableReference =
    std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;
template <class P>
inline constexpr bool kTakesPointer =
    (std::is_pointer_v<std::remove_cvref_t<P>> || kIsReferenceWrapper<std::remove_cvref_t<P>>) &&
    !kSendable<std::remove_cvref_t<P>>;

/// Whether the kept argument is unchanged after the parameter has had it: lent, or copied.
template <class P>
inline constexpr bool kParameterStays =
    !std::is_same_v<std::remove_cvref_t<P>, KeptAs<P>> || std::is_lvalue_reference_v<P> ||
    std::is_trivially_copyable_v<KeptAs<P>>;
template <class List>
inline constexpr bool kParametersStay = false;
template <class... P>
inline constexpr bool kParametersStay<TypeList<P...>> = (kParameterStays<P> && ...);

// ---- what an asker gets
// --------------------------------------------------------------------------

template <class R>
struct ReplyType {
    using type = KeptAs<R>;
};
template <>
struct ReplyType<void> {
    using type = void;
};
template <class T>
struct ReplyType<Result<T>> {
    using type = typename ReplyType<T>::type;
};
template <class T>
struct ReplyType<Task<T>> {
    using type = typename ReplyType<T>::type;
};
template <class T>
struct ReplyType<Reply<T>> {
    using type = T;
};
template <auto M>
using ReplyOf = typename ReplyType<typename Traits<M>::Return>::type;

template <class R>
inline constexpr bool kIsTask = false;
template <class T>
inline constexpr bool kIsTask<Task<T>> = true;

// ---- the checks, each an ordinary function so that GCC 12 takes it
// --------------------------------

template <class Argument, class K>
inline constexpr bool kFits =
    std::is_convertible_v<Argument, K> ||
    (std::is_same_v<K, std::string> && std::is_convertible_v<Argument, std::string_view>);

template <class List, class... Arguments>
struct Fits : std::false_type {};
template <class... P, class... Arguments>
    requires(sizeof...(P) == sizeof...(Arguments))
struct Fits<TypeList<P...>, Arguments...>
    : std::bool_constant<(kFits<Arguments, KeptAs<P>> && ...)> {};

template <class List>
struct ParametersAreFine;
template <class... P>
struct ParametersAreFine<TypeList<P...>> {
    static constexpr bool kNoReference = (!kTakesMutableReference<P> && ...);
    static constexpr bool kNoPointer = (!kTakesPointer<P> && ...);
};

template <class A, class Argument>
inline constexpr bool kSendsThis =
    std::is_pointer_v<std::decay_t<Argument>> &&
    std::is_class_v<std::remove_pointer_t<std::decay_t<Argument>>> &&
    requires { typename std::remove_pointer_t<std::decay_t<Argument>>::TroupeActor; };

template <auto M, class A>
consteval bool method_belongs_to() {
    using Class = typename Traits<M>::Class;
    return std::is_same_v<Class, A> || std::is_base_of_v<Class, A>;
}

/// Refuses a call that cannot be a message, in the order a newcomer needs to hear it. True when the
/// call can be compiled further.
template <auto M, class A, class... Arguments>
consteval bool check_call() {
    using T = Traits<M>;
    static_assert(T::kIsMethod,
                  "the template argument is not a method: write ref.tell<&A::method>(args...)");
    if constexpr (T::kIsMethod) {
        static_assert(method_belongs_to<M, A>(),
                      "this method belongs to another class than the one the Ref points to");
        static_assert(!T::kRvalueOnly,
                      "a &&-qualified method cannot be a message, the actor lives on after it");
        using Fine = ParametersAreFine<typename T::Parameters>;
        static_assert(Fine::kNoReference,
                      "the method takes a T&; a message carries values: take T, const T& or T&&, "
                      "and return the result");
        static_assert(Fine::kNoPointer,
                      "the method takes a raw pointer or reference_wrapper; a message owns what it "
                      "carries: use a value, unique_ptr, shared_ptr or Ref<A>");
        static_assert(!std::is_pointer_v<std::remove_cvref_t<typename T::Return>> ||
                          kSendable<std::remove_cvref_t<typename T::Return>>,
                      "the method returns a pointer into the actor; return a value");
        constexpr bool kSameCount = T::Parameters::kSize == sizeof...(Arguments);
        static_assert(kSameCount,
                      "the number of arguments differs from the method's parameters (default "
                      "arguments do not travel through &A::method)");
        static_assert((!kSendsThis<A, Arguments> && ...),
                      "send the actor's address, self(this), not this");
        constexpr bool kArgumentsFit = !kSameCount || (kSendsThis<A, Arguments> || ...) ||
                                       Fits<typename T::Parameters, Arguments...>::value;
        static_assert(kArgumentsFit, "the arguments do not match the method's parameters");
        return method_belongs_to<M, A>() && !T::kRvalueOnly && Fine::kNoReference &&
               Fine::kNoPointer && kSameCount && kArgumentsFit &&
               !(kSendsThis<A, Arguments> || ...) &&
               (!std::is_pointer_v<std::remove_cvref_t<typename T::Return>> ||
                kSendable<std::remove_cvref_t<typename T::Return>>);
    } else {
        return false;
    }
}

/// How many bytes the subobject of class `To` lies behind the beginning of a `From`.
template <class From, class To>
std::ptrdiff_t offset_of_base() noexcept {
    if constexpr (std::is_same_v<From, To>) {
        return 0;
    } else {
        // Any aligned address does: nothing is read, the bases are not virtual.
        constexpr std::uintptr_t kSomewhere = 1 << 16;
        auto* const from = reinterpret_cast<From*>(kSomewhere);
        return static_cast<std::ptrdiff_t>(
            reinterpret_cast<std::uintptr_t>(static_cast<To*>(from)) - kSomewhere);
    }
}

}  // namespace actor_internal
}  // namespace troupe

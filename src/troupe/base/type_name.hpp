#pragma once

// Names of types and methods, as the programmer wrote them, known at compile time. Traces, timeouts
// and dashboards show them, so nobody has to register anything.
//
// The compiler prints the template argument of a function in __PRETTY_FUNCTION__. We cut it out and
// make both compilers agree: inline namespaces of the standard library and anonymous namespaces are
// dropped, std::string is called std::string, and `> >` becomes `>>`. Names made of more than that
// (lambdas, unnamed types) stay as the compiler spells them.

#include <cstddef>
#include <string_view>

namespace troupe {
namespace base_internal {

// "[T = X]" from Clang, "[with T = X]" from GCC. The functions below return `auto` because GCC
// would append the meaning of any alias it finds in the signature.
//
// Every message of every program has a name made here, and the compiler is slow at this: it took a
// tenth of what it needs for a test of actors. So nothing is searched where it can be counted, each
// text is cut out once, and no character is compared that cannot begin a spelling.
template <class T>
consteval auto pretty_type() {
    return std::string_view(__PRETTY_FUNCTION__, sizeof(__PRETTY_FUNCTION__) - 1);
}

template <auto Method>
consteval auto pretty_method() {
    return std::string_view(__PRETTY_FUNCTION__, sizeof(__PRETTY_FUNCTION__) - 1);
}

// What stands before the argument is the same for all of them; behind it there is one bracket.
inline constexpr std::size_t kBeforeType = pretty_type<int>().find("T = ") + 4;
inline constexpr std::size_t kBeforeMethod = pretty_method<0>().find("Method = ") + 9;

consteval std::string_view argument(std::string_view pretty, std::size_t before) {
    return {pretty.data() + before, pretty.size() - before - 1};
}

struct Spelling {
    std::string_view compiler;
    std::string_view ours;  // never longer, so the text can be rewritten in place
};

// Tried in this order at every position; the long forms come first.
inline constexpr Spelling kSpellings[] = {
    {"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
     "std::string"},
    {"std::__cxx11::basic_string<char>", "std::string"},
    {"std::basic_string<char>", "std::string"},
    {"std::basic_string_view<char, std::char_traits<char> >", "std::string_view"},
    {"std::basic_string_view<char>", "std::string_view"},
    {"std::__cxx11::", "std::"},
    {"(anonymous namespace)::", ""},
    {"{anonymous}::", ""},
    {" >", ">"},
};

// Of what follows, the one that stands there, or null.
consteval const Spelling* spelling_at(const char* text, std::size_t left) {
    const char first = text[0];
    if (first != 's' && first != '(' && first != '{' && first != ' ') return nullptr;
    for (const Spelling& spelling : kSpellings) {
        const std::size_t size = spelling.compiler.size();
        if (spelling.compiler[0] == first && size <= left &&
            __builtin_memcmp(text, spelling.compiler.data(), size) == 0) {
            return &spelling;
        }
    }
    return nullptr;
}

template <std::size_t N>
struct FixedText {
    char text[N + 1] = {};
    std::size_t size = 0;

    constexpr std::string_view view() const { return {text, size}; }
};

template <std::size_t N>
consteval FixedText<N> readable(const char* raw) {
    FixedText<N> out;
    std::size_t size = 0;
    for (std::size_t i = 0; i < N;) {
        if (const Spelling* const spelling = spelling_at(raw + i, N - i)) {
            for (char c : spelling->ours)
                out.text[size++] = c;
            i += spelling->compiler.size();
        } else {
            out.text[size++] = raw[i++];
        }
    }
    out.size = size;
    return out;
}

// GCC writes a method as `&A::m`, or `&(A::m)` and `A::m` in some places: keep the name only.
consteval std::string_view bare_method(std::string_view raw) {
    if (raw.starts_with('&')) raw.remove_prefix(1);
    if (raw.starts_with('(') && raw.ends_with(')') && !raw.starts_with("(anonymous")) {
        raw = raw.substr(1, raw.size() - 2);
    }
    return raw;
}

template <class T>
inline constexpr std::string_view kRawType = argument(pretty_type<T>(), kBeforeType);
template <auto Method>
inline constexpr std::string_view kRawMethod =
    bare_method(argument(pretty_method<Method>(), kBeforeMethod));
// NOLINTBEGIN(bugprone-suspicious-stringview-data-usage): the size goes along
template <class T>
inline constexpr auto kTypeName = readable<kRawType<T>.size()>(kRawType<T>.data());
template <auto Method>
inline constexpr auto kMethodName = readable<kRawMethod<Method>.size()>(kRawMethod<Method>.data());
// NOLINTEND(bugprone-suspicious-stringview-data-usage)
}  // namespace base_internal

/// The type's name with its namespaces: `shop::Account`, `std::vector<int>`.
///
/// Threads: any. The text lives as long as the program and ends with a zero.
template <class T>
constexpr std::string_view type_name() {
    return base_internal::kTypeName<T>.view();
}

/// The method's name with its class: `shop::Account::deposit`.
///
/// Threads: any. The text lives as long as the program and ends with a zero.
template <auto Method>
constexpr std::string_view method_name() {
    return base_internal::kMethodName<Method>.view();
}

}  // namespace troupe

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
consteval std::string_view template_argument(std::string_view pretty, std::string_view parameter) {
    std::size_t begin = pretty.find(parameter) + parameter.size();
    std::size_t end = pretty.rfind(']');
    return pretty.substr(begin, end - begin);
}

template <class T>
consteval auto raw_type_name() {
    return template_argument(__PRETTY_FUNCTION__, "T = ");
}

template <auto Method>
consteval auto raw_method_name() {
    return template_argument(__PRETTY_FUNCTION__, "Method = ");
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

template <std::size_t N>
struct FixedText {
    char text[N + 1] = {};
    std::size_t size = 0;

    constexpr std::string_view view() const { return {text, size}; }

    consteval void append(std::string_view part) {
        for (char c : part)
            text[size++] = c;
    }
};

template <std::size_t N>
consteval FixedText<N> readable(std::string_view raw) {
    FixedText<N> out;
    while (!raw.empty()) {
        std::size_t used = 0;
        for (const Spelling& spelling : kSpellings) {
            if (!raw.starts_with(spelling.compiler)) continue;
            used = spelling.compiler.size();
            out.append(spelling.ours);
            break;
        }
        if (used == 0) {
            out.append(raw.substr(0, 1));
            used = 1;
        }
        raw.remove_prefix(used);
    }
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
inline constexpr auto kTypeName = readable<raw_type_name<T>().size()>(raw_type_name<T>());

template <auto Method>
inline constexpr auto kMethodName =
    readable<bare_method(raw_method_name<Method>()).size()>(bare_method(raw_method_name<Method>()));

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

#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/base/hash.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe {

class Error;

/// Who has the name, of an error that says `already_registered`; nobody's for any other error.
std::optional<Pid> name_holder(const Error& error) noexcept;

/// The longest name an actor may have. Units: bytes.
inline constexpr std::size_t kNameBytesMax = 255;

namespace actor_internal {

/// Declared only: its name is what the compiler says about a constant that is no name.
void a_name_has_1_to_255_bytes();

}  // namespace actor_internal

/// A name that one actor at a time can have, with the type its users see it as: the actor's class
/// or any base of it. `inline constexpr Name<Database> kDatabase{"database"};`
template <class A>
class Name {
public:
    explicit consteval Name(const char* text)
        : text_(text), hash_(fnv1a_64(std::string_view(text))) {
        if (text_.empty() || text_.size() > kNameBytesMax) {
            actor_internal::a_name_has_1_to_255_bytes();
        }
    }

    constexpr std::string_view text() const noexcept { return text_; }
    constexpr std::uint64_t hash() const noexcept { return hash_; }

private:
    std::string_view text_;
    std::uint64_t hash_;
};

}  // namespace troupe

#pragma once

/// A directory in which many actors stand under one key, each with a value of its own: what is
/// needed for local publish and subscribe.
///
///     const Properties<Session, Filter> subscribers(system(), "subscribers");
///     subscribers.add(self(this), "orders", Filter{...});
///     subscribers.dispatch("orders", [&](Ref<Session> session, const Filter& filter) {
///         if (filter.takes(order)) session.tell<&Session::take>(order);
///     });
///
/// An entry goes by itself when its actor ends.

#include <troupe/actor/group.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// Actors that are seen as an A, with values of type V. Cheap to make; directories of different
/// types are different ones, whatever their names.
template <class A, class V>
class Properties {
public:
    Properties(System system, std::string name)
        : table_(&actor_internal::groups_of(system.engine())), name_(std::move(name)) {}

    /// The actor itself adds an entry; one actor may have several under one key.
    template <class B>
    void add(const Self<B>& self, std::string_view key, V value) const {
        constexpr bool kFits = std::is_convertible_v<Ref<B>, Ref<A>>;
        static_assert(kFits, "only an A, or what derives from it, stands in a Properties<A, V>");
        if constexpr (kFits) {
            const Ref<A> as_member = self;
            actor_internal::join_group(*table_, *actor_internal::RefAccess::cell(as_member),
                                       key_of(key), actor_internal::RefAccess::offset(as_member),
                                       std::make_shared<const V>(std::move(value)));
        }
    }
    /// Takes its newest entry under this key away. False when there is none.
    template <class B>
    bool remove(const Self<B>& self, std::string_view key) const {
        return actor_internal::leave_group(*table_, *actor_internal::RefAccess::cell(self),
                                           key_of(key));
    }

    /// Calls `f(Ref<A>, const V&)` here and now for each entry of this moment, in the order in
    /// which they were added. Threads: any.
    template <class F>
    void dispatch(std::string_view key, F f) const {
        static_assert(std::is_invocable_v<F&, Ref<A>, const V&>,
                      "dispatch(key, f): f is called with a Ref<A> and a const V&");
        for (const auto& entry : actor_internal::members_of_group(*table_, key_of(key))) {
            f(actor_internal::ref_of<A>(entry), *static_cast<const V*>(entry.value.get()));
        }
    }
    /// Calls M of every actor under this key, once for each entry; as Group::tell_all.
    template <auto M, class... Arguments>
    std::size_t tell_all(std::string_view key, const Arguments&... arguments) const {
        return actor_internal::tell_each<M, A>(
            actor_internal::members_of_group(*table_, key_of(key)), arguments...);
    }

private:
    actor_internal::GroupKey key_of(std::string_view key) const {
        std::string both = name_;
        both += '\0';  // no name of a table ends in the middle of another's key
        both += key;
        return {std::move(both), &actor_internal::kClassName<Properties>};
    }

    actor_internal::GroupTable* table_;
    std::string name_;
};

}  // namespace troupe

#pragma once

/// A router stands for several actors of one kind and picks one of them for each call:
///
///     Router<Shop> shops(Route::power_of_two, {one, two, three});
///     co_await shops.ask<&Shop::price>(item);
///     co_await carts.by(customer).ask<&Cart::add>(item);    // Route::consistent_hash
///
/// It is no actor: a call goes straight to the member's mailbox, from the caller's own thread. See
/// docs/design/0041-routers.md.

#include <troupe/actor/ask.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/first.hpp>
#include <troupe/route/members.hpp>
#include <troupe/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

namespace route_internal {
struct RouterAccess;
}

/// What a router's `ask` gives: an Ask of the member picked, or the error that there is none.
template <class T>
class [[nodiscard("an ask is sent when it is awaited: write co_await, or use tell")]] RoutedAsk {
public:
    using value_type = T;

    explicit RoutedAsk(Ask<T> ask) : ask_(std::move(ask)) {}
    explicit RoutedAsk(Error why) : why_(std::move(why)) {}

    /// Waits this long at most. Units: the system's clock.
    RoutedAsk within(Duration timeout) && {
        if (!ask_) return std::move(*this);
        return RoutedAsk(std::move(*ask_).within(timeout));
    }

    class [[nodiscard]] Awaiter {
    public:
        explicit Awaiter(RoutedAsk&& ask) : why_(std::move(ask.why_)) {
            if (ask.ask_) waits_.emplace(std::move(*ask.ask_));
        }
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;

        bool await_ready() const noexcept { return !waits_; }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self,
                           std::source_location where = std::source_location::current()) {
            return waits_->await_suspend(self, where);
        }
        [[nodiscard(
            "the Result of an ask was dropped: check it, pass it on with or_return, or "
            "ignore(result, \"why\")")]] Result<T>
        await_resume() {
            if (!waits_) return std::unexpected(std::move(*why_));
            return waits_->await_resume();
        }

    private:
        std::optional<typename Ask<T>::Awaiter> waits_;
        std::optional<Error> why_;
    };

    Awaiter operator co_await() && { return Awaiter(std::move(*this)); }

private:
    std::optional<Ask<T>> ask_;
    std::optional<Error> why_;
};

/// Several actors that are seen as an A. Copies share their members and their turn.
///
/// A member leaves when it has ended for good, before anybody can pick it. One that its supervisor
/// starts again stays; meanwhile it is picked only when nobody else is there, or by a key of its
/// own, and its mail waits.
///
/// Threads: any. A pick holds a lock for as long as it looks.
template <class A>
class Router {
public:
    explicit Router(Route route = Route::power_of_two, const std::vector<Ref<A>>& members = {})
        : members_(std::make_shared<route_internal::Members>(route)) {
        for (const Ref<A>& member : members)
            add(member);
    }

    /// Adds a member, once. Keys find it by its place in the order of add, which is the same in
    /// every run; or by a name, which is good when members come and go.
    void add(const Ref<A>& member) { members_->add(seen(member), std::nullopt); }
    void add(const Ref<A>& member, std::string_view name) { members_->add(seen(member), name); }
    /// False when it is none of them.
    bool remove(const Ref<A>& member) { return members_->remove(seen(member)); }

    /// The members of this moment, in the order in which they came.
    std::vector<Ref<A>> members() const { return refs(members_->all()); }
    std::size_t size() const { return members_->all().size(); }
    Route route() const noexcept { return members_->route(); }

    /// A call by a key, a number or a text: always of the same member while that is there.
    class By {
    public:
        /// As the router's own: the key decides, whatever the route.
        Result<Ref<A>> pick() const { return ref(members_->pick(key_)); }
        Result<std::vector<Ref<A>>> pick_several(std::size_t count) const {
            auto picked = members_->pick_several(count, key_);
            if (!picked) return std::unexpected(std::move(picked).error());
            return refs(*picked);
        }

        template <auto M, class... Arguments>
        SendStatus tell(Arguments&&... arguments) const {
            const Result<Ref<A>> picked = pick();
            if (picked) return picked->template tell<M>(std::forward<Arguments>(arguments)...);
            return lose<M>(*members_, std::forward<Arguments>(arguments)...);
        }
        template <auto M, class... Arguments>
        Task<Result<void>> send(Arguments... arguments) const {
            return send_to<M>(pick(), std::move(arguments)...);
        }
        template <auto M, class... Arguments>
        RoutedAsk<actor_internal::ReplyOf<M>> ask(Arguments&&... arguments) const {
            using T = actor_internal::ReplyOf<M>;
            Result<Ref<A>> picked = pick();
            if (!picked) return RoutedAsk<T>(std::move(picked).error());
            return RoutedAsk<T>(picked->template ask<M>(std::forward<Arguments>(arguments)...));
        }

    private:
        friend class Router;
        By(std::shared_ptr<route_internal::Members> members, std::optional<std::uint64_t> key)
            : members_(std::move(members)), key_(key) {}

        // Shared with the router, which may be gone before.
        std::shared_ptr<route_internal::Members> members_;
        std::optional<std::uint64_t> key_;
    };

    By by(std::string_view key) const { return By(members_, route_internal::hash_of_key(key)); }
    By by(std::integral auto key) const {
        return By(members_, route_internal::hash_of_key(static_cast<std::uint64_t>(key)));
    }

    /// The same by the hash of a key, for who has hashed it already.
    By by_hash(std::uint64_t hash) const { return By(members_, hash); }

    /// Who is the next one to call.
    ///
    /// Errors:  RouteErrc::no_member, no_key.
    Result<Ref<A>> pick() const { return any().pick(); }
    /// Up to so many different ones, of whom the first is the pick.
    Result<std::vector<Ref<A>>> pick_several(std::size_t count) const {
        return any().pick_several(count);
    }

    /// Sends a message to one, or with Route::broadcast a copy to each. Does not wait.
    ///
    /// Errors:  gone, when there is nobody, or no key to find somebody by: a dead letter, whose
    ///          reason is `unrouted`; full. Of a broadcast the worst of all.
    template <auto M, class... Arguments>
    SendStatus tell(Arguments&&... arguments) const {
        if (route() != Route::broadcast)
            return any().template tell<M>(std::forward<Arguments>(arguments)...);
        if constexpr ((std::is_copy_constructible_v<std::decay_t<Arguments>> && ...)) {
            return tell_each<M>(arguments...);
        } else {
            TROUPE_ASSERT(false, "a broadcast copies its arguments: one of these cannot be copied");
            return SendStatus::gone;
        }
    }

    /// The same, and waits for room; of a broadcast for room with each, one after the other.
    ///
    /// Errors:  RouteErrc::no_member, no_key; those of Ref::send, of a broadcast the last one's.
    /// Threads: in an actor or task; suspends it, never the worker.
    template <auto M, class... Arguments>
    Task<Result<void>> send(Arguments... arguments) const {
        if constexpr ((std::is_copy_constructible_v<Arguments> && ...)) {
            if (route() == Route::broadcast)
                return send_each<M>(refs(members_->everybody()), std::move(arguments)...);
        }
        TROUPE_ASSERT(route() != Route::broadcast,
                      "a broadcast copies its arguments: one of these cannot be copied");
        return send_to<M>(pick(), std::move(arguments)...);
    }

    /// Calls the method of one and waits for its reply: as Ref::ask.
    ///
    /// Errors:  RouteErrc::no_member, no_key; those of Ref::ask. For the answers of all use a
    ///          TaskGroup over `members()`.
    template <auto M, class... Arguments>
    RoutedAsk<actor_internal::ReplyOf<M>> ask(Arguments&&... arguments) const {
        return any().template ask<M>(std::forward<Arguments>(arguments)...);
    }

    /// Asks all members; the first success counts: first.hpp.
    template <auto M, class... Arguments>
    Task<Result<actor_internal::ReplyOf<M>>> ask_first(Arguments... arguments) const {
        return troupe::ask_first<M>(refs(members_->everybody()), std::move(arguments)...);
    }

    /// Asks the one picked; each time it has taken so long, another one as well, up to `most` in
    /// all: first.hpp.
    template <auto M, class... Arguments>
    Task<Result<actor_internal::ReplyOf<M>>> hedge(Duration after, std::size_t most,
                                                   Arguments... arguments) const {
        return hedge_among<M>(after, pick_several(most), std::move(arguments)...);
    }
    /// The same, after what `pace` has learnt; and it learns of this answer.
    template <auto M, class... Arguments>
    Task<Result<actor_internal::ReplyOf<M>>> hedge(HedgePace pace, std::size_t most,
                                                   Arguments... arguments) const {
        return hedge_among<M>(std::move(pace), pick_several(most), std::move(arguments)...);
    }

private:
    friend struct route_internal::RouterAccess;

    static route_internal::Member seen(const Ref<A>& ref) noexcept {
        return {actor_internal::RefAccess::cell(ref), actor_internal::RefAccess::generation(ref),
                actor_internal::RefAccess::offset(ref)};
    }
    static Ref<A> ref(const route_internal::Member& member) noexcept {
        if (member.cell == nullptr) return {};
        return actor_internal::RefAccess::make<A>(*member.cell, member.generation, member.offset);
    }
    static Result<Ref<A>> ref(Result<route_internal::Member> picked) {
        if (!picked) return std::unexpected(std::move(picked).error());
        return ref(*picked);
    }
    static std::vector<Ref<A>> refs(const std::vector<route_internal::Member>& members) {
        std::vector<Ref<A>> refs;
        refs.reserve(members.size());
        for (const route_internal::Member& member : members)
            refs.push_back(ref(member));
        return refs;
    }

    By any() const { return By(members_, std::nullopt); }

    template <auto M, class... Arguments>
    static SendStatus lose(route_internal::Members& members, Arguments&&... arguments) {
        if constexpr (actor_internal::check_call<M, A, Arguments...>()) {
            members.lose(
                actor_internal::make_call<M, false>(0, std::forward<Arguments>(arguments)...));
        }
        return SendStatus::gone;
    }

    template <auto M, class... Arguments>
    SendStatus tell_each(const Arguments&... arguments) const {
        const std::vector<Ref<A>> all = refs(members_->everybody());
        if (all.empty()) return lose<M>(*members_, arguments...);
        SendStatus worst = SendStatus::sent;
        for (const Ref<A>& member : all) {
            const SendStatus status = member.template tell<M>(arguments...);
            worst = status > worst ? status : worst;
        }
        return worst;
    }

    template <auto M, class... Arguments>
    static Task<Result<void>> send_to(Result<Ref<A>> picked, Arguments... arguments) {
        if (!picked) co_return std::unexpected(std::move(picked).error());
        co_return co_await picked->template send<M>(std::move(arguments)...);
    }
    template <auto M, class... Arguments>
    static Task<Result<void>> send_each(std::vector<Ref<A>> all, Arguments... arguments) {
        if (all.empty()) co_return std::unexpected(route_internal::no_member("a broadcast"));
        Result<void> outcome;
        for (const Ref<A>& member : all) {
            Result<void> sent = co_await member.template send<M>(arguments...);
            if (!sent) outcome = std::move(sent);
        }
        co_return outcome;
    }
    template <auto M, class After, class... Arguments>
    static Task<Result<actor_internal::ReplyOf<M>>> hedge_among(After after,
                                                                Result<std::vector<Ref<A>>> among,
                                                                Arguments... arguments) {
        if (!among) co_return std::unexpected(std::move(among).error());
        co_return co_await troupe::hedge<M>(after, std::move(*among), std::move(arguments)...);
    }

    // Shared by the copies of the router: they have the same members.
    std::shared_ptr<route_internal::Members> members_;
};

namespace route_internal {

struct RouterAccess {
    template <class A>
    static const std::shared_ptr<Members>& members(const Router<A>& router) noexcept {
        return router.members_;
    }
    template <class A>
    static Member seen(const Ref<A>& ref) noexcept {
        return Router<A>::seen(ref);
    }
    template <class A>
    static Ref<A> ref(const Member& member) noexcept {
        return Router<A>::ref(member);
    }
};

}  // namespace route_internal

}  // namespace troupe

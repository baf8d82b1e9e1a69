#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;

struct Order {
    std::string item;
    int n;
};

class Shop : public Actor {
public:
    void take(std::unique_ptr<int> p) { sum_ += *p; }
    std::size_t view(std::string_view text) const { return text.size(); }
    Task<std::size_t> slow_view(std::string_view text) {
        ignore(co_await sleep(10us), "a test");
        co_return text.size() + static_cast<std::size_t>(text.back() == 'e');
    }
    Task<int> slow_reference(const std::vector<int>& numbers) {
        co_await yield();
        co_return static_cast<int>(numbers.size()) + numbers.back();
    }
    Task<int> slow_span(std::span<const int> numbers) {
        co_await yield();
        int n = 0;
        for (const int x : numbers)
            n += x;
        co_return n;
    }
    int cref(const std::vector<int>& v) const { return static_cast<int>(v.size()); }
    std::string rref(std::string&& s) { return std::move(s); }
    int total(std::span<const int> v) const noexcept {
        int n = 0;
        for (const int x : v)
            n += x;
        return n;
    }
    void add(int n = 1) & { sum_ += n; }
    void add_one() { add(); }
    const std::string& name() const { return name_; }
    std::string_view name_view() const { return name_; }
    std::span<const int> numbers() const { return numbers_; }
    void run(std::function<void(Shop&)> job) { job(*this); }
    int order(Order o) { return o.n; }
    int sum() const { return sum_; }
    void set(int n) { sum_ = n; }
    void set(const std::string& text) { sum_ = static_cast<int>(text.size()); }
    int get() const { return sum_; }
    int get() { return -1; }

    int sum_ = 0;

private:
    std::string name_ = "corner, and long enough to be allocated";
    std::vector<int> numbers_ = {1, 2, 3};
};

Task<> every_kind(Ref<Shop> shop) {
    shop.tell<&Shop::take>(std::make_unique<int>(5));
    {
        const std::string gone = "short lived text, long enough to allocate";
        EXPECT_EQ(shop.tell<&Shop::view>(gone), SendStatus::sent);
    }
    const auto slow = co_await shop.ask<&Shop::slow_view>(
        std::string("temporary string, long enough to allocate"));
    EXPECT_EQ(slow, 42U);
    EXPECT_EQ(co_await shop.ask<&Shop::slow_reference>(std::vector<int>(100, 3)), 103);
    EXPECT_EQ(co_await shop.ask<&Shop::slow_span>(std::vector<int>(100, 3)), 300);
    EXPECT_EQ(co_await shop.ask<&Shop::cref>(std::vector<int>(3)), 3);
    EXPECT_EQ(co_await shop.ask<&Shop::rref>("moved"), "moved");
    EXPECT_EQ(co_await shop.ask<&Shop::total>(std::vector<int>(4, 2)), 8);
    shop.tell<&Shop::add>(2);
    shop.tell<&Shop::add_one>();
    shop.tell<&Shop::run>(
        [k = std::string("a closure")](Shop& s) { s.sum_ += static_cast<int>(k.size()); });
    const auto name = co_await shop.ask<&Shop::name>();
    const auto view = co_await shop.ask<&Shop::name_view>();
    EXPECT_TRUE(name && view && *name == *view);
    static_assert(std::is_same_v<decltype(view)::value_type, std::string>);
    const auto numbers = co_await shop.ask<&Shop::numbers>();
    EXPECT_EQ(*numbers, (std::vector<int>{1, 2, 3}));
    Order order{"a long enough item name to allocate", 3};  // named first: GCC 12
    EXPECT_EQ(co_await shop.ask<&Shop::order>(std::move(order)), 3);
    EXPECT_EQ(co_await shop.ask<&Shop::sum>(), 5 + 2 + 1 + 9);
}

TEST(Parameters, AreKeptUntilTheReplyIsSent) {
    on_both_engines(
        [](OwnedSystem& system) { system->block_on(every_kind(system->spawn<Shop>())); }, 10);
}

Task<> overloads(Ref<Shop> shop) {
    shop.tell<overload<void(int)>(&Shop::set)>(9);
    EXPECT_EQ((co_await shop.ask<overload<int() const>(&Shop::get)>()), 9);
    EXPECT_EQ((co_await shop.ask<overload<int()>(&Shop::get)>()), -1);
    shop.tell<overload<void(const std::string&)>(&Shop::set)>("four");
    EXPECT_EQ((co_await shop.ask<&Shop::sum>()), 4);
}

TEST(Parameters, OverloadsArePickedByTheirSignature) {
    on_both_engines([](OwnedSystem& system) { system->block_on(overloads(system->spawn<Shop>())); },
                    10);
}

// ---- code that is generic over the actor and the method -----------------------------------------

template <class Key, class Value>
class Cache : public Actor {
public:
    void put(Key key, Value value) { map_[std::move(key)] = std::move(value); }
    std::optional<Value> get(const Key& key) const {
        const auto at = map_.find(key);
        if (at == map_.end()) return std::nullopt;
        return at->second;
    }
    std::size_t size() const noexcept { return map_.size(); }

private:
    std::map<Key, Value> map_;
};

template <auto Method, class A>
Task<std::size_t> total(std::vector<Ref<A>> shards) {
    std::size_t sum = 0;
    for (const auto& shard : shards) {
        if (const auto n = co_await ask<Method>(shard)) sum += *n;
    }
    co_return sum;
}

TEST(Parameters, TheFreeFormsServeGenericCode) {
    using Names = Cache<std::string, int>;
    on_both_engines(
        [](OwnedSystem& system) {
            auto a = system->spawn<Names>();
            auto b = system->spawn<Names>();
            tell<&Names::put>(a, "x", 1);
            a.tell<&Names::put>("y", 2);
            b.tell<&Names::put>("z", 3);
            EXPECT_EQ(system->block_on(total<&Names::size>(std::vector{a, b})), 3U);
            EXPECT_EQ(system->block_on(ask<&Names::get>(a, "y"))->value(), 2);
            EXPECT_EQ(*system->block_on(ask<&Names::get>(a, "z")), std::nullopt);
        },
        10);
}

// ---- an argument that throws --------------------------------------------------------------------

struct Grumpy {
    Grumpy() = default;
    Grumpy(const Grumpy& other) : tame(other.tame) {
        if (!tame) throw std::runtime_error("do not copy me");
    }
    Grumpy& operator=(const Grumpy&) = default;
    bool tame = false;
};
class Tamer : public Actor {
public:
    void take(const Grumpy&) {}
    void take_value(Grumpy) {}
    int alive() const { return 1; }
};

TEST(Parameters, ThatThrowWhenCopiedLeaveNothingBehind) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto tamer = system->spawn<Tamer>();
            const Grumpy grumpy;
            EXPECT_THROW(tamer.tell<&Tamer::take>(grumpy), std::runtime_error);
            EXPECT_EQ(system->block_on(tamer.ask<&Tamer::alive>()), 1);
        },
        10);
}

/// Writes handlers as if they were hooks.
class Absent : public Actor {
public:
    Task<void> nothing() { return {}; }
    Task<int> no_number() { return {}; }
};

TEST(Parameters, AnEmptyTaskIsAnswered) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto absent = system->spawn<Absent>();
            EXPECT_EQ(absent.tell<&Absent::nothing>(), SendStatus::sent);
            EXPECT_EQ(absent.tell<&Absent::no_number>(), SendStatus::sent);
            EXPECT_TRUE(system->block_on(absent.ask<&Absent::nothing>()));
            const auto none = system->block_on(absent.ask<&Absent::no_number>());
            ASSERT_FALSE(none);
            EXPECT_EQ(none.error(), Errc::no_reply);
            EXPECT_NE(none.error().text().find("empty Task"), std::string::npos);
        },
        10);
}

}  // namespace
}  // namespace troupe

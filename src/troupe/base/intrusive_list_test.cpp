#include <troupe/base/intrusive_list.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

struct Item {
    explicit Item(char letter) : name(1, letter) {}
    std::string name;
    ListHook hook;
    ListHook other_hook;
};

using List = IntrusiveList<Item, &Item::hook>;

std::string names(List& list) {
    std::string all;
    for (Item& item : list)
        all += item.name;
    return all;
}

TEST(IntrusiveList, KeepsTheOrderOfItsObjects) {
    Item a('a'), b('b'), c('c'), d('d');
    List list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.pop_front(), nullptr);
    list.push_back(b);
    list.push_back(d);
    list.push_front(a);
    list.insert_before(d, c);
    EXPECT_EQ(names(list), "abcd");
    EXPECT_EQ(&list.front(), &a);
    EXPECT_EQ(&list.back(), &d);
    list.erase(b);
    EXPECT_FALSE(b.hook.linked());
    EXPECT_EQ(names(list), "acd");
    EXPECT_EQ(list.pop_front(), &a);
    list.erase(d);
    list.erase(c);
    EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, TakesAnObjectBackOnceErased) {
    Item a('a');
    List list;
    for (int i = 0; i < 3; ++i) {
        list.push_back(a);
        list.erase(a);
    }
    EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AppendsAnotherListAndEmptiesIt) {
    Item a('a'), b('b'), c('c');
    List list, other, nothing;
    list.push_back(a);
    other.push_back(b);
    other.push_back(c);
    list.append(other);
    list.append(nothing);
    list.append(list);
    EXPECT_EQ(names(list), "abc");
    EXPECT_TRUE(other.empty());
    nothing.append(list);
    EXPECT_EQ(names(nothing), "abc");
    while (nothing.pop_front() != nullptr) {
    }
}

TEST(IntrusiveList, LetsAnObjectStandInTwoListsThroughTwoHooks) {
    Item a('a');
    List list;
    IntrusiveList<Item, &Item::other_hook> other;
    list.push_back(a);
    other.push_back(a);
    EXPECT_EQ(&list.front(), &other.front());
    list.erase(a);
    other.erase(a);
}

TEST(IntrusiveListDeathTest, RefusesAnObjectThatIsListedAlready) {
    Item a('a');
    List list, other;
    list.push_back(a);
    EXPECT_DEATH(list.push_back(a), "one list at a time");
    EXPECT_DEATH(other.push_back(a), "one list at a time");
    list.erase(a);
    EXPECT_DEATH(list.erase(a), "only an object in a list");
}

TEST(IntrusiveListDeathTest, RefusesToLoseAnObject) {
    EXPECT_DEATH(
        {
            List list;
            Item a('a');
            list.push_back(a);
        },
        "leaves its list before it is destroyed");
}

}  // namespace
}  // namespace troupe

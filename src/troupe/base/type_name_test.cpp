#include <troupe/base/type_name.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shop {

struct Receipt {};

class Account {
public:
    void deposit(int) {}
    int balance() const noexcept { return 0; }
    void set(int) {}
    int set() const { return 0; }
    virtual void close() {}
    virtual ~Account() = default;
};

class Savings : public Account {};

template <class T>
class Box {
public:
    void put(T) {}
};

namespace {
enum class Hidden { one };
class Secret {
public:
    void tell() {}
};
}  // namespace

}  // namespace shop

namespace troupe {
namespace {

TEST(TypeName, KeepsNamespaces) {
    EXPECT_EQ(type_name<shop::Account>(), "shop::Account");
    EXPECT_EQ(type_name<int>(), "int");
}

TEST(TypeName, IsAConstant) {
    static_assert(type_name<shop::Receipt>() == "shop::Receipt");
}

TEST(TypeName, EndsWithAZero) {
    std::string_view name = type_name<shop::Account>();
    EXPECT_STREQ(name.data(), "shop::Account");
}

TEST(TypeName, SpellsTemplatesAsThePeopleDo) {
    EXPECT_EQ(type_name<shop::Box<std::string>>(), "shop::Box<std::string>");
    EXPECT_EQ(type_name<shop::Box<shop::Box<int>>>(), "shop::Box<shop::Box<int>>");
    EXPECT_EQ(type_name<shop::Box<shop::Box<shop::Box<int>>>>(),
              "shop::Box<shop::Box<shop::Box<int>>>");
}

TEST(TypeName, LeavesOutAnonymousNamespaces) {
    EXPECT_EQ(type_name<shop::Hidden>(), "shop::Hidden");
}

TEST(MethodName, NamesClassAndMethod) {
    EXPECT_EQ(method_name<&shop::Account::deposit>(), "shop::Account::deposit");
    EXPECT_EQ(method_name<&shop::Account::balance>(), "shop::Account::balance");
    EXPECT_EQ(method_name<&shop::Account::close>(), "shop::Account::close");
}

TEST(MethodName, NamesTheClassThatDeclaresIt) {
    EXPECT_EQ(method_name<&shop::Savings::deposit>(), "shop::Account::deposit");
}

TEST(MethodName, NamesAChosenOverload) {
    EXPECT_EQ(method_name<static_cast<void (shop::Account::*)(int)>(&shop::Account::set)>(),
              "shop::Account::set");
    EXPECT_EQ(method_name<static_cast<int (shop::Account::*)() const>(&shop::Account::set)>(),
              "shop::Account::set");
}

TEST(MethodName, NamesMethodsOfTemplatesAndOfHiddenClasses) {
    EXPECT_EQ(method_name<&shop::Box<int>::put>(), "shop::Box<int>::put");
    EXPECT_EQ(method_name<&shop::Box<std::string>::put>(), "shop::Box<std::string>::put");
    EXPECT_EQ(method_name<&shop::Secret::tell>(), "shop::Secret::tell");
}

}  // namespace
}  // namespace troupe

#include <troupe/http/internal/route_tree.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

/// The pattern's number and what its parameters stand for: "2 id=7 *=a/b". Or why there is none.
std::string found(const RouteTree& tree, std::string_view method, std::string_view path) {
    RouteTree::Match match;
    RouteTree::Found what = tree.find(method, path, match);
    if (auto exact = tree.find_exact(method, path)) {
        EXPECT_EQ(what, RouteTree::Found::route);
        EXPECT_EQ(match.route, *exact) << "the table and the tree agree";
    }
    switch (what) {
        case RouteTree::Found::nothing:
            return "nothing";
        case RouteTree::Found::other_methods:
            return "other methods";
        case RouteTree::Found::route:
            break;
    }
    std::string out = std::to_string(match.route);
    const auto& names = tree.parameter_names(match.route);
    EXPECT_EQ(names.size(), match.parameter_count);
    for (std::size_t i = 0; i < match.parameter_count; ++i) {
        out += " " + names[i] + "=" + std::string(match.parameters[i]);
    }
    return out;
}

TEST(RouteTree, PrefersExactToParameterToRest) {
    RouteTree tree;
    tree.add("GET", "/users/*");                 // 0
    tree.add("GET", "/users/:id");               // 1
    tree.add("GET", "/users/me");                // 2
    tree.add("GET", "/");                        // 3
    tree.add("GET", "/users");                   // 4
    tree.add("GET", "/users/:who/posts/:post");  // 5
    EXPECT_EQ(found(tree, "GET", "/users/me"), "2");
    EXPECT_EQ(found(tree, "GET", "/users/7"), "1 id=7");
    EXPECT_EQ(found(tree, "GET", "/users/7/8"), "0 *=7/8");
    EXPECT_EQ(found(tree, "GET", "/users/"), "0 *=");
    EXPECT_EQ(found(tree, "GET", "/users"), "4");
    EXPECT_EQ(found(tree, "GET", "/users/7/posts/9"), "5 who=7 post=9");
    EXPECT_EQ(found(tree, "GET", "/"), "3");
    EXPECT_EQ(found(tree, "GET", "//"), "nothing");
    EXPECT_EQ(found(tree, "GET", "/user"), "nothing");
    EXPECT_EQ(found(tree, "GET", "*"), "nothing");
    EXPECT_EQ(found(tree, "GET", ""), "nothing");
}

TEST(RouteTree, FindsEveryPathWithoutParametersInItsTable) {
    RouteTree tree;
    std::string path;
    for (std::size_t i = 0; i < 200; ++i) {
        path = "/" + std::string(i / 3, 'a') + std::to_string(i);
        tree.add(i % 2 == 0 ? "GET" : "*", path);
    }
    for (std::size_t i = 0; i < 200; ++i) {
        path = "/" + std::string(i / 3, 'a') + std::to_string(i);
        EXPECT_EQ(tree.find_exact("GET", path), i);
        EXPECT_EQ(tree.find_exact("PUT", path).has_value(), i % 2 == 1);
        EXPECT_FALSE(tree.find_exact("GET", path + "x").has_value());
    }
    EXPECT_FALSE(tree.find_exact("GET", "").has_value());
}

TEST(RouteTree, AnswersAnyMethodWhereNoneIsNamed) {
    RouteTree tree;
    tree.add("*", "/a");       // 0
    tree.add("POST", "/a");    // 1
    tree.add("PUT", "/:x");    // 2
    tree.add("HEAD", "/b/*");  // 3
    tree.add("GET", "/b/c");   // 4
    EXPECT_EQ(found(tree, "POST", "/a"), "1");
    EXPECT_EQ(found(tree, "BREW", "/a"), "0");
    EXPECT_EQ(found(tree, "PUT", "/a"), "0") << "the more specific path answers";
    EXPECT_EQ(found(tree, "HEAD", "/a"), "0");
    EXPECT_EQ(found(tree, "HEAD", "/b/c"), "4") << "GET answers HEAD where it stands";
    EXPECT_EQ(tree.allowed_methods("/a"), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
}

TEST(RouteTree, LeavesABranchThatLeadsNowhere) {
    RouteTree tree;
    tree.add("GET", "/a/b/c");   // 0
    tree.add("GET", "/a/:x/d");  // 1
    tree.add("GET", "/:y/b/e");  // 2
    tree.add("GET", "/*");       // 3
    EXPECT_EQ(found(tree, "GET", "/a/b/c"), "0");
    EXPECT_EQ(found(tree, "GET", "/a/b/d"), "1 x=b");
    EXPECT_EQ(found(tree, "GET", "/a/b/e"), "2 y=a");
    EXPECT_EQ(found(tree, "GET", "/a/b/f"), "3 *=a/b/f");
}

TEST(RouteTree, DoesNotMatchAnEmptyParameter) {
    RouteTree tree;
    tree.add("GET", "/a/:x");
    tree.add("GET", "/a/:x/b");
    EXPECT_EQ(found(tree, "GET", "/a/"), "nothing");
    EXPECT_EQ(found(tree, "GET", "/a//b"), "nothing");
}

TEST(RouteTree, TellsAMissingMethodFromAMissingPath) {
    RouteTree tree;
    tree.add("GET", "/a/:x");    // 0
    tree.add("POST", "/a/b");    // 1
    tree.add("DELETE", "/a/*");  // 2
    EXPECT_EQ(found(tree, "GET", "/a/b"), "0 x=b") << "the more specific route has no GET";
    EXPECT_EQ(found(tree, "DELETE", "/a/b"), "2 *=b");
    EXPECT_EQ(found(tree, "PUT", "/a/b"), "other methods");
    EXPECT_EQ(found(tree, "PUT", "/b"), "nothing");
    EXPECT_EQ(tree.allowed_methods("/a/b"), "DELETE, GET, HEAD, OPTIONS, POST");
    EXPECT_EQ(tree.allowed_methods("/a/c"), "DELETE, GET, HEAD, OPTIONS");
    EXPECT_EQ(tree.allowed_methods("/a/c/d"), "DELETE, OPTIONS");
    EXPECT_EQ(tree.all_methods(), "DELETE, GET, HEAD, OPTIONS, POST");
}

TEST(RouteTree, AnswersHeadWithGet) {
    RouteTree tree;
    tree.add("GET", "/a");   // 0
    tree.add("GET", "/b");   // 1
    tree.add("HEAD", "/b");  // 2
    tree.add("POST", "/c");  // 3
    EXPECT_EQ(found(tree, "HEAD", "/a"), "0");
    EXPECT_EQ(found(tree, "HEAD", "/b"), "2");
    EXPECT_EQ(found(tree, "HEAD", "/c"), "other methods");
}

TEST(RouteTree, ComparesMethodsExactly) {
    RouteTree tree;
    tree.add("GET", "/a");
    EXPECT_EQ(found(tree, "get", "/a"), "other methods");
}

TEST(RouteTreeDeathTest, StopsAProgramThatGivesABadPattern) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    RouteTree tree;
    tree.add("GET", "/a/:x");
    EXPECT_DEATH(tree.add("GET", "a"), "begins with");
    EXPECT_DEATH(tree.add("GET", "/*/a"), "stands at the end");
    EXPECT_DEATH(tree.add("GET", "/:"), "has a name");
    EXPECT_DEATH(tree.add("GET", "/a/:y"), "once for each method");
}

}  // namespace
}  // namespace troupe::http_internal

#include <troupe/base/intrusive_stack.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

struct Node {
    Node* next = nullptr;
};

using Stack = IntrusiveStack<Node, &Node::next>;

TEST(IntrusiveStack, GivesOutTheLatestFirst) {
    Node nodes[3];
    Stack stack;
    EXPECT_EQ(stack.pop(), nullptr);
    for (Node& node : nodes)
        stack.push(node);
    EXPECT_EQ(stack.top(), &nodes[2]);
    for (int i = 2; i >= 0; --i) {
        EXPECT_EQ(stack.pop(), &nodes[i]);
        EXPECT_EQ(nodes[i].next, nullptr);
    }
    EXPECT_TRUE(stack.empty());
}

TEST(IntrusiveStack, HandsOverTheWholeChain) {
    Node nodes[2];
    Stack stack;
    for (Node& node : nodes)
        stack.push(node);
    Stack moved = std::move(stack);
    EXPECT_TRUE(stack.empty());
    EXPECT_EQ(moved.take_all(), &nodes[1]);
    EXPECT_EQ(nodes[1].next, &nodes[0]);
    EXPECT_TRUE(moved.empty());
}

}  // namespace
}  // namespace troupe

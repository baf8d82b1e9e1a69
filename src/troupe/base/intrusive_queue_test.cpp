#include <troupe/base/intrusive_queue.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

struct Node {
    int number = 0;
    Node* next = nullptr;
};

using Queue = IntrusiveQueue<Node, &Node::next>;

TEST(IntrusiveQueue, GivesOutInTheOrderOfArrival) {
    Node nodes[4] = {{0}, {1}, {2}, {3}};
    Queue queue;
    EXPECT_EQ(queue.pop_front(), nullptr);
    queue.push_back(nodes[1]);
    queue.push_back(nodes[2]);
    queue.push_front(nodes[0]);
    queue.push_back(nodes[3]);
    for (Node& node : nodes) {
        EXPECT_EQ(queue.front(), &node);
        EXPECT_EQ(queue.pop_front(), &node);
        EXPECT_EQ(node.next, nullptr);
    }
    EXPECT_TRUE(queue.empty());
    queue.push_front(nodes[2]);
    queue.push_back(nodes[1]);
    EXPECT_EQ(queue.pop_front(), &nodes[2]);
    EXPECT_EQ(queue.pop_front(), &nodes[1]);
}

TEST(IntrusiveQueue, AppendsAnotherQueueAndEmptiesIt) {
    Node nodes[3];
    Queue queue, other;
    queue.append(other);
    queue.append(queue);
    EXPECT_TRUE(queue.empty());
    other.push_back(nodes[0]);
    other.push_back(nodes[1]);
    queue.append(other);
    EXPECT_TRUE(other.empty());
    other.push_back(nodes[2]);
    queue.append(other);
    for (Node& node : nodes)
        EXPECT_EQ(queue.pop_front(), &node);
}

TEST(IntrusiveQueue, HandsOverTheWholeChain) {
    Node nodes[2];
    Queue queue;
    queue.push_back(nodes[0]);
    queue.push_back(nodes[1]);
    Queue moved = std::move(queue);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(moved.take_all(), &nodes[0]);
    EXPECT_EQ(nodes[0].next, &nodes[1]);
    EXPECT_TRUE(moved.empty());
    moved.push_back(nodes[1]);
    EXPECT_EQ(moved.pop_front(), &nodes[1]);
}

}  // namespace
}  // namespace troupe

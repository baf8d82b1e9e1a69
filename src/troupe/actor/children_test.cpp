#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/own_message.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

namespace troupe {
namespace {

using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

/// Has children down to a depth, and counts who is alive.
class Node : public Actor {
public:
    Node(int depth, std::vector<Ref<Node>>* all) {
        if (depth == 0) return;
        for (int i = 0; i < 3; ++i) {
            const auto child = spawn<Node>(depth - 1, all);
            all->push_back(child);
        }
    }
    void fail() { throw std::runtime_error("a parent"); }
    Ref<Node> grow() { return spawn<Node>(0, nullptr); }
    int alive() const { return 1; }
};

TEST(Children, EndWithTheirParentHoweverItEnds) {
    for (int how = 0; how < 4; ++how) {
        on_both_engines(
            [=](OwnedSystem& system) {
                std::vector<Ref<Node>> all;
                auto root = system->spawn<Node>(3, &all);
                EXPECT_EQ(all.size(), 39U);
                EXPECT_EQ(system->actors().size(), 40U);
                if (how == 3) {
                    root.tell<&Node::fail>();
                } else {
                    root.stop(static_cast<Stop>(how));
                }
                wait_for_end(system, root);
                for (const auto& node : all)
                    wait_for_end(system, node);
            },
            20);
    }
}

TEST(Children, ThatEndAreForgottenByTheirParent) {
    on_both_engines([](OwnedSystem& system) {
        std::vector<Ref<Node>> none;
        auto root = system->spawn<Node>(0, &none);
        for (int i = 0; i < 20; ++i) {
            auto child = *system->block_on(root.ask<&Node::grow>());
            EXPECT_EQ(system->block_on(child.ask<&Node::alive>()), 1);
            child.stop(i % 2 == 0 ? Stop::stop : Stop::kill);
            wait_for_end(system, child);
            EXPECT_EQ(system->block_on(root.ask<&Node::alive>()), 1);
        }
        // A child of somebody else may have taken a slot of theirs: it stays when the parent ends.
        auto other = system->spawn<Node>(0, &none);
        root.stop();
        wait_for_end(system, root);
        EXPECT_EQ(system->block_on(other.ask<&Node::alive>()), 1);
    });
}

/// Hears of each child's end without a monitor.
class Counting : public Actor {
public:
    Counting() {
        actor_internal::watch_children(*actor_internal::cell_of(*this),
                                       [](Actor& self, const Pid& child, bool abnormal) noexcept {
                                           auto& me = static_cast<Counting&>(self);
                                           me.ended_.push_back(child);
                                           if (abnormal) ++me.failed_;
                                       });
    }
    Ref<Node> grow() { return spawn<Node>(0, nullptr); }
    std::vector<Pid> ended() const { return ended_; }
    int failed() const { return failed_; }

private:
    std::vector<Pid> ended_;
    int failed_ = 0;
};

TEST(Children, AreHeardOfByAParentThatWatchesThemAll) {
    on_both_engines([](OwnedSystem& system) {
        auto root = system->spawn<Counting>();
        std::vector<Pid> grown;
        for (int i = 0; i < 12; ++i) {
            auto child = *system->block_on(root.ask<&Counting::grow>());
            grown.push_back(child.pid());
            if (i % 4 == 3) {
                child.tell<&Node::fail>();
            } else {
                child.stop(static_cast<Stop>(i % 4));
            }
            wait_for_end(system, child);
            // The parent's news may still be on its way: the next child waits for it.
            while (system->block_on(root.ask<&Counting::ended>())->size() < grown.size()) {
            }
        }
        EXPECT_EQ(system->block_on(root.ask<&Counting::ended>()), grown);
        EXPECT_EQ(system->block_on(root.ask<&Counting::failed>()), 6) << "killed or thrown";
        root.stop();
        wait_for_end(system, root);
    });
}

/// Spawns a child on the way out.
class LateParent : public Actor {
public:
    explicit LateParent(Ref<Node>* child) : child_(child) {}
    ~LateParent() override { *child_ = spawn<Node>(0, nullptr); }

private:
    Ref<Node>* child_;
};

TEST(Children, BornAtTheVeryEndEndAsWell) {
    on_both_engines([](OwnedSystem& system) {
        Ref<Node> child;
        auto parent = system->spawn<LateParent>(&child);
        parent.stop();
        wait_for_end(system, parent);
        wait_for_end(system, child);
    });
}

TEST(Children, OfAParentInOnStartEndWhenItFails) {
    on_both_engines([](OwnedSystem& system) {
        class Parent : public Actor {
        public:
            explicit Parent(Ref<Node>* child) : child_(child) {}

        private:
            Task<Result<void>> on_start() override {
                *child_ = spawn<Node>(0, nullptr);
                co_await yield();
                co_return error(Errc::not_found);
            }
            Ref<Node>* child_;
        };
        Ref<Node> child;
        auto parent = system->spawn<Parent>(&child);
        wait_for_end(system, parent);
        wait_for_end(system, child);
    });
}

}  // namespace
}  // namespace troupe

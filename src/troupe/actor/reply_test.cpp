#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace troupe {
namespace {

class Worker : public Actor {
public:
    int square(int n) { return n * n; }
};

class Front : public Actor {
public:
    explicit Front(Ref<Worker> worker) : worker_(worker) {}
    Reply<int> square(int n) {
        if (n == 0) return 0;
        if (n < 0) return error(Errc::failed, "negative");
        return worker_.delegate<&Worker::square>(n);
    }
    Task<Reply<int>> slow_square(int n) {
        co_await yield();
        co_return worker_.delegate<&Worker::square>(n);
    }
    void lose_worker() { worker_ = Ref<Worker>(); }

private:
    Ref<Worker> worker_;
};

class JobQueue : public Actor {
public:
    void put(std::string job) {
        if (waiting_.empty()) {
            jobs_.push_back(std::move(job));
            return;
        }
        waiting_.front().send(std::move(job));
        waiting_.pop_front();
    }
    Reply<std::string> take() {
        if (jobs_.empty()) return later(waiting_.emplace_back());
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        return job;
    }
    void clear() { waiting_.clear(); }
    std::size_t waiting() const { return waiting_.size(); }

private:
    std::deque<std::string> jobs_;
    std::deque<ReplyTo<std::string>> waiting_;
};

/// Takes a job and notes what it got.
class Listener : public Actor {
public:
    Listener(Ref<JobQueue> queue, std::string& heard) : queue_(queue), heard_(heard) {}
    Task<> run() {
        auto job = co_await queue_.ask<&JobQueue::take>();
        heard_ = job ? *job : (job.error() == Errc::no_reply ? "no_reply" : job.error().text());
    }

private:
    Ref<JobQueue> queue_;
    std::string& heard_;  // the test's, which outlives the system
};

TEST(Reply, IsNowOrAnErrorOrTheDelegatesAnswer) {
    OwnedSystem system;
    auto front = system->spawn<Front>(system->spawn<Worker>());
    EXPECT_EQ(system->block_on(front.ask<&Front::square>(0)), 0);
    EXPECT_EQ(system->block_on(front.ask<&Front::square>(7)), 49);
    EXPECT_EQ(system->block_on(front.ask<&Front::slow_square>(6)), 36);
    EXPECT_TRUE(system->block_on(front.ask<&Front::square>(-1)).error() == Errc::failed);
    front.tell<&Front::square>(3);  // nobody asks: the delegate's answer goes nowhere
}

TEST(Reply, OfADelegateThatIsNobodyIsActorGoneAtOnce) {
    OwnedSystem system;
    auto front = system->spawn<Front>(system->spawn<Worker>());
    front.tell<&Front::lose_worker>();
    EXPECT_TRUE(system->block_on(front.ask<&Front::square>(7)).error() == Errc::actor_gone);
}

TEST(ReplyTo, AnswersLaterAndWhenDroppedAnswersNoReplyAtOnce) {
    RandomChooser chooser(1);
    OwnedSystem system(make_deterministic_engine(chooser));
    auto queue = system->spawn<JobQueue>();
    std::string heard[2];
    auto listen = [&](int who) { return system->spawn<Listener>(queue, heard[who]); };
    listen(0).tell<&Listener::run>();
    system.settle();
    listen(1).tell<&Listener::run>();
    system.settle();
    EXPECT_EQ(system->block_on(queue.ask<&JobQueue::waiting>()), 2U);
    queue.tell<&JobQueue::put>("work");
    system.settle();
    EXPECT_EQ(heard[0], "work");  // first come, first served
    EXPECT_EQ(heard[1], "");
    queue.tell<&JobQueue::clear>();
    system.settle();
    EXPECT_EQ(heard[1], "no_reply");
    EXPECT_EQ(system->now(), Duration::zero());  // at once: no deadline had to pass
}

TEST(ReplyTo, OfAnActorThatEndsAnswersAtOnce) {
    RandomChooser chooser(2);
    OwnedSystem system(make_deterministic_engine(chooser));
    auto queue = system->spawn<JobQueue>();
    std::string heard;
    system->spawn<Listener>(queue, heard).tell<&Listener::run>();
    system.settle();
    queue.stop();
    system.settle();
    EXPECT_EQ(heard, "no_reply");
    EXPECT_EQ(system->now(), Duration::zero());
}

}  // namespace
}  // namespace troupe

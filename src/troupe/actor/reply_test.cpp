#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/system.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::on_both_engines;

class Squarer : public Actor {
public:
    int square(int n) { return n * n; }
};

class Front : public Actor {
public:
    explicit Front(Ref<Squarer> worker) : worker_(worker) {}
    Reply<int> square(int n) {
        if (n == 0) return 0;
        if (n < 0) return error(Errc::failed, "negative");
        return worker_.delegate<&Squarer::square>(n);
    }
    Task<Reply<int>> slow_square(int n) {
        co_await yield();
        co_return worker_.delegate<&Squarer::square>(n);
    }
    void lose_worker() { worker_ = Ref<Squarer>(); }

private:
    Ref<Squarer> worker_;
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

/// Asks the queue, and remembers what it has heard.
class Listener : public Actor {
public:
    explicit Listener(Ref<JobQueue> queue) : queue_(queue) {}
    Task<> run() {
        auto job = co_await queue_.ask<&JobQueue::take>();
        heard_ = job ? *job : (job.error() == Errc::no_reply ? "no_reply" : job.error().text());
    }
    /// Is handled when `run` has ended.
    std::string heard() const { return heard_; }

private:
    Ref<JobQueue> queue_;
    std::string heard_;
};

/// One who waits in the queue, behind those who wait already.
Ref<Listener> wait_in(OwnedSystem& system, Ref<JobQueue> queue) {
    const std::size_t before = *system->block_on(queue.ask<&JobQueue::waiting>());
    const auto listener = system->spawn<Listener>(queue);
    listener.tell<&Listener::run>();
    std::size_t waiting = before;
    while (waiting == before)
        waiting = *system->block_on(queue.ask<&JobQueue::waiting>());
    return listener;
}

std::string heard_by(OwnedSystem& system, Ref<Listener> listener) {
    return *system->block_on(listener.ask<&Listener::heard>());
}

/// No deadline had to pass.
void expect_no_time_has_passed(OwnedSystem& system) {
    if (system->engine().deterministic()) {
        EXPECT_EQ(system->now(), Duration::zero());
    }
}

TEST(Reply, IsNowOrAnErrorOrTheDelegatesAnswer) {
    on_both_engines([](OwnedSystem& system) {
        auto front = system->spawn<Front>(system->spawn<Squarer>());
        EXPECT_EQ(system->block_on(front.ask<&Front::square>(0)), 0);
        EXPECT_EQ(system->block_on(front.ask<&Front::square>(7)), 49);
        EXPECT_EQ(system->block_on(front.ask<&Front::slow_square>(6)), 36);
        EXPECT_TRUE(system->block_on(front.ask<&Front::square>(-1)).error() == Errc::failed);
        front.tell<&Front::square>(3);  // nobody asks: the delegate's answer goes nowhere
    });
}

TEST(Reply, OfADelegateThatIsNobodyIsActorGoneAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        auto front = system->spawn<Front>(system->spawn<Squarer>());
        front.tell<&Front::lose_worker>();
        EXPECT_TRUE(system->block_on(front.ask<&Front::square>(7)).error() == Errc::actor_gone);
        expect_no_time_has_passed(system);
    });
}

TEST(ReplyTo, AnswersLaterAndWhenDroppedAnswersNoReplyAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        auto queue = system->spawn<JobQueue>();
        const auto first = wait_in(system, queue);
        const auto second = wait_in(system, queue);
        queue.tell<&JobQueue::put>("work");
        EXPECT_EQ(heard_by(system, first), "work");  // first come, first served
        EXPECT_EQ(system->block_on(queue.ask<&JobQueue::waiting>()), 1U);
        queue.tell<&JobQueue::clear>();
        EXPECT_EQ(heard_by(system, second), "no_reply");
        expect_no_time_has_passed(system);
    });
}

TEST(ReplyTo, OfAnActorThatEndsAnswersAtOnceHoweverItEnds) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        on_both_engines(
            [=](OwnedSystem& system) {
                auto queue = system->spawn<JobQueue>();
                const auto listener = wait_in(system, queue);
                queue.stop(strength);
                EXPECT_EQ(heard_by(system, listener), "no_reply");
                expect_no_time_has_passed(system);
            },
            30);
    }
}

TEST(ReplyTo, AnswersOnceAndASecondAnswerReachesNobody) {
    class Oracle : public Actor {
    public:
        Reply<int> ask() { return later(token_); }
        bool is_asked() const { return token_.pending(); }
        void answer(int n) { token_.send(n); }

    private:
        ReplyTo<int> token_;
    };
    class Asker : public Actor {
    public:
        Task<> ask(Ref<Oracle> oracle) {
            const auto answer = co_await oracle.ask<&Oracle::ask>();
            heard_.push_back(answer ? *answer : -1);
        }
        std::vector<int> heard() const { return heard_; }

    private:
        std::vector<int> heard_;
    };
    on_both_engines([](OwnedSystem& system) {
        auto oracle = system->spawn<Oracle>();
        auto asker = system->spawn<Asker>();
        for (const int round : {1, 2, 3}) {
            asker.tell<&Asker::ask>(oracle);
            while (!*system->block_on(oracle.ask<&Oracle::is_asked>())) {
            }
            oracle.tell<&Oracle::answer>(round);
            oracle.tell<&Oracle::answer>(-round);
        }
        EXPECT_EQ(system->block_on(asker.ask<&Asker::heard>()), (std::vector<int>{1, 2, 3}));
    });
}

}  // namespace
}  // namespace troupe

#include <troupe/actor/actor.hpp>
#include <troupe/sim/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A concrete class, nothing of which is virtual: a probe never calls it.
class Smtp : public Actor {
public:
    bool send(std::string_view to, std::string text) {
        ADD_FAILURE() << "a probe has handled " << to << text;
        return false;
    }
    void quit() { ADD_FAILURE() << "a probe has handled quit"; }
    void attach(std::unique_ptr<int> file) { file_ = std::move(file); }

private:
    std::unique_ptr<int> file_;
};

class Signup : public Actor {
public:
    explicit Signup(Ref<Smtp> smtp) : smtp_(smtp) {}
    Task<std::string> join(std::string who) {
        auto sent = co_await smtp_.ask<&Smtp::send>(who, "welcome");
        if (!sent) co_return "error: " + std::string(sent.error().text());
        co_return *sent ? "joined" : "refused";
    }
    void leave() {
        smtp_.tell<&Smtp::attach>(std::make_unique<int>(7));
        smtp_.tell<&Smtp::quit>();
    }
    void watch() { monitor<&Signup::gone>(smtp_); }
    std::string news() const { return news_; }

private:
    void gone(Down down) { news_ = down.reason.text(); }
    Ref<Smtp> smtp_;
    std::string news_;
};

class Asker : public Actor {
public:
    explicit Asker(Ref<Signup> signup) : signup_(signup) {}
    Task<> go() {
        auto answer = co_await signup_.ask<&Signup::join>("ann");
        answer_ = answer ? *answer : answer.error().text();
    }
    std::string answer() const { return answer_; }

private:
    Ref<Signup> signup_;
    std::string answer_;
};

TROUPE_SIM_TEST(Probe, StandsInForAConcreteClass) {
    auto smtp = sim.probe<Smtp>();
    auto asker = sim.spawn<Asker>(sim.spawn<Signup>(smtp.ref()));
    asker.tell<&Asker::go>();
    auto call = smtp.expect<&Smtp::send>();
    EXPECT_EQ(call.arguments(), std::tuple(std::string("ann"), std::string("welcome")));
    EXPECT_TRUE(call.asked());
    EXPECT_TRUE(smtp.quiet(1s));
    call.reply(true);
    sim.settle();
    EXPECT_EQ(*sim.run(asker.ask<&Asker::answer>()), "joined");
}

TROUPE_SIM_TEST(Probe, LetsTheAskerHearThatNobodyAnswers) {
    auto smtp = sim.probe<Smtp>();
    auto asker = sim.spawn<Asker>(sim.spawn<Signup>(smtp.ref()));
    asker.tell<&Asker::go>();
    static_cast<void>(smtp.expect<&Smtp::send>());
    sim.settle();
    EXPECT_THAT(*sim.run(asker.ask<&Asker::answer>()), HasSubstr("error"));
    EXPECT_LT(sim.now(), Duration(1s)) << "at once, not when the time is up";
}

TROUPE_SIM_TEST(Probe, HandsOverWhatOnlyMoves) {
    auto smtp = sim.probe<Smtp>();
    auto signup = sim.spawn<Signup>(smtp.ref());
    signup.tell<&Signup::leave>();
    auto call = smtp.expect<&Smtp::attach>();
    EXPECT_EQ(*std::get<0>(call.arguments()), 7);
    EXPECT_FALSE(call.asked());
    static_cast<void>(smtp.expect<&Smtp::quit>());
}

TROUPE_SIM_TEST(Probe, FishesForOneAmongOthers) {
    auto smtp = sim.probe<Smtp>();
    auto signup = sim.spawn<Signup>(smtp.ref());
    signup.tell<&Signup::leave>();
    static_cast<void>(smtp.fish<&Smtp::quit>());
    EXPECT_TRUE(smtp.quiet());
}

TROUPE_SIM_TEST(Probe, IsAnActorThatCanFail) {
    auto smtp = sim.probe<Smtp>();
    auto signup = sim.spawn<Signup>(smtp.ref());
    signup.tell<&Signup::watch>();
    sim.settle();
    EXPECT_TRUE(sim.inject_failure(smtp.ref(), "the mail server burns"));
    sim.settle();
    EXPECT_EQ(*sim.run(signup.ask<&Signup::news>()), "the mail server burns");
    EXPECT_FALSE(sim.inject_failure(smtp.ref(), "again"));
}

TROUPE_SIM_TEST(Probe, AnswersNobodyOnceTheTestIsOver) {
    auto smtp = sim.probe<Smtp>();
    auto asker = sim.spawn<Asker>(sim.spawn<Signup>(smtp.ref()));
    asker.tell<&Asker::go>();
    sim.settle();
}

/// What a run that fails says.
std::string failure_of(void (*body)(Sim& sim)) {
    sim::FirstChooser chooser;
    const sim::RunResult result = sim::run_once({"a test", body, {}}, chooser);
    return result.failure ? result.failure->text : "";
}

TEST(ProbeFailure, SaysWhatCameInstead) {
    EXPECT_THAT(failure_of([](Sim& sim) {
                    auto smtp = sim.probe<Smtp>();
                    sim.spawn<Signup>(smtp.ref()).tell<&Signup::leave>();
                    static_cast<void>(smtp.expect<&Smtp::quit>());
                }),
                HasSubstr("expected troupe::Smtp::quit, and troupe::Smtp::attach came"));
}

TEST(ProbeFailure, SaysWhoWaitsWhenNothingComes) {
    const std::string text = failure_of([](Sim& sim) {
        auto smtp = sim.probe<Smtp>();
        auto other = sim.probe<Smtp>();
        sim.spawn<Signup>(other.ref()).tell<&Signup::join>("ann");
        static_cast<void>(smtp.expect<&Smtp::send>(2s));
    });
    EXPECT_THAT(text, HasSubstr("expected troupe::Smtp::send within 2 s, and nothing came"));
    EXPECT_THAT(text, HasSubstr("waits in ask troupe::Smtp::send"));
}

}  // namespace
}  // namespace troupe

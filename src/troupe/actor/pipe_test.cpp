#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::wait_for_end;
using namespace std::chrono_literals;

class Rates : public Actor {
public:
    int get(std::string currency) const {
        if (currency == "BAD") throw std::runtime_error("no such currency");
        return 7;
    }
    Result<int> refuse() const { return error(Errc::not_found, "closed today"); }
    Task<int> get_at(std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        co_return 8;
    }
    Task<int> get_late() {
        ignore(co_await sleep(10s), "only time matters");
        co_return 9;
    }
    Reply<int> get_never() { return later(kept_.emplace_back()); }
    void forget() { kept_.clear(); }
    Reply<int> get_from(Ref<Rates> other) { return other.delegate<&Rates::get>("EUR"); }
    void note() const {}
    int alive() const { return 1; }

private:
    std::vector<ReplyTo<int>> kept_;
};

using Heard = std::shared_ptr<std::vector<std::string>>;
Heard make_heard() {
    return std::make_shared<std::vector<std::string>>();
}

/// Asks from plain handlers, and notes what it hears and in which order.
class Till : public Actor {
public:
    Till(Ref<Rates> rates, Heard heard) : rates_(rates), heard_(std::move(heard)) {}
    void price(std::string currency, int cents) {
        rates_.ask<&Rates::get>(currency).pipe_to<&Till::priced>(self(this), cents);
    }
    void price_at(std::shared_ptr<Gate> gate) {
        rates_.ask<&Rates::get_at>(gate).pipe_to<&Till::priced>(self(this), 1);
    }
    void price_late() {
        rates_.ask<&Rates::get_late>().within(1s).pipe_to<&Till::priced>(self(this), 1);
    }
    void price_never() {
        rates_.ask<&Rates::get_never>()
            .within(Duration::max())
            .pipe_to<&Till::priced>(self(this), 1);
    }
    void price_refused() { rates_.ask<&Rates::refuse>().pipe_to<&Till::priced>(self(this), 1); }
    void price_elsewhere(Ref<Rates> other) {
        rates_.ask<&Rates::get_from>(other).pipe_to<&Till::priced>(self(this), 2);
    }
    void ask_nobody() {
        Ref<Rates>().ask<&Rates::get>("EUR").pipe_to<&Till::priced>(self(this), 1);
    }
    void ask_myself() {
        Ref<Till>(self(this)).ask<&Till::count>().pipe_to<&Till::counted>(self(this));
    }
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    void note(std::string text) { heard_->push_back(std::move(text)); }
    std::size_t count() const { return heard_->size(); }

private:
    void priced(Result<int> rate, int cents) {
        heard_->push_back(rate ? std::to_string(*rate * cents)
                               : std::string(name(static_cast<Errc>(rate.error().value()))));
        last_error_ = rate ? std::string() : rate.error().text();
    }
    void counted(Result<std::size_t> count) { heard_->push_back("self " + std::to_string(*count)); }
    Ref<Rates> rates_;
    Heard heard_;
    std::string last_error_;
};

/// Until so many answers have come.
void wait_for(OwnedSystem& system, Ref<Till> till, std::size_t answers) {
    for (int i = 0; i < 1'000'000; ++i) {
        if (*system->block_on(till.ask<&Till::count>()) >= answers) return;
    }
    FAIL() << "the answers have not come";
}

struct Scene {
    explicit Scene(OwnedSystem& owned)
        : rates(owned->spawn<Rates>()), till(owned->spawn<Till>(rates, heard)) {}
    Heard heard = make_heard();
    Ref<Rates> rates;
    Ref<Till> till;
};

TEST(PipeTo, BringsTheReplyAsAMessageWithWhatWasGivenAlong) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price>("EUR", 3);
        wait_for(system, scene.till, 1);
        EXPECT_EQ(*scene.heard, std::vector<std::string>{"21"});
    });
}

TEST(PipeTo, LetsOtherMailPassMeanwhile) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto gate = std::make_shared<Gate>();
        scene.till.tell<&Till::price_at>(gate);
        scene.till.tell<&Till::note>("other mail");
        gate->wait_until_reached(system);
        ASSERT_EQ(system->block_on(scene.till.ask<&Till::count>()), 1U);
        gate->open();
        wait_for(system, scene.till, 2);
        EXPECT_EQ(*scene.heard, (std::vector<std::string>{"other mail", "8"}));
    });
}

TEST(PipeTo, BringsErrorsOfTheMethodAndOfItsEnd) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price_refused>();
        wait_for(system, scene.till, 1);
        scene.till.tell<&Till::price>("BAD", 1);
        wait_for(system, scene.till, 2);
        wait_for_end(system, scene.rates);
        scene.till.tell<&Till::price>("EUR", 1);
        wait_for(system, scene.till, 3);
        scene.till.tell<&Till::ask_nobody>();
        wait_for(system, scene.till, 4);
        EXPECT_EQ(*scene.heard,
                  (std::vector<std::string>{"not_found", "failed", "actor_gone", "actor_gone"}));
    });
}

TEST(PipeTo, HearsWhenTheTargetIsKilledInTheMiddle) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto gate = std::make_shared<Gate>();
        scene.till.tell<&Till::price_at>(gate);
        gate->wait_until_reached(system);
        scene.rates.stop(Stop::kill);
        wait_for(system, scene.till, 1);
        EXPECT_EQ(scene.heard->front(), "actor_gone");
    });
}

TEST(PipeTo, HearsOnceThatTheDeadlineHasPassedAndNothingOfTheLateReply) {
    on_seeds(100, [](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price_late>();
        system.advance(999ms);
        EXPECT_TRUE(scene.heard->empty());
        system.advance(2ms);
        EXPECT_EQ(*scene.heard, std::vector<std::string>{"timed_out"});
        system.advance(1min);
        EXPECT_EQ(scene.heard->size(), 1U);
    });
}

TEST(PipeTo, WaitsForEverWhenToldTo) {
    on_seeds(10, [](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price_never>();
        system.advance(24h);
        EXPECT_TRUE(scene.heard->empty());
        scene.rates.tell<&Rates::forget>();
        system.settle();
        EXPECT_EQ(*scene.heard, std::vector<std::string>{"no_reply"});
    });
}

TEST(PipeTo, HearsTheOneToWhomTheCallWasDelegated) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price_elsewhere>(system->spawn<Rates>());
        wait_for(system, scene.till, 1);
        EXPECT_EQ(scene.heard->front(), "14");
    });
}

TEST(PipeTo, MayAskOneself) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::ask_myself>();
        wait_for(system, scene.till, 1);
        EXPECT_EQ(scene.heard->front(), "self 0");
    });
}

TEST(PipeTo, RespectsTheTargetsBoundAndSaysSo) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        const Heard heard = make_heard();
        auto rates = system->spawn<Rates>(options().mailbox(bounded(1)));
        auto till = system->spawn<Till>(rates, heard);
        rates.tell<&Rates::get_at>(gate);
        gate->wait_until_reached(system);
        while (rates.tell<&Rates::note>() == SendStatus::sent) {
        }
        till.tell<&Till::price>("EUR", 1);
        wait_for(system, till, 1);
        EXPECT_EQ(*heard, std::vector<std::string>{"mailbox_full"});
        gate->open();
        EXPECT_EQ(system->block_on(rates.ask<&Rates::alive>()), 1);
        till.tell<&Till::price>("EUR", 1);
        wait_for(system, till, 2);
        EXPECT_EQ(heard->back(), "7");
    });
}

TEST(PipeTo, IsNotRefusedByTheAskersFullMailboxAndComesWhileItsHandlerWaits) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        const Heard heard = make_heard();
        auto rates = system->spawn<Rates>();
        auto till = system->spawn<Till>(options().mailbox(bounded(2)), rates, heard);
        till.tell<&Till::price>("EUR", 1);
        till.tell<&Till::hold>(gate);
        gate->wait_until_reached(system);
        std::size_t notes = 0;
        while (till.tell<&Till::note>("mail") == SendStatus::sent)
            ++notes;
        EXPECT_EQ(system->block_on(rates.ask<&Rates::alive>()), 1);
        gate->open();
        wait_for(system, till, notes + 1);
        EXPECT_NE(std::ranges::find(*heard, "7"), heard->end());
    });
}

TEST(PipeTo, OfAnActorThatEndsIsADeadLetterAndLeavesNothing) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto gate = std::make_shared<Gate>();
        scene.till.tell<&Till::price_at>(gate);
        gate->wait_until_reached(system);
        scene.till.stop();
        wait_for_end(system, scene.till);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::gone], 1U);
        gate->open();
        EXPECT_EQ(system->block_on(scene.rates.ask<&Rates::alive>()), 1);
        EXPECT_TRUE(scene.heard->empty());
        EXPECT_EQ(system->dead_letters().total(), 1U) << "the late reply is not one more";
    });
}

TEST(PipeTo, WorksFromAConstructor) {
    class Early : public Actor {
    public:
        Early(Ref<Rates> rates, Heard heard) : heard_(std::move(heard)) {
            rates.ask<&Rates::get>("EUR").pipe_to<&Early::priced>(self(this));
        }
        std::size_t count() const { return heard_->size(); }

    private:
        void priced(const Result<int>& rate) { heard_->push_back(std::to_string(*rate)); }
        Heard heard_;
    };
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = make_heard();
        auto rates = system->spawn<Rates>();
        auto early = system->spawn<Early>(rates, heard);
        while (*system->block_on(early.ask<&Early::count>()) == 0) {
        }
        EXPECT_EQ(*heard, std::vector<std::string>{"7"});
    });
}

class Director : public Actor {
public:
    void stop_rates(Ref<Rates> one, Stop strength) { one.stop(strength); }
    void stop_till(Ref<Till> one, Stop strength) { one.stop(strength); }
};

TEST(PipeToEverySchedule, HearsExactlyOnceWheneverTheTargetEnds) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        bool answered = false;
        bool gone = false;
        const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
            Scene scene(system);
            scene.till.tell<&Till::price>("EUR", 1);
            system->spawn<Director>().tell<&Director::stop_rates>(scene.rates, strength);
            system.settle();
            ASSERT_EQ(scene.heard->size(), 1U);
            (scene.heard->front() == "7" ? answered : gone) = true;
        });
        EXPECT_TRUE(explored.exhaustive);
        EXPECT_TRUE(answered);
        EXPECT_TRUE(gone);
    }
}

TEST(PipeToEverySchedule, AnAskerThatEndsHearsAtMostOnceAndEveryMessageIsAccountedFor) {
    bool heard = false;
    bool lost = false;
    const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
        Scene scene(system);
        scene.till.tell<&Till::price>("EUR", 1);
        system->spawn<Director>().tell<&Director::stop_till>(scene.till, Stop::kill);
        system.settle();
        // Either the asking was not handled, or the answer was not, or both were.
        EXPECT_EQ(scene.heard->size() + system->dead_letters().total(), 1U);
        (scene.heard->empty() ? lost : heard) = true;
    });
    EXPECT_TRUE(explored.exhaustive);
    EXPECT_TRUE(heard);
    EXPECT_TRUE(lost);
}

// ---- blocking work ------------------------------------------------------------------------------

class Loader : public Actor {
public:
    explicit Loader(Heard heard) : heard_(std::move(heard)) {}
    void load(std::string path) {
        offload([path] { return "text of " + path; }).pipe_to<&Loader::loaded>(self(this), path);
    }
    void load_nothing() {
        offload([] {}).pipe_to<&Loader::done>(self(this));
    }
    void load_badly() {
        offload([]() -> std::string {
            throw std::runtime_error("no such file");
        }).pipe_to<&Loader::loaded>(self(this), std::string("bad"));
    }
    void load_refused() {
        offload([]() -> Result<std::string> {
            return error(Errc::not_found, "gone fishing");
        }).pipe_to<&Loader::loaded>(self(this), std::string("refused"));
    }
    void note(std::string text) { heard_->push_back(std::move(text)); }
    std::size_t count() const { return heard_->size(); }

private:
    void loaded(Result<std::string> text, std::string path) {
        heard_->push_back(path + ": " + (text ? *text : text.error().text()));
    }
    void done(Result<void> result) { heard_->push_back(result ? "done" : "not done"); }
    Heard heard_;
};

void wait_for(OwnedSystem& system, Ref<Loader> loader, std::size_t answers) {
    for (int i = 0; i < 1'000'000; ++i) {
        if (*system->block_on(loader.ask<&Loader::count>()) >= answers) return;
    }
    FAIL() << "the results have not come";
}

TEST(OffloadPipeTo, BringsWhatTheFunctionReturnsOrThrows) {
    on_both_engines([](OwnedSystem& system) {
        const Heard heard = make_heard();
        auto loader = system->spawn<Loader>(heard);
        loader.tell<&Loader::load>("a.txt");
        wait_for(system, loader, 1);
        loader.tell<&Loader::load_nothing>();
        wait_for(system, loader, 2);
        loader.tell<&Loader::load_badly>();
        wait_for(system, loader, 3);
        loader.tell<&Loader::load_refused>();
        wait_for(system, loader, 4);
        EXPECT_EQ(*heard, (std::vector<std::string>{"a.txt: text of a.txt", "done",
                                                    "bad: no such file", "refused: gone fishing"}));
    });
}

TEST(OffloadPipeTo, OfAnActorThatHasEndedIsADeadLetter) {
    // The work begins once its actor has ended: the deterministic engine may choose that order.
    bool lost = false;
    const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
        const Heard heard = make_heard();
        auto loader = system->spawn<Loader>(heard);
        loader.tell<&Loader::load>("a.txt");
        loader.stop(Stop::drain);
        system.settle();
        EXPECT_EQ(heard->size() + system->dead_letters().total(), 1U);
        lost = lost || heard->empty();
    });
    EXPECT_TRUE(explored.exhaustive);
    EXPECT_TRUE(lost);
}

TEST(OffloadPipeTo, ThatThePoolRefusesHearsSoAtOnce) {
    const Heard heard = make_heard();
    {
        ThreadedOptions few;
        few.workers = 1;
        few.blocking_threads_max = 1;
        few.blocking_jobs_max = 1;
        OwnedSystem system(make_threaded_engine(few));
        auto loader = system->spawn<Loader>(heard);
        for (int i = 0; i < 200; ++i)
            loader.tell<&Loader::load>("a.txt");
        wait_for(system, loader, 200);
    }
    // Each was done or refused, and told so: how many of which depends on the machine.
    for (const std::string& line : *heard)
        EXPECT_TRUE(line == "a.txt: text of a.txt" ||
                    line == "a.txt: too many jobs wait for the blocking pool")
            << line;
}

}  // namespace
}  // namespace troupe

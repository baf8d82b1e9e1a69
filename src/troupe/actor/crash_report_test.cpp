#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/log.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

using Reports = std::shared_ptr<std::vector<CrashReport>>;
Reports make_reports() {
    return std::make_shared<std::vector<CrashReport>>();
}

/// The one who is told.
class Coroner : public Actor {
public:
    explicit Coroner(Reports reports) : reports_(std::move(reports)) {}
    void crashed(CrashReport report) { reports_->push_back(std::move(report)); }
    std::size_t count() const { return reports_->size(); }

private:
    Reports reports_;
};

enum class Fails : std::uint8_t { never, at_once, to_start, to_stop };

class Worker : public Actor {
public:
    explicit Worker(Fails fails = Fails::never) : fails_(fails) {
        if (fails == Fails::at_once) throw std::runtime_error("no memory");
    }
    int work() const { return 1; }
    void fail(std::string secret) {
        throw std::runtime_error("cannot read " + secret.substr(0, 4));
    }
    void fail_at_length(std::size_t length) { throw std::runtime_error(std::string(length, 'x')); }
    Task<> fail_later(std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        throw std::runtime_error("later");
    }
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    Ref<Worker> hire(Fails fails) { return spawn<Worker>(fails); }
    void join(Ref<Worker> other) { link(other); }

private:
    Task<Result<void>> on_start() override {
        if (fails_ == Fails::to_start) co_return error(Errc::failed, "no database");
        co_return Result<void>();
    }
    Task<void> on_stop(const ExitReason&) override {
        if (fails_ == Fails::to_stop) throw std::runtime_error("no disk");
        co_return;
    }
    Fails fails_;
};

struct Scene {
    explicit Scene(OwnedSystem& owned) : system(owned), coroner(owned->spawn<Coroner>(reports)) {
        owned->on_crash<&Coroner::crashed>(coroner);
    }
    const CrashReport& only() {
        EXPECT_EQ(system->block_on(coroner.ask<&Coroner::count>()), 1U);
        return reports->at(0);
    }
    OwnedSystem& system;
    Reports reports = make_reports();
    Ref<Coroner> coroner;
};

TEST(CrashReport, SaysWhoInWhatWhyAndHowLong) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(named("the worker"));
        EXPECT_EQ(system->block_on(worker.ask<&Worker::work>()), 1);
        worker.tell<&Worker::fail_later>(gate);
        gate->wait_until_reached(system);
        worker.tell<&Worker::work>();
        worker.tell<&Worker::work>();
        if (system->engine().deterministic()) system.advance(std::chrono::seconds(3));
        gate->open();
        wait_for_end(system, worker);
        const CrashReport& report = scene.only();
        EXPECT_EQ(report.pid, worker.pid());
        EXPECT_EQ(report.parent, Pid());
        EXPECT_EQ(report.name, "the worker");
        EXPECT_EQ(report.incarnation, 1U);
        EXPECT_TRUE(report.type.ends_with("Worker")) << report.type;
        EXPECT_TRUE(report.method.ends_with("Worker::fail_later")) << report.method;
        EXPECT_EQ(report.reason, "later");
        EXPECT_GE(report.mailbox_depth, 2U);
        EXPECT_EQ(report.handled, 2U);
        if (system->engine().deterministic()) {
            EXPECT_GE(report.uptime, std::chrono::seconds(3));
            EXPECT_LT(report.uptime, std::chrono::milliseconds(3100));
        }
        EXPECT_EQ(system->crashes(), 1U);
    });
}

TEST(CrashReport, NamesTheHookOrTheConstructorThatFailed) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        static_cast<void>(system->spawn<Worker>(Fails::at_once));
        wait_for_end(system, system->spawn<Worker>(Fails::to_start));
        auto stopped = system->spawn<Worker>(Fails::to_stop);
        EXPECT_EQ(system->block_on(stopped.ask<&Worker::work>()), 1);
        stopped.stop();
        wait_for_end(system, stopped);
        ASSERT_EQ(system->block_on(scene.coroner.ask<&Coroner::count>()), 3U);
        EXPECT_EQ(scene.reports->at(0).method, "constructor");
        EXPECT_EQ(scene.reports->at(0).reason, "no memory");
        EXPECT_EQ(scene.reports->at(1).method, "on_start");
        EXPECT_EQ(scene.reports->at(1).reason, "no database");
        EXPECT_EQ(scene.reports->at(2).method, "on_stop");
        EXPECT_EQ(scene.reports->at(2).reason, "no disk");
    });
}

TEST(CrashReport, NamesTheParent) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto boss = system->spawn<Worker>();
        auto child = *system->block_on(boss.ask<&Worker::hire>(Fails::never));
        child.tell<&Worker::fail>("secret");
        wait_for_end(system, child);
        EXPECT_EQ(scene.only().parent, boss.pid());
        EXPECT_EQ(system->block_on(boss.ask<&Worker::work>()), 1);
    });
}

TEST(CrashReport, CutsALongReasonAndHasNothingOfTheMessages) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto worker = system->spawn<Worker>();
        worker.tell<&Worker::fail_at_length>(std::size_t{1} << 20);
        wait_for_end(system, worker);
        EXPECT_EQ(scene.only().reason.size(), kCrashTextMax);
        EXPECT_TRUE(scene.only().reason.ends_with("..."));
    });
}

TEST(CrashReport, IsNotMadeOfWhoIsStoppedKilledOrDiesWithAnother) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
            auto worker = system->spawn<Worker>();
            worker.stop(strength);
            wait_for_end(system, worker);
        }
        auto first = system->spawn<Worker>();
        auto second = system->spawn<Worker>();
        EXPECT_TRUE(system->block_on(first.ask<&Worker::join>(second)).has_value());
        EXPECT_EQ(system->block_on(second.ask<&Worker::work>()), 1);
        actor_internal::EndWatch watch(system, second);
        first.tell<&Worker::fail>("secret");
        EXPECT_EQ(watch.wait().reason.text(), "cannot read secr");
        EXPECT_EQ(scene.only().pid, first.pid()) << "the cause, and not the consequence";
    });
}

TEST(CrashReport, IsMadeOfAnActorWhoseMailboxHasOverflowed) {
    on_both_engines([](OwnedSystem& system) {
        Scene scene(system);
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(options().mailbox(bounded(1).fail_actor()));
        worker.tell<&Worker::hold>(gate);
        gate->wait_until_reached(system);
        while (worker.tell<&Worker::work>() == SendStatus::sent) {
        }
        wait_for_end(system, worker);
        EXPECT_TRUE(scene.only().method.ends_with("Worker::hold")) << scene.only().method;
        EXPECT_EQ(scene.only().reason, "its mailbox has overflowed");
    });
}

TEST(CrashReport, OfTheListenerItselfIsNotToldToIt) {
    class Fragile : public Actor {
    public:
        void crashed(CrashReport) { throw std::runtime_error("I cannot bear it"); }
        void nudge() { throw std::runtime_error("nudged"); }
    };
    on_both_engines([](OwnedSystem& system) {
        auto fragile = system->spawn<Fragile>();
        system->on_crash<&Fragile::crashed>(fragile);
        fragile.tell<&Fragile::nudge>();
        wait_for_end(system, fragile);
        auto worker = system->spawn<Worker>();
        worker.tell<&Worker::fail>("secret");  // its listener has ended: nobody hears
        wait_for_end(system, worker);
        EXPECT_EQ(system->crashes(), 2U);
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(CrashReport, OfTenThousandAtOnceAFewAreLoggedAndAllAreCounted) {
    std::size_t lines = 0;
    std::string said;
    ASSERT_TRUE(log_flush());
    set_log_sink([&](LogLevel, std::string_view line) {
        ++lines;
        said += line;
    });
    {
        RandomChooser chooser(1);
        OwnedSystem system(make_deterministic_engine(chooser));
        for (int i = 0; i < 10'000; ++i)
            system->spawn<Worker>().tell<&Worker::fail>("secret");
        system.settle();
        EXPECT_EQ(system->crashes(), 10'000U);
    }
    EXPECT_TRUE(log_flush());
    set_log_sink({});
    // How many exactly is the limit's own test; the log may leave out some more. At the end of the
    // system it says how many.
    EXPECT_GE(lines, 1U);
    EXPECT_LE(lines, kCrashesLoggedPerSecond + 5);
    EXPECT_NE(said.find("count=9990"), std::string::npos) << said;
}

}  // namespace
}  // namespace troupe

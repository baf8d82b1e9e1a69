#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

using actor_internal::on_both_engines;

struct Mailer {
    virtual ~Mailer() = default;
    virtual Result<int> send(std::string to) = 0;
};
struct Audited {
    virtual ~Audited() = default;
    virtual int entries() const = 0;
    long padding = 7;
};
class Smtp : public Actor, public Mailer, public Audited {
public:
    Result<int> send(std::string to) override {
        ++n_;
        return static_cast<int>(to.size());
    }
    int entries() const override { return n_ + static_cast<int>(padding) - 7; }

private:
    int n_ = 0;
};
class Savings : public Smtp {
public:
    int rate() const { return 2; }
};
/// The base of actors comes last, so that the object does not begin with it.
class Backwards : public Audited, public Mailer, public Actor {
public:
    Result<int> send(std::string) override { return error(Errc::failed, "no network in tests"); }
    int entries() const override { return 40; }
    Ref<Audited> as_audited() { return Ref<Backwards>(self(this)); }
};
struct Counter {
    int n = 0;
    int add(int k) { return n += k; }
};
class Signup : public Actor {
public:
    explicit Signup(Ref<Mailer> mailer) : mailer_(mailer) {}
    Task<Result<int>> join(std::string who) { co_return co_await mailer_.ask<&Mailer::send>(who); }

private:
    Ref<Mailer> mailer_;
};
struct FakeMailer : Mailer {
    Result<int> send(std::string) override { return error(Errc::failed, "no network in tests"); }
};

TEST(Interfaces, ARefConvertsToAnyBaseAndDispatchesVirtually) {
    on_both_engines([](OwnedSystem& system) {
        auto smtp = system->spawn<Smtp>();
        const Ref<Mailer> mailer = smtp;
        const Ref<Audited> audited = smtp;  // the second base: the Ref carries the offset
        EXPECT_EQ(system->block_on(mailer.ask<&Mailer::send>("ann")), 3);
        EXPECT_EQ(system->block_on(audited.ask<&Audited::entries>()), 1);
        EXPECT_EQ(audited.pid(), smtp.pid());
        auto savings = system->spawn<Savings>();
        EXPECT_EQ(system->block_on(savings.ask<&Audited::entries>()), 0);
        EXPECT_EQ(system->block_on(savings.ask<&Savings::rate>()), 2);
        const Ref<Smtp> as_smtp = savings;
        const Ref<Audited> through_both = as_smtp;
        as_smtp.tell<&Mailer::send>("bob");
        EXPECT_EQ(system->block_on(through_both.ask<&Audited::entries>()), 1);
    });
}

TEST(Interfaces, TheBaseMayStandAnywhere) {
    on_both_engines([](OwnedSystem& system) {
        auto backwards = system->spawn<Backwards>();
        EXPECT_EQ(system->block_on(backwards.ask<&Mailer::send>("x")).error().text(),
                  "no network in tests");
        const auto audited = system->block_on(backwards.ask<&Backwards::as_audited>());
        ASSERT_TRUE(audited.has_value());
        EXPECT_EQ(system->block_on(audited->ask<&Audited::entries>()), 40);
        backwards.stop();
        EXPECT_EQ(actor_internal::wait_for_end(system, *audited).pid, backwards.pid());
    });
}

TEST(Interfaces, AClassWithoutTheBaseIsAnActorToo) {
    on_both_engines([](OwnedSystem& system) {
        auto counter = system->spawn<Counter>();
        EXPECT_EQ(system->block_on(counter.ask<&Counter::add>(4)), 4);
        counter.stop();
        actor_internal::wait_for_end(system, counter);
    });
}

TEST(Interfaces, AFakeStandsInForTheRealOne) {
    on_both_engines([](OwnedSystem& system) {
        auto real = system->spawn<Signup>(system->spawn<Smtp>());
        auto fake = system->spawn<Signup>(system->spawn<FakeMailer>());
        EXPECT_EQ(system->block_on(real.ask<&Signup::join>("ann")), 3);
        const auto joined = system->block_on(fake.ask<&Signup::join>("ann"));
        ASSERT_FALSE(joined.has_value());
        EXPECT_TRUE(joined.error() == Errc::failed);
    });
}

}  // namespace
}  // namespace troupe

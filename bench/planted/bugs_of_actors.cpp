// Mistakes in what actors say to each other.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/task/sleep.hpp>

#include "bugs.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace planted {

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::ignore;
using troupe::Ref;
using troupe::Reply;
using troupe::ReplyTo;
using troupe::Result;
using troupe::Sim;
using troupe::Task;

constexpr auto kForEver = 1min;

// ---- 1: a lost update ---------------------------------------------------------------------------

class Account : public Actor {
public:
    int balance() const { return balance_; }
    void set(int balance) { balance_ = balance; }
    void deposit(int amount) { balance_ += amount; }

private:
    int balance_ = 0;
};
class Payer : public Actor {
public:
    Task<> pay(Ref<Account> account, bool planted) {
        if (planted) {
            const auto before = co_await account.ask<&Account::balance>();
            account.tell<&Account::set>(*before + 10);
        } else {
            account.tell<&Account::deposit>(10);
        }
    }
};
void lost_update(Sim& sim, bool planted) {
    auto account = sim.spawn<Account>();
    for (int i = 0; i < 2; ++i)
        sim.spawn<Payer>().tell<&Payer::pay>(account, planted);
    sim.settle();
    if (*sim.run(account.ask<&Account::balance>()) != 20) sim.fail("money was lost");
}

// ---- 2: check, then act, in a registry ----------------------------------------------------------

class Registry : public Actor {
public:
    bool has(const std::string& name) const { return holders_.contains(name); }
    bool take(std::string name) { return holders_.insert({std::move(name), 0}).second; }
    void put(std::string name) { ++holders_[std::move(name)]; }
    int holders(const std::string& name) const {
        const auto at = holders_.find(name);
        return at == holders_.end() ? 0 : at->second;
    }

private:
    std::map<std::string, int> holders_;
};
class Candidate : public Actor {
public:
    Task<> stand(Ref<Registry> registry, bool planted) {
        if (planted) {
            const auto taken = co_await registry.ask<&Registry::has>("leader");
            if (!*taken) {
                ignore(co_await registry.ask<&Registry::put>("leader"), "a model");
                leads_ = true;
            }
        } else {
            const auto got = co_await registry.ask<&Registry::take>("leader");
            leads_ = *got;
        }
    }
    bool leads() const { return leads_; }

private:
    bool leads_ = false;
};
void registry_race(Sim& sim, bool planted) {
    auto registry = sim.spawn<Registry>();
    constexpr int kCandidates = 3;
    std::vector<Ref<Candidate>> candidates;
    candidates.reserve(kCandidates);
    for (int i = 0; i < kCandidates; ++i)
        candidates.push_back(sim.spawn<Candidate>());
    for (auto& candidate : candidates)
        candidate.tell<&Candidate::stand>(registry, planted);
    sim.settle();
    int leaders = 0;
    for (auto& candidate : candidates)
        leaders += *sim.run(candidate.ask<&Candidate::leads>()) ? 1 : 0;
    if (leaders != 1) sim.fail(std::to_string(leaders) + " leaders");
}

// ---- 3: a double reply --------------------------------------------------------------------------

/// Two workers race; whoever is first answers.
class Hedge;
class Racer : public Actor {
public:
    void run(Ref<Hedge> hedge);
};
class Hedge : public Actor {
public:
    Reply<int> ask(bool planted) {
        planted_ = planted;
        auto reply = troupe::later(waiting_.emplace_back());
        spawn<Racer>().tell<&Racer::run>(self(this));
        spawn<Racer>().tell<&Racer::run>(self(this));
        after<&Hedge::give_up>(planted ? 0ns : 1s);
        return reply;
    }
    void answer() {
        ++answers_;
        finish(answers_);
    }

private:
    void give_up() { finish(-1); }
    void finish(int value) {
        // The mistake: the late answer of one request is taken for that of the next.
        const bool known = waiting_.empty() || !waiting_.front().pending();
        if (known) return;
        waiting_.front().send(value);
        if (!planted_) waiting_.pop_front();
        if (planted_ && value < 0) waiting_.pop_front();
    }
    bool planted_ = false;
    int answers_ = 0;
    std::deque<ReplyTo<int>> waiting_;
};
void Racer::run(Ref<Hedge> hedge) {
    hedge.tell<&Hedge::answer>();
}
void hedged_timeout(Sim& sim, bool planted) {
    auto hedge = sim.spawn<Hedge>();
    const auto answer = sim.run(hedge.ask<&Hedge::ask>(planted));
    if (!answer || *answer < 0) sim.fail("gave up although both would have answered");
}

// ---- 4: deadlock by crossing calls --------------------------------------------------------------

class Crossing : public Actor {
public:
    void meet(Ref<Crossing> other) { other_ = other; }
    int value() const { return 1; }
    Task<Result<int>> sum() {
        auto value = co_await other_.ask<&Crossing::value>();
        if (!value) co_return std::unexpected(value.error());
        co_return *value + 1;
    }
    Task<> begin() {
        const auto sum = co_await other_.ask<&Crossing::sum>();
        crossed_ = !sum;
    }
    void begin_plainly() { other_.tell<&Crossing::take>(1); }
    void take(int) {}
    bool crossed() const { return crossed_; }

private:
    Ref<Crossing> other_;
    bool crossed_ = false;
};
void crossing_calls(Sim& sim, bool planted) {
    auto a = sim.spawn<Crossing>();
    auto b = sim.spawn<Crossing>();
    auto c = sim.spawn<Crossing>();
    a.tell<&Crossing::meet>(b);
    b.tell<&Crossing::meet>(planted ? a : c);
    c.tell<&Crossing::meet>(c);
    sim.settle();
    if (planted) {
        b.tell<&Crossing::begin_plainly>();
        a.tell<&Crossing::begin>();
    } else {
        a.tell<&Crossing::begin_plainly>();
    }
    sim.advance(kForEver);
    if (*sim.run(a.ask<&Crossing::crossed>())) sim.fail("two wait for each other");
}

// ---- 5: use of a stale reference ----------------------------------------------------------------

class Session : public Actor {
public:
    explicit Session(int user) : user_(user) {}
    int user() const { return user_; }
    void close() { self(this).stop(); }

private:
    int user_;
};
class Lobby : public Actor {
public:
    explicit Lobby(bool planted) : planted_(planted) {}
    void join(Ref<Session> session) {
        session_ = session;
        monitor<&Lobby::left>(session);
    }
    Task<bool> greet() {
        if (session_ == Ref<Session>()) co_return true;
        const auto user = co_await session_.ask<&Session::user>();
        co_return user.has_value() || !planted_;
    }

private:
    void left(const troupe::Down&) { session_ = Ref<Session>(); }
    bool planted_;
    Ref<Session> session_;
};
void stale_reference(Sim& sim, bool planted) {
    auto lobby = sim.spawn<Lobby>(planted);
    auto session = sim.spawn<Session>(7);
    lobby.tell<&Lobby::join>(session);
    sim.settle();
    session.tell<&Session::close>();
    if (!*sim.run(lobby.ask<&Lobby::greet>())) sim.fail("spoke to somebody who had left");
}

// ---- 6: a missed cancel -------------------------------------------------------------------------

class Download : public Actor {
public:
    explicit Download(bool planted) : planted_(planted) {}
    void begin() { next(0); }
    void next(int part) {
        // The mistake: the flag is looked at when it begins, and not between the parts.
        if (cancelled_ && (!planted_ || part == 0)) return;
        if (part == 3) {
            troupe::sim::always(!cancelled_, "what was cancelled does not finish");
            return;
        }
        self(this).tell<&Download::next>(part + 1);
    }
    void cancel() { cancelled_ = true; }

private:
    bool planted_;
    bool cancelled_ = false;
};
class Canceller : public Actor {
public:
    void cancel(Ref<Download> download) { download.tell<&Download::cancel>(); }
};
void missed_cancel(Sim& sim, bool planted) {
    auto download = sim.spawn<Download>(planted);
    download.tell<&Download::begin>();
    sim.spawn<Canceller>().tell<&Canceller::cancel>(download);
    sim.settle();
}

// ---- 7: an acknowledgement before the write is safe ---------------------------------------------

class Disk : public Actor {
public:
    void write(int value) { cached_ = value; }
    void sync() { stored_ = cached_; }
    void crash() { cached_ = stored_; }
    int read() const { return cached_; }

private:
    int cached_ = 0;
    int stored_ = 0;
};
class Waiting : public Actor {
public:
    /// The power goes as soon as it is told that all is safe.
    Task<> told(Ref<Disk> disk) {
        ignore(co_await disk.ask<&Disk::crash>(), "a model");
        const auto stored = co_await disk.ask<&Disk::read>();
        troupe::sim::always(*stored == 5, "what was acknowledged survives a crash");
    }
};
class Journal : public Actor {
public:
    Journal(Ref<Disk> disk, Ref<Waiting> client, bool planted)
        : disk_(disk), client_(client), planted_(planted) {}
    Task<> put() {
        ignore(co_await disk_.ask<&Disk::write>(5), "a model");
        if (planted_) client_.tell<&Waiting::told>(disk_);
        if (troupe::sim::buggify("a slow disk", 300)) {
            ignore(co_await troupe::sleep(5ms), "a slow one");
        }
        ignore(co_await disk_.ask<&Disk::sync>(), "a model");
        if (!planted_) client_.tell<&Waiting::told>(disk_);
    }

private:
    Ref<Disk> disk_;
    Ref<Waiting> client_;
    bool planted_;
};
void early_acknowledgement(Sim& sim, bool planted) {
    auto disk = sim.spawn<Disk>();
    auto client = sim.spawn<Waiting>();
    sim.spawn<Journal>(disk, client, planted).tell<&Journal::put>();
    sim.advance(1s);
}

}  // namespace

std::vector<Bug> bugs_of_actors() {
    return {
        {"lost update", "reads, then writes what it has read plus ten", &lost_update},
        {"registry race", "looks whether a name is free, then takes it", &registry_race},
        {"hedged timeout", "the patience of one turn is taken for a second", &hedged_timeout},
        {"crossing calls", "two actors ask each other", &crossing_calls},
        {"stale reference", "asks an actor that may have ended", &stale_reference},
        {"missed cancel", "looks at the flag once, at the beginning", &missed_cancel},
        {"early acknowledgement", "answers before the sync", &early_acknowledgement},
    };
}

}  // namespace planted

// Mistakes that only another order of the same steps shows.

#include <troupe/actor/actor.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/task/sleep.hpp>

#include "bugs.hpp"

#include <array>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace planted {

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::ignore;
using troupe::Ref;
using troupe::Sim;
using troupe::Task;

// ---- a lost wake-up -----------------------------------------------------------------------------

class Bench : public Actor {  // where a worker sits until it is woken
public:
    explicit Bench(bool planted) : planted_(planted) {}
    bool empty() const { return items_ == 0; }
    void sleep() {
        asleep_ = planted_ || items_ == 0;
        if (!asleep_) take();
    }
    void put() {
        ++items_;
        if (std::exchange(asleep_, false)) take();
    }
    void take() { --items_; }
    int left() const { return items_; }

private:
    bool planted_;
    bool asleep_ = false;
    int items_ = 0;
};
class Joiner : public Actor {
public:
    Task<> work(Ref<Bench> bench) {
        const auto empty = co_await bench.ask<&Bench::empty>();
        // The mistake is the bench's: what comes between the look and the sleep wakes nobody.
        if (*empty) {
            bench.tell<&Bench::sleep>();
        } else {
            bench.tell<&Bench::take>();
        }
    }
};
class Producer : public Actor {
public:
    void put(Ref<Bench> bench) { bench.tell<&Bench::put>(); }
};
void lost_wake_up(Sim& sim, bool planted) {
    auto bench = sim.spawn<Bench>(planted);
    sim.spawn<Joiner>().tell<&Joiner::work>(bench);
    sim.spawn<Producer>().tell<&Producer::put>(bench);
    sim.settle();
    if (*sim.run(bench.ask<&Bench::left>()) != 0) sim.fail("an item lies there, the worker sleeps");
}

// ---- ABA ----------------------------------------------------------------------------------------

/// A free list by index: a compare-and-swap on the head, with or without a number of its turn.
class FreeList : public Actor {
public:
    struct Head {
        int index;
        int turn;
    };
    explicit FreeList(bool planted) : planted_(planted) {}
    Head head() const { return {head_, turn_}; }
    int next(int index) const { return next_[static_cast<std::size_t>(index)]; }
    bool swap(Head expected, int to) {
        const bool same = expected.index == head_ && (planted_ || expected.turn == turn_);
        if (!same) return false;
        if (in_use_.contains(expected.index)) return false;
        in_use_.insert(expected.index);
        troupe::sim::always(!in_use_.contains(to), "the head of a free list is free");
        head_ = to;
        ++turn_;
        return true;
    }
    void give_back(int index) {
        in_use_.erase(index);
        next_[static_cast<std::size_t>(index)] = head_;
        head_ = index;
        ++turn_;
    }

private:
    bool planted_;
    int head_ = 1;
    int turn_ = 0;
    std::array<int, 5> next_{-1, 2, 3, 4, -1};
    std::set<int> in_use_;
};
class Allocating : public Actor {
public:
    Task<int> pop(Ref<FreeList> list) {
        for (;;) {
            const auto head = co_await list.ask<&FreeList::head>();
            if (head->index < 0) co_return -1;
            const auto next = co_await list.ask<&FreeList::next>(head->index);
            const auto swapped = co_await list.ask<&FreeList::swap>(*head, *next);
            if (*swapped) co_return head->index;
        }
    }
    Task<> once(Ref<FreeList> list) { ignore(co_await pop(list), "kept"); }
    Task<> twice_and_back(Ref<FreeList> list) {
        const int first = co_await pop(list);
        ignore(co_await pop(list), "kept");
        list.tell<&FreeList::give_back>(first);
    }
};
void aba(Sim& sim, bool planted) {
    auto list = sim.spawn<FreeList>(planted);
    sim.spawn<Allocating>().tell<&Allocating::once>(list);
    sim.spawn<Allocating>().tell<&Allocating::twice_and_back>(list);
    sim.settle();
}

// ---- two ways to one place ----------------------------------------------------------------------

class Screen : public Actor {
public:
    explicit Screen(bool planted) : planted_(planted) {}
    void show(int version) {
        if (!planted_ && version < version_) return;
        version_ = version;
    }
    int version() const { return version_; }

private:
    bool planted_;
    int version_ = 0;
};
class Relay : public Actor {
public:
    explicit Relay(Ref<Screen> screen) : screen_(screen) {}
    void pass(int version) { screen_.tell<&Screen::show>(version); }

private:
    Ref<Screen> screen_;
};
class Source : public Actor {
public:
    void publish(Ref<Relay> relay, Ref<Screen> screen) {
        relay.tell<&Relay::pass>(1);
        screen.tell<&Screen::show>(2);
    }
};
void two_ways(Sim& sim, bool planted) {
    auto screen = sim.spawn<Screen>(planted);
    auto relay = sim.spawn<Relay>(screen);
    sim.spawn<Source>().tell<&Source::publish>(relay, screen);
    sim.settle();
    if (*sim.run(screen.ask<&Screen::version>()) != 2) sim.fail("the screen shows what is old");
}

// ---- snapshot, then subscribe -------------------------------------------------------------------

class Reader;
class Topic : public Actor {
public:
    int value() const { return value_; }
    void subscribe(Ref<Reader> reader) { reader_ = reader; }
    int join(Ref<Reader> reader) {
        reader_ = reader;
        return value_;
    }
    void set(int value);

private:
    int value_ = 1;
    Ref<Reader> reader_;
};
class Reader : public Actor {
public:
    Task<> follow(Ref<Topic> topic, bool planted) {
        const Ref<Reader> me = self(this);
        if (planted) {
            const auto value = co_await topic.ask<&Topic::value>();
            ignore(co_await topic.ask<&Topic::subscribe>(me), "a model");
            value_ = *value;
        } else {
            const auto value = co_await topic.ask<&Topic::join>(me);
            value_ = *value;
        }
    }
    void changed(int value) { value_ = value; }
    int value() const { return value_; }

private:
    int value_ = 0;
};
void Topic::set(int value) {
    value_ = value;
    reader_.tell<&Reader::changed>(value);
}
class Writer : public Actor {
public:
    void write(Ref<Topic> topic) { topic.tell<&Topic::set>(2); }
};
void gap_in_subscription(Sim& sim, bool planted) {
    auto topic = sim.spawn<Topic>();
    auto reader = sim.spawn<Reader>();
    reader.tell<&Reader::follow>(topic, planted);
    sim.spawn<Writer>().tell<&Writer::write>(topic);
    sim.settle();
    if (*sim.run(reader.ask<&Reader::value>()) != 2) sim.fail("a reader has missed a change");
}

// ---- a torn read --------------------------------------------------------------------------------

class Pair : public Actor {
public:
    void move() {
        --left_;
        ++right_;
    }
    int left() const { return left_; }
    int right() const { return right_; }
    int sum() const { return left_ + right_; }

private:
    int left_ = 5;
    int right_ = 5;
};
class Auditor : public Actor {
public:
    Task<> audit(Ref<Pair> pair, bool planted) {
        if (planted) {
            const auto left = co_await pair.ask<&Pair::left>();
            const auto right = co_await pair.ask<&Pair::right>();
            sum_ = *left + *right;
        } else {
            const auto sum = co_await pair.ask<&Pair::sum>();
            sum_ = *sum;
        }
        troupe::sim::always(sum_ == 10, "nothing is lost in a transfer");
    }

private:
    int sum_ = 0;
};
class Mover : public Actor {
public:
    void move(Ref<Pair> pair) { pair.tell<&Pair::move>(); }
};
void torn_read(Sim& sim, bool planted) {
    auto pair = sim.spawn<Pair>();
    sim.spawn<Auditor>().tell<&Auditor::audit>(pair, planted);
    sim.spawn<Mover>().tell<&Mover::move>(pair);
    sim.settle();
}

// ---- an entity that is activated twice ----------------------------------------------------------

class Entity : public Actor {};
class Storage : public Actor {
public:
    int load() const { return 7; }
};
class Directory : public Actor {
public:
    Directory(Ref<Storage> storage, bool planted) : storage_(storage), planted_(planted) {}
    /// Calls come back while it loads: it is told, and answers by a message.
    void get() {
        if (active_) return;
        if (!planted_) {
            if (std::exchange(loading_, true)) return;
        }
        storage_.ask<&Storage::load>().pipe_to<&Directory::loaded>(self(this));
    }

private:
    void loaded(const troupe::Result<int>&) {
        active_ = true;
        ++activations_;
        troupe::sim::always(activations_ == 1, "an entity is active once");
    }
    Ref<Storage> storage_;
    bool planted_;
    bool loading_ = false;
    bool active_ = false;
    int activations_ = 0;
};
class User : public Actor {
public:
    void call(Ref<Directory> directory) { directory.tell<&Directory::get>(); }
};
void double_activation(Sim& sim, bool planted) {
    auto directory = sim.spawn<Directory>(sim.spawn<Storage>(), planted);
    for (int i = 0; i < 2; ++i)
        sim.spawn<User>().tell<&User::call>(directory);
    sim.settle();
}

// ---- a mailbox that was full --------------------------------------------------------------------

class Sink : public Actor {
public:
    void take() { ++taken_; }
    int taken() const { return taken_; }

private:
    int taken_ = 0;
};
class Pump : public Actor {
public:
    Task<> pump(Ref<Sink> sink, bool planted) {
        for (int i = 0; i < 3; ++i) {
            if (planted) {
                sink.tell<&Sink::take>();
            } else {
                ignore(co_await sink.send<&Sink::take>(), "it is there until the end");
            }
        }
    }
};
void full_mailbox(Sim& sim, bool planted) {
    auto sink = sim.spawn<Sink>(troupe::options().mailbox(troupe::bounded(4)));
    for (int i = 0; i < 2; ++i)
        sim.spawn<Pump>().tell<&Pump::pump>(sink, planted);
    sim.settle();
    if (*sim.run(sink.ask<&Sink::taken>()) != 6) sim.fail("a message was refused, and not missed");
}

// ---- an old leader that still writes ------------------------------------------------------------

class Register : public Actor {
public:
    explicit Register(bool planted) : planted_(planted) {}
    int elect() { return ++epoch_; }
    void write(int epoch) {
        if (!planted_ && epoch < epoch_) return;
        troupe::sim::always(epoch >= last_, "no write of an old leader follows a new one's");
        last_ = epoch;
    }

private:
    bool planted_;
    int epoch_ = 0;
    int last_ = 0;
};
class Leader : public Actor {
public:
    Task<> lead(Ref<Register> of) {
        const auto epoch = co_await of.ask<&Register::elect>();
        of.tell<&Register::write>(*epoch);
        of.tell<&Register::write>(*epoch);
    }
};
void unfenced_leader(Sim& sim, bool planted) {
    auto of = sim.spawn<Register>(planted);
    for (int i = 0; i < 2; ++i)
        sim.spawn<Leader>().tell<&Leader::lead>(of);
    sim.settle();
}

// ---- an order of ending -------------------------------------------------------------------------

class Log : public Actor {
public:
    explicit Log(int* lines) : lines_(lines) {}
    void line() { ++*lines_; }

private:
    int* lines_;
};
class Service : public Actor {
public:
    explicit Service(Ref<Log> log) : log_(log) {}
    void work() { log_.tell<&Log::line>(); }

private:
    Ref<Log> log_;
};
class Ender : public Actor {
public:
    void end(Ref<Log> log, bool planted) {
        // The mistake: what is in its mailbox is thrown away.
        log.stop(planted ? troupe::Stop::stop : troupe::Stop::drain);
    }
};
void thrown_away_at_the_end(Sim& sim, bool planted) {
    int lines = 0;
    auto log = sim.spawn<Log>(&lines);
    auto service = sim.spawn<Service>(log);
    service.tell<&Service::work>();
    sim.run_until([&] { return sim.system().info(service.pid())->handled == 1; }, 1s);
    sim.spawn<Ender>().tell<&Ender::end>(log, planted);
    sim.settle();
    if (lines != 1) sim.fail("the last line was thrown away");
}

// ---- a lock that is let go too soon, by somebody else -------------------------------------------

/// A guard that knows whether it is taken, and not by whom.
class Guard : public Actor {
public:
    explicit Guard(bool planted) : planted_(planted) {}
    bool take(int who) {
        if (holder_ != 0) return false;
        holder_ = who;
        return true;
    }
    void let_go(int who) {
        if (planted_ || holder_ == who) holder_ = 0;
    }

private:
    bool planted_;
    int holder_ = 0;
};
/// Lets go twice, as one does that cleans up after an error it was not sure about.
class Careful : public Actor {
public:
    Task<> work(Ref<Guard> guard, int who, std::shared_ptr<int> inside) {
        for (int tries = 0; tries < 4; ++tries) {
            const auto taken = co_await guard.ask<&Guard::take>(who);
            if (!*taken) continue;
            ++*inside;
            troupe::sim::always(*inside == 1, "one at a time");
            ignore(co_await guard.ask<&Guard::take>(who), "looks whether it holds it");
            --*inside;
            guard.tell<&Guard::let_go>(who);
            self(this).tell<&Careful::clean_up>(guard, who);
            co_return;
        }
    }
    void clean_up(Ref<Guard> guard, int who) { guard.tell<&Guard::let_go>(who); }
};
void let_go_twice(Sim& sim, bool planted) {
    auto inside = std::make_shared<int>(0);
    auto guard = sim.spawn<Guard>(planted);
    for (int who = 1; who <= 3; ++who)
        sim.spawn<Careful>().tell<&Careful::work>(guard, who, inside);
    sim.settle();
}

}  // namespace

std::vector<Bug> bugs_of_order() {
    return {
        {"lost wake-up", "sits down without another look", &lost_wake_up},
        {"ABA", "the head of a free list has no number of its turn", &aba},
        {"two ways", "an older version overtakes on another way", &two_ways},
        {"gap in subscription", "reads first, subscribes then", &gap_in_subscription},
        {"torn read", "two questions for one state", &torn_read},
        {"double activation", "looks whether it is active, then loads it", &double_activation},
        {"full mailbox", "tells without looking at the status", &full_mailbox},
        {"unfenced leader", "writes are taken whatever their epoch", &unfenced_leader},
        {"let go twice", "whoever lets go is not asked whether it holds", &let_go_twice},
        {"thrown away at the end", "stops where it should drain", &thrown_away_at_the_end},
    };
}

}  // namespace planted

// The actor benchmarks, written as a user would: NAME [N] prints one JSON line.
//
// Every actor has the default mailbox of 1000 messages. Whoever may send more than that awaits
// `send`, which waits for room; `tell` is used where one message at a time is under way.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/scheduler/latch.hpp>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using i64 = std::int64_t;
using troupe::Actor;
using troupe::Ref;
using troupe::System;
using troupe::Task;

/// What the main thread waits for.
struct Answer {
    troupe::Latch given;
    i64 value = -1;

    void give(i64 answer) {
        value = answer;
        given.open();
    }
};

/// Counts n messages and then gives an answer.
class Collector : public Actor {
public:
    Collector(Answer& answer, i64 n, i64 result) : answer_(answer), left_(n), result_(result) {}
    void take(i64) {
        if (--left_ == 0) answer_.give(result_);
    }

private:
    Answer& answer_;
    i64 left_;
    i64 result_;
};

template <class R>
void expect(const R& result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().message().c_str());
        std::abort();
    }
}

// ---- spawn, idle --------------------------------------------------------------------------------

class Once : public Actor {
public:
    explicit Once(Ref<Collector> collector) : collector_(collector) {}
    Task<> go(i64 x) {
        expect(co_await collector_.send<&Collector::take>(x));
        self(this).stop();
    }

private:
    Ref<Collector> collector_;
};

class Spawner : public Actor {
public:
    Task<> run(Ref<Collector> collector, i64 n) {
        System here = system();
        for (i64 i = 0; i < n; ++i) {
            expect(co_await here.spawn<Once>(collector).send<&Once::go>(i));
        }
    }
};

class IdleRoot;

class Idler : public Actor {
public:
    explicit Idler(Ref<IdleRoot> root) : root_(root) {}
    void go(i64 x);

private:
    Ref<IdleRoot> root_;
};

class IdleRoot : public Actor {
public:
    IdleRoot(Answer& answer, i64 n) : answer_(answer), n_(n) {
        all_.reserve(static_cast<std::size_t>(n));
    }
    // A thousand at a time, so that no backlog of acknowledgements counts as memory of actors.
    void more() {
        System here = system();
        for (i64 i = 0; i < 1000 && static_cast<i64>(all_.size()) < n_; ++i) {
            all_.push_back(here.spawn<Idler>(self(this)));
            all_.back().tell<&Idler::go>(i);
        }
    }
    void take(i64) {
        if (++got_ == n_) {
            answer_.give(n_);
        } else if (got_ == static_cast<i64>(all_.size())) {
            more();
        }
    }

private:
    Answer& answer_;
    i64 n_;
    i64 got_ = 0;
    std::vector<Ref<Idler>> all_;
};

void Idler::go(i64 x) {
    root_.tell<&IdleRoot::take>(x);
}

// ---- ping_pong, thread_ring ---------------------------------------------------------------------

class Ping;

class Pong : public Actor {
public:
    void ping(Ref<Ping> from, i64 left);
};

class Ping : public Actor {
public:
    Ping(Answer& answer, Ref<Pong> peer, i64 n) : answer_(answer), peer_(peer), n_(n) {}
    void pong(i64 left) {
        if (left == 0) {
            answer_.give(n_);
        } else {
            peer_.tell<&Pong::ping>(self(this), left - 1);
        }
    }

private:
    Answer& answer_;
    Ref<Pong> peer_;
    i64 n_;
};

void Pong::ping(Ref<Ping> from, i64 left) {
    from.tell<&Ping::pong>(left);
}

class RingNode : public Actor {
public:
    RingNode(Answer& answer, i64 n) : answer_(answer), n_(n) {}
    void link(Ref<RingNode> next) { next_ = next; }
    void hop(i64 left) {
        if (left == 0) {
            answer_.give(n_);
        } else {
            next_.tell<&RingNode::hop>(left - 1);
        }
    }

private:
    Answer& answer_;
    i64 n_;
    Ref<RingNode> next_;
};

// ---- counting, fork_join, fan_in ----------------------------------------------------------------

class Counter : public Actor {
public:
    void add(i64 n) { sum_ += n; }
    i64 total() const { return sum_; }

private:
    i64 sum_ = 0;
};

class Producer : public Actor {
public:
    Task<> flood(Ref<Collector> sink, i64 n) {
        for (i64 i = 0; i < n; ++i)
            expect(co_await sink.send<&Collector::take>(i));
    }
};

class CountingProducer : public Actor {
public:
    explicit CountingProducer(Answer& answer) : answer_(answer) {}
    Task<> count(Ref<Counter> counter, i64 n) {
        for (i64 i = 0; i < n; ++i)
            expect(co_await counter.send<&Counter::add>(1));
        auto total = co_await counter.ask<&Counter::total>().within(std::chrono::minutes(5));
        expect(total);
        answer_.give(*total);
    }

private:
    Answer& answer_;
};

class JoinWorker : public Actor {
public:
    JoinWorker(Ref<Collector> collector, i64 n) : collector_(collector), left_(n) {}
    void take(i64) {
        if (--left_ == 0) collector_.tell<&Collector::take>(1);
    }

private:
    Ref<Collector> collector_;
    i64 left_;
};

class Forker : public Actor {
public:
    Task<> run(Ref<Collector> collector, i64 n) {
        System here = system();
        std::vector<Ref<JoinWorker>> all;
        all.reserve(60);
        for (int i = 0; i < 60; ++i)
            all.push_back(here.spawn<JoinWorker>(collector, n));
        for (i64 m = 0; m < n; ++m) {
            for (const auto& worker : all)
                expect(co_await worker.send<&JoinWorker::take>(m));
        }
    }
};

// ---- big ----------------------------------------------------------------------------------------

class BigPeer : public Actor {
public:
    BigPeer(Ref<Collector> collector, const std::vector<Ref<BigPeer>>& all, i64 seed, i64 n)
        : collector_(collector), all_(all), random_(static_cast<std::uint64_t>(seed)), left_(n) {}
    void ping(Ref<BigPeer> from) { from.tell<&BigPeer::pong>(); }
    void pong() {
        if (left_-- == 0) {
            collector_.tell<&Collector::take>(1);
            return;
        }
        random_ = random_ * 48271 % 2147483647;
        all_[random_ % all_.size()].tell<&BigPeer::ping>(self(this));
    }

private:
    Ref<Collector> collector_;
    const std::vector<Ref<BigPeer>>& all_;  // main's, complete before the first message
    std::uint64_t random_;
    i64 left_;
};

// ---- ask, fib -----------------------------------------------------------------------------------

class Server : public Actor {
public:
    i64 request(i64 x) { return x - 1; }
};

class Client : public Actor {
public:
    explicit Client(Answer& answer) : answer_(answer) {}
    Task<> run(Ref<Server> server, i64 n) {
        for (i64 left = n; left > 0;) {
            auto reply = co_await server.ask<&Server::request>(left);
            expect(reply);
            left = *reply;
        }
        answer_.give(n);
    }

private:
    Answer& answer_;
};

class FibParent {
public:
    virtual ~FibParent() = default;
    virtual void value(i64 x) = 0;
};

class Fib : public Actor, public FibParent {
public:
    Fib(Ref<FibParent> parent, i64 n) : parent_(parent), n_(n) {}
    void run() {
        if (n_ <= 2) return finish(1);
        System here = system();
        Ref<FibParent> me = self(this);
        here.spawn<Fib>(me, n_ - 1).tell<&Fib::run>();
        here.spawn<Fib>(me, n_ - 2).tell<&Fib::run>();
    }
    void value(i64 x) override {
        sum_ += x;
        if (++got_ == 2) finish(sum_);
    }

private:
    void finish(i64 x) {
        parent_.tell<&FibParent::value>(x);
        self(this).stop();
    }
    Ref<FibParent> parent_;
    i64 n_;
    i64 sum_ = 0;
    int got_ = 0;
};

class FibRoot : public Actor, public FibParent {
public:
    explicit FibRoot(Answer& answer) : answer_(answer) {}
    void value(i64 x) override { answer_.give(x); }

private:
    Answer& answer_;
};

// ---- the table ----------------------------------------------------------------------------------

i64 fib_value(i64 n) {
    return n <= 2 ? 1 : fib_value(n - 1) + fib_value(n - 2);
}
i64 same(i64 n) {
    return n;
}

struct Bench {
    std::string_view name;
    i64 n;
    void (*start)(System system, Answer& answer, i64 n);
    i64 (*operations)(i64 n);
    i64 (*expected)(i64 n);
};

void start_ring(System system, Answer& answer, i64 n) {
    std::vector<Ref<RingNode>> ring;
    ring.reserve(100);
    for (int i = 0; i < 100; ++i)
        ring.push_back(system.spawn<RingNode>(answer, n));
    for (std::size_t i = 0; i < ring.size(); ++i) {
        ring[i].tell<&RingNode::link>(ring[(i + 1) % ring.size()]);
    }
    ring[0].tell<&RingNode::hop>(n);
}

void start_fan_in(System system, Answer& answer, i64 n) {
    auto sink = system.spawn<Collector>(answer, 10 * n, 10 * n);
    for (int i = 0; i < 10; ++i)
        system.spawn<Producer>().tell<&Producer::flood>(sink, n);
}

std::vector<Ref<BigPeer>> big_peers;

void start_big(System system, Answer& answer, i64 n) {
    auto collector = system.spawn<Collector>(answer, 200, 200);
    big_peers.reserve(200);
    for (i64 i = 0; i < 200; ++i) {
        big_peers.push_back(system.spawn<BigPeer>(collector, big_peers, i + 1, n));
    }
    for (const auto& peer : big_peers)
        peer.tell<&BigPeer::pong>();
}

constexpr std::array kBenches{
    Bench{"spawn", 1'000'000,
          [](System system, Answer& answer, i64 n) {
              auto collector = system.spawn<Collector>(answer, n, n);
              system.spawn<Spawner>().tell<&Spawner::run>(collector, n);
          },
          same, same},
    Bench{"idle", 1'000'000,
          [](System system, Answer& answer, i64 n) {
              system.spawn<IdleRoot>(answer, n).tell<&IdleRoot::more>();
          },
          same, same},
    Bench{"ping_pong", 2'000'000,
          [](System system, Answer& answer, i64 n) {
              auto pong = system.spawn<Pong>();
              system.spawn<Ping>(answer, pong, n).tell<&Ping::pong>(n);
          },
          same, same},
    Bench{"counting", 10'000'000,
          [](System system, Answer& answer, i64 n) {
              auto counter = system.spawn<Counter>();
              system.spawn<CountingProducer>(answer).tell<&CountingProducer::count>(counter, n);
          },
          same, same},
    Bench{"thread_ring", 5'000'000, start_ring, same, same},
    Bench{"fork_join", 100'000,
          [](System system, Answer& answer, i64 n) {
              auto collector = system.spawn<Collector>(answer, 60, n);
              system.spawn<Forker>().tell<&Forker::run>(collector, n);
          },
          [](i64 n) { return 60 * n; }, same},
    Bench{"fan_in", 500'000, start_fan_in, [](i64 n) { return 10 * n; },
          [](i64 n) { return 10 * n; }},
    Bench{"big", 5'000, start_big, [](i64 n) { return 200 * n; }, [](i64) -> i64 { return 200; }},
    Bench{"ask", 500'000,
          [](System system, Answer& answer, i64 n) {
              auto server = system.spawn<Server>();
              system.spawn<Client>(answer).tell<&Client::run>(server, n);
          },
          same, same},
    Bench{"fib", 25,
          [](System system, Answer& answer, i64 n) {
              auto root = system.spawn<FibRoot>(answer);
              system.spawn<Fib>(root, n).tell<&Fib::run>();
          },
          [](i64 n) { return 2 * fib_value(n) - 1; }, fib_value},
};

i64 resident_bytes() {
    long size = 0;
    long pages = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%ld %ld", &size, &pages) != 2) std::abort();
    std::fclose(file);
    return i64{pages} * ::sysconf(_SC_PAGESIZE);
}

int run(const Bench& bench, i64 n) {
    troupe::OwnedSystem system;
    Answer answer;
    const i64 before = resident_bytes();
    const auto start = std::chrono::steady_clock::now();
    bench.start(*system, answer, n);
    answer.given.wait();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (answer.value != bench.expected(n)) {
        std::fprintf(stderr, "%.*s: got %lld, expected %lld\n", static_cast<int>(bench.name.size()),
                     bench.name.data(), static_cast<long long>(answer.value),
                     static_cast<long long>(bench.expected(n)));
        return 1;
    }
    char bytes[32] = "null";
    if (bench.name == "idle") {
        std::snprintf(bytes, sizeof bytes, "%lld",
                      static_cast<long long>((resident_bytes() - before) / n));
    }
    std::printf(
        "{\"peer\":\"troupe\",\"bench\":\"%.*s\",\"n\":%lld,\"seconds\":%.6f,\"ops_per_s\":%.0f,"
        "\"bytes_per_actor\":%s}\n",
        static_cast<int>(bench.name.size()), bench.name.data(), static_cast<long long>(n),
        seconds.count(), static_cast<double>(bench.operations(n)) / seconds.count(), bytes);
    const troupe::EngineStats stats = system->engine().stats();
    std::fprintf(
        stderr, "turns %llu steals %llu parks %llu wakes %llu\n",
        static_cast<unsigned long long>(stats.turns), static_cast<unsigned long long>(stats.steals),
        static_cast<unsigned long long>(stats.parks), static_cast<unsigned long long>(stats.wakes));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view name = argc > 1 ? argv[1] : "";
    for (const Bench& bench : kBenches) {
        if (bench.name == name) return run(bench, argc > 2 ? std::atoll(argv[2]) : bench.n);
    }
    std::fprintf(stderr, "usage: troupe_actors NAME [N], NAME one of:");
    for (const Bench& bench : kBenches) {
        std::fprintf(stderr, " %.*s", static_cast<int>(bench.name.size()), bench.name.data());
    }
    std::fprintf(stderr, "\n");
    return 2;
}

// How many scheduling steps a second the simulator makes on one core: a message-passing model of
// actors that hand tokens round, with a random schedule that is recorded, as in every test. The
// invariants that every run is held to are looked at in all of them. In seconds of processor time,
// so that whoever else uses the machine counts little.

#include <troupe/actor/actor.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr int kActors = 64;
constexpr int kTokens = 16;
constexpr std::uint64_t kSteps = 2'000'000;

class Node : public troupe::Actor {
public:
    void join(troupe::Ref<Node> next) { next_ = next; }
    void pass(std::uint64_t hops) {
        if (hops != 0) next_.tell<&Node::pass>(hops - 1);
    }

private:
    troupe::Ref<Node> next_;
};

void ring(troupe::Sim& sim) {
    std::vector<troupe::Ref<Node>> nodes;
    nodes.reserve(kActors);
    for (int i = 0; i < kActors; ++i)
        nodes.push_back(sim.spawn<Node>());
    for (std::size_t i = 0; i < nodes.size(); ++i)
        nodes[i].tell<&Node::join>(nodes[(i + 1) % nodes.size()]);
    sim.settle();
    for (std::size_t i = 0; i < kTokens; ++i)
        nodes[i * nodes.size() / kTokens].tell<&Node::pass>(kSteps / kTokens);
    sim.settle();
}

void measure(const char* how, troupe::Chooser& chooser, bool recorded,
             troupe::EngineObserver* observer) {
    std::vector<troupe::sim::Choice> room(recorded ? kSteps * 3 : 0);
    troupe::sim::TraceBuffer buffer{room};
    troupe::sim::RunOptions options;
    options.steps_max = kSteps * 3;
    options.observer = observer;
    if (recorded) options.trace = &buffer;
    const std::clock_t begin = std::clock();
    const auto result = troupe::sim::run_once({"ring", &ring, {}}, chooser, options);
    const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%-28s %5.2f M steps/s  (%llu steps, %zu choices recorded)%s\n", how,
                static_cast<double>(result.steps) / took / 1e6,
                static_cast<unsigned long long>(result.steps), buffer.used,
                result.failure ? (" FAILED: " + result.failure->text).c_str() : "");
}

}  // namespace

int main() {
    troupe::sim::FirstChooser first;
    measure("first alternative", first, false, nullptr);
    troupe::RandomChooser random(1);
    measure("random", random, false, nullptr);
    troupe::RandomChooser again(1);
    measure("random, recorded", again, true, nullptr);
    const auto pct = troupe::sim::make_searcher(troupe::sim::Search::pct);
    measure("pct, recorded", *pct->next_run(1), true, nullptr);
    troupe::RandomChooser observed(1);
    troupe::sim::History history(100'000);
    measure("random, recorded, observed", observed, true, &history);
}

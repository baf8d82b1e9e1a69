/// The nemesis script of the tests, over real sockets: three clients enter lines into the ledger of
/// one server, each through a relay of its own, while the script cuts, slows and resets. Prints
/// what was done and what the clients saw.
///
/// Usage: nemesis_soak [rounds, 20]
/// A round takes some 0.4 seconds. It fails when something that was acknowledged is not in the
/// ledger, when a client does not get on once all is well, or when something is left behind.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/sim/internal/test_nemesis.hpp>
#include <troupe/sim/relay.hpp>
#include <troupe/task/sleep.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using sim_internal::Ledger;
using sim_internal::LedgerClient;
using sim_internal::LedgerServer;
using sim_internal::Seen;

bool good = true;

void expect(bool holds, const std::string& what) {
    if (holds) return;
    std::printf("FAILED: %s\n", what.c_str());
    good = false;
}

struct Party {
    std::string name;
    Ref<LedgerClient> client;
    std::size_t acknowledged_in_trouble = 0;
};

Result<std::vector<Party>> let_in(System system, sim::Relays& faults, const Endpoint& server) {
    std::vector<Party> parties;
    for (const char* const name : {"ann", "bob", "cyd"}) {
        TROUPE_TRY(const Endpoint where, faults.add({name, "server"}, server));
        parties.push_back({name, system.spawn<LedgerClient>(name, where)});
    }
    return parties;
}

Task<Result<void>> run(System system, int rounds) {
    Listener listener =
        co_await or_return(Listener::listen(system.engine(), Endpoint("127.0.0.1", 0)));
    const Endpoint server = listener.local();
    auto ledger = system.spawn<Ledger>();
    auto door = system.spawn<LedgerServer>(std::move(listener), ledger);
    door.tell<&LedgerServer::serve>();

    sim::Relays faults(system);
    std::vector<Party> parties = co_await or_return(let_in(system, faults, server));
    const Duration begin = system.now();
    faults.on_fault([&](const std::string& what) {
        const std::chrono::duration<double> now = system.now() - begin;
        std::printf("%6.2f s  %s\n", now.count(), what.c_str());
    });
    co_await or_return(co_await sim_internal::nemesis(faults, rounds));

    for (Party& party : parties) {
        const Seen seen = co_await or_return(co_await party.client.ask<&LedgerClient::seen>());
        party.acknowledged_in_trouble = seen.acknowledged.size();
    }
    co_await or_return(co_await sleep(2s));
    std::uint64_t open = 0;
    for (std::size_t line = 0; line < parties.size(); ++line) {
        const Party& party = parties[line];
        const Seen seen = co_await or_return(co_await party.client.ask<&LedgerClient::seen>());
        const auto entries = co_await or_return(co_await ledger.ask<&Ledger::entries>());
        const auto stats = co_await or_return(co_await faults.stats(line));
        int twice = 0;
        for (const std::string& entry : seen.acknowledged) {
            const auto found = entries.find(entry);
            twice += found != entries.end() && found->second > 1 ? 1 : 0;
        }
        std::printf(
            "%s: asked %llu times, %zu acknowledged (%zu of them since all was well), %llu "
            "late, %llu broken, %llu refused; %llu connections; %d entered more than once\n",
            party.name.c_str(), static_cast<unsigned long long>(seen.asked),
            seen.acknowledged.size(), seen.acknowledged.size() - party.acknowledged_in_trouble,
            static_cast<unsigned long long>(seen.late),
            static_cast<unsigned long long>(seen.broken),
            static_cast<unsigned long long>(seen.refused),
            static_cast<unsigned long long>(stats.accepted), twice);
        const std::string missing = sim_internal::missing_of(seen, entries);
        expect(missing.empty(), "acknowledged, and not in the ledger: " + missing);
        expect(seen.acknowledged.size() > party.acknowledged_in_trouble,
               party.name + " does not get on although all is well");
        open += stats.open;
    }
    std::printf("%llu connections open at the end\n", static_cast<unsigned long long>(open));
    co_return co_await faults.stop();
}

}  // namespace

int main(int argc, char** argv) {
    const auto rounds =
        static_cast<int>(base_internal::count_argument(argc, argv, 1, "rounds", 20));
    OwnedSystem system(make_threaded_engine({.workers = 2}));
    const Result<void> ran = system->block_on(run(*system, rounds));
    expect(ran.has_value(), ran ? std::string() : ran.error().message());
    system.stop();
    expect(system->actors().empty(), "actors are left after the system has stopped");
    std::printf("%s\n", good ? "nothing that was acknowledged was lost" : "not good");
    return good ? 0 : 1;
}

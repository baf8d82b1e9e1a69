#include <troupe/scheduler/engine.hpp>
#include <troupe/sim/faults.hpp>
#include <troupe/sim/sim.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {

Result<Faults::Found> Faults::find(std::string_view from, std::string_view to) const {
    std::string known;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const Line& line = lines_[i];
        if (line.client == from && line.server == to) return Found{i, Toward::server};
        if (line.server == from && line.client == to) return Found{i, Toward::client};
        known += (known.empty() ? "" : ", ") + line.client + " to " + line.server;
    }
    return error(Errc::not_found,
                 "no line joins " + std::string(from) + " and " + std::string(to) +
                     (known.empty() ? "; there are none" : "; there are: " + known));
}

Result<void> Faults::cut(std::string_view from, std::string_view to) {
    TROUPE_TRY(const Found found, find(from, to));
    set_cut(found.line, found.toward, true);
    say("nothing gets from " + std::string(from) + " to " + std::string(to));
    return {};
}

Result<void> Faults::mend(std::string_view from, std::string_view to) {
    TROUPE_TRY(const Found found, find(from, to));
    set_cut(found.line, found.toward, false);
    say(std::string(from) + " gets through to " + std::string(to));
    return {};
}

Result<void> Faults::partition(std::string_view one, std::string_view other) {
    TROUPE_TRY(cut(one, other));
    return cut(other, one);
}

Result<void> Faults::mend_partition(std::string_view one, std::string_view other) {
    TROUPE_TRY(mend(one, other));
    return mend(other, one);
}

Result<void> Faults::slow(std::string_view from, std::string_view to, const LineSpeed& speed) {
    TROUPE_TRY(const Found found, find(from, to));
    set_speed(found.line, found.toward, speed);
    const auto late = std::chrono::duration_cast<std::chrono::milliseconds>(speed.delay);
    std::string how;
    if (speed.delay != Duration::zero()) how = " " + std::to_string(late.count()) + " ms late";
    if (speed.bytes_per_second != 0) {
        how += (how.empty() ? "" : " and") + (" at " + std::to_string(speed.bytes_per_second)) +
               " bytes a second";
    }
    say("what " + std::string(from) + " sends to " + std::string(to) + " comes" +
        (how.empty() ? " as fast as it can" : how));
    return {};
}

Result<void> Faults::reset(std::string_view one, std::string_view other) {
    TROUPE_TRY(const Found found, find(one, other));
    reset_line(found.line);
    say("connections of " + std::string(one) + " and " + std::string(other) + " are reset");
    return {};
}

void Faults::heal() {
    for (std::size_t line = 0; line < lines_.size(); ++line) {
        for (const Toward toward : {Toward::server, Toward::client}) {
            set_speed(line, toward, LineSpeed());
            set_cut(line, toward, false);
        }
    }
    say("all is well");
}

std::uint64_t Faults::choose(std::uint64_t n, const char* site) {
    return engine_.choose(n, ChoiceKind::fault, site);
}

SimulatedFaults::SimulatedFaults(Sim& sim, std::vector<Line> lines)
    : Faults(sim.engine()), sim_(sim) {
    for (Line& line : lines) {
        sim.mend_partition(line.client, line.server);  // looks for both
        add_line(std::move(line));
    }
}

void SimulatedFaults::set_cut(std::size_t line, Toward toward, bool is_cut) {
    const auto& [client, server] = lines()[line];
    const std::string& from = toward == Toward::server ? client : server;
    const std::string& to = toward == Toward::server ? server : client;
    if (is_cut) {
        sim_.cut(from, to);
    } else {
        sim_.mend(from, to);
    }
}

void SimulatedFaults::set_speed(std::size_t line, Toward toward, const LineSpeed& speed) {
    const auto& [client, server] = lines()[line];
    if (toward == Toward::server) {
        sim_.slow(client, server, speed);
    } else {
        sim_.slow(server, client, speed);
    }
}

void SimulatedFaults::reset_line(std::size_t line) {
    sim_.reset(lines()[line].client, lines()[line].server);
}

}  // namespace troupe::sim

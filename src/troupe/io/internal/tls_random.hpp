#pragma once

#include <troupe/base/asks_machine.hpp>

namespace troupe {
class Engine;
}

namespace troupe::io_internal {

/// While it lives, what OpenSSL draws by chance in this thread comes from the engine, so that a run
/// can be replayed to the byte. Null: nothing changes.
///
/// The lengths of signatures and of tickets are up to chance, and with them where the network cuts.
/// OpenSSL has one source of chance for the whole process: the first time an engine is given, ours
/// takes its place, which asks OpenSSL's own wherever no engine is set. That happens in simulations
/// only.
class ChanceOf {
public:
    explicit ChanceOf(Engine* engine) noexcept;
    ~ChanceOf();
    ChanceOf(const ChanceOf&) = delete;
    ChanceOf& operator=(const ChanceOf&) = delete;

private:
    Engine* before_;
};

/// The engine of the simulated step that this thread is in, or null.
Engine* simulating_engine() noexcept;

/// While it lives, OpenSSL may ask the machine for two things, also in a simulation:
///
/// - entropy, to seed its own generator when it is used first. Nothing simulated draws from that.
/// - the date. Certificates are made for the machine's calendar, and the simulation's begins in
///   2025. What hangs on it is whether a certificate has expired, and the ages within tickets.
class OpenSslAsks {
    AsksMachine asks_{kMachineEntropy | kMachineTime};
};

}  // namespace troupe::io_internal

#pragma once

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

}  // namespace troupe::io_internal

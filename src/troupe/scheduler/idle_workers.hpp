#pragma once

namespace troupe {

class Engine;

/// Whether a worker of this engine has nothing to do. Who has much to do should put some of it into
/// messages then: a message finds its way to a worker. Never on the deterministic engine.
/// Threads: any; it changes at any time.
bool anybody_idle(const Engine& engine) noexcept;

}  // namespace troupe

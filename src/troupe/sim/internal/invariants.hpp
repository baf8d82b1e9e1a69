#pragma once

#include <troupe/actor/accounting.hpp>
#include <troupe/scheduler/simulated_engine.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <unordered_map>

namespace troupe {
class Sim;
}

namespace troupe::sim_internal {

/// What holds in every run, whatever it is about, looked at as it goes: messages of one actor to
/// another are handled in the order in which they were sent, and no supervisor restarts its
/// children more often than it may. That messages add up and nothing is left is looked at in the
/// end.
///
/// Not looked at: mail that has its own order (signals, mailboxes that are nearly full or have
/// priorities, asks, which may be one of a chain of calls), and a second handling, as of what was
/// put off.
class Invariants final : public EngineObserver {
public:
    /// Tells `next`, which may be null, of everything as well.
    Invariants(Sim& sim, EngineObserver* next);
    ~Invariants() override;

    void step_begins(const EngineStep& step) override;
    void step_ends(std::uint64_t event_hash) override;
    void woke(std::uint32_t subject) override;
    void sent(std::uint32_t to, const MailNode* mail, bool urgent) override;
    void handling(const std::string_view& method, const MailNode* message) override;
    void touched(const void* thing) override;

private:
    struct Sent {
        std::uint64_t pair = 0;  // who to whom
        std::uint64_t number = 0;
    };
    struct Pair {
        std::uint64_t sent = 0;
        std::uint64_t handled = 0;
    };

    static void restarted(const RestartNews& news) noexcept;

    Sim& sim_;
    EngineObserver* next_;
    Invariants* before_;         // of this thread: runs can be nested
    std::uint32_t subject_ = 0;  // whose turn it is; 0: nobody's
    // Looked up only, so that neither addresses nor the order of the tables decide anything.
    std::unordered_map<const MailNode*, Sent> under_way_;
    std::unordered_map<std::uint64_t, Pair> pairs_;
    std::map<std::uint64_t, std::deque<Duration>> restarts_;
};

}  // namespace troupe::sim_internal

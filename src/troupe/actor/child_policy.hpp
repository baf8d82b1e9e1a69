#pragma once

/// How a supervisor treats one child: when it is started again, how soon, and how it is stopped.

#include <troupe/base/duration.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe {

/// When a child whose actor has ended is started again.
enum class Restart : std::uint8_t {
    permanent,  ///< always
    transient,  ///< when it has failed: an exit that is `abnormal()`
    temporary,  ///< never, nor when a sibling's failure has stopped it
};

const char* name(Restart restart) noexcept;

/// A child that is stopped with this patience is killed at once.
inline constexpr Duration kBrutal = Duration::zero();
/// A child that is stopped with this patience is waited for, however long it takes.
inline constexpr Duration kForever = Duration::max();

/// `permanent().backoff(100ms, 30s).shutdown(10s)`. A value: each call gives a changed copy.
class ChildPolicy {
public:
    struct Settings {
        Restart restart = Restart::permanent;
        Duration backoff_first = Duration::zero();
        Duration backoff_max = Duration::zero();
        Duration reset_after = Duration::zero();  // zero: backoff_max
        Duration shutdown = std::chrono::seconds(5);
        bool shutdown_is_set = false;
        bool significant = false;
        unsigned poison_after = 1;
        // Of a dynamic group:
        std::size_t max_children = 0;  // 0: as many as there may be
        std::size_t min_healthy = 0;
        std::size_t shards = 1;
        std::size_t restarts_max = 3;
        Duration window = std::chrono::seconds(5);
    };

    explicit ChildPolicy(Restart restart) noexcept { settings_.restart = restart; }

    /// A failed child is started again after `first`, then twice that, and so on up to `max`, each
    /// 20 % more or less by chance. Without this it is started again at once.
    [[nodiscard]] ChildPolicy backoff(Duration first, Duration max) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.backoff_first = first;
        changed.settings_.backoff_max = max > first ? max : first;
        return changed;
    }
    /// A child that has lived so long starts its backoff from the beginning. Without this: as long
    /// as the longest backoff. One that has called `mark_healthy()` does so in any case.
    [[nodiscard]] ChildPolicy reset_after(Duration lived) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.reset_after = lived;
        return changed;
    }
    /// How long a child that is stopped may take before it is killed: 5 s, for ever for a
    /// supervisor, unless this says otherwise; kBrutal, kForever.
    [[nodiscard]] ChildPolicy shutdown(Duration patience) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.shutdown = patience;
        changed.settings_.shutdown_is_set = true;
        return changed;
    }
    /// The supervisor may end when this child does: see Supervisor::auto_shutdown.
    [[nodiscard]] ChildPolicy significant() const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.significant = true;
        return changed;
    }
    /// A message may end this many incarnations before it is a dead letter. One, the default,
    /// means that the message a handler fails with is not tried again.
    ///
    /// Only a message whose parameters are views, references to const or trivially copyable is
    /// tried again; the first handler may have moved the others away.
    [[nodiscard]] ChildPolicy poison_after(unsigned incarnations) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.poison_after = incarnations;
        return changed;
    }

    /// A dynamic group refuses to start more children than that.
    [[nodiscard]] ChildPolicy max_children(std::size_t count) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.max_children = count;
        return changed;
    }
    /// A dynamic group is ready when so many of its children are healthy.
    [[nodiscard]] ChildPolicy min_healthy(std::size_t count) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.min_healthy = count;
        return changed;
    }
    /// A dynamic group ends when it has to restart more often than that within the window: three
    /// times in 5 s, unless this says otherwise.
    [[nodiscard]] ChildPolicy intensity(std::size_t restarts, Duration window) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.restarts_max = restarts;
        changed.settings_.window = window;
        return changed;
    }

    /// A dynamic group is divided into so many, each with a supervisor of its own, so that no
    /// single actor starts and stops a million children. `max_children` is that of all together;
    /// each shard has its own intensity, and one that gives up takes no other with it. A group in
    /// shards has no `min_healthy`.
    [[nodiscard]] ChildPolicy shards(std::size_t count) const noexcept {
        ChildPolicy changed = *this;
        changed.settings_.shards = count;
        return changed;
    }

    const Settings& settings() const noexcept { return settings_; }

private:
    Settings settings_;
};

inline ChildPolicy permanent() noexcept {
    return ChildPolicy(Restart::permanent);
}
inline ChildPolicy transient() noexcept {
    return ChildPolicy(Restart::transient);
}
inline ChildPolicy temporary() noexcept {
    return ChildPolicy(Restart::temporary);
}

}  // namespace troupe

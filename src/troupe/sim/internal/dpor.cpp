#include <troupe/base/hash.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/internal/dpor.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>

namespace troupe::sim::dpor_internal {

namespace {

// The clock and jobs are subjects as well: what they do has an order.
constexpr std::uint32_t kClock = 0xFFFF'FFFF;
constexpr std::uint32_t kJobs = 0xFFFF'FFFE;

std::uint32_t key(StepKind kind, std::uint32_t subject) noexcept {
    switch (kind) {
        case StepKind::timer:
            return kClock;
        case StepKind::job:
            return kJobs;
        case StepKind::turn:
            break;
    }
    return subject;
}

template <class T>
bool has(const std::vector<T>& all, const T& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

bool conflict(const Footprint& left, const Footprint& right) {
    auto a = left.begin();
    auto b = right.begin();
    while (a != left.end() && b != right.end()) {
        if (*a == *b) return true;
        if (*a < *b) {
            ++a;
        } else {
            ++b;
        }
    }
    return false;
}

}  // namespace

std::uint64_t width_of(std::uint64_t n, ChoiceKind kind) noexcept {
    if (n <= DepthFirstChooser::kWidthMax) return n;
    return kind == ChoiceKind::fault ? 2 : 1;  // whether it happens; a draw is fixed
}

std::uint64_t answer_of(std::uint64_t index, std::uint64_t n, std::uint64_t width) noexcept {
    return width == n || index == 0 ? index : n - 1;
}

DporChooser::Key DporChooser::key_of(const Alternative& step) noexcept {
    return key(step.kind, step.subject);
}

Footprint DporChooser::footprint_of(const StepRecord& step, std::span<const Effect> effects) {
    const auto turn_of = [](std::uint32_t subject) { return std::uint64_t{subject} << 2 | 1; };
    const auto mailbox_of = [](std::uint32_t subject) { return std::uint64_t{subject} << 2 | 2; };
    Footprint things;
    if (step.step.kind == StepKind::turn) things.push_back(turn_of(step.step.subject));
    for (const Effect& effect : effects) {
        switch (effect.kind) {
            case EffectKind::urgent:
                things.push_back(turn_of(effect.subject));
                [[fallthrough]];
            case EffectKind::sent:
            case EffectKind::took_signals:
                things.push_back(mailbox_of(effect.subject));
                break;
            case EffectKind::touched:
                things.push_back(mix_64(reinterpret_cast<std::uintptr_t>(effect.thing)) | 3);
                break;
            case EffectKind::woke:
            case EffectKind::handled:
                break;
        }
    }
    std::sort(things.begin(), things.end());
    things.erase(std::unique(things.begin(), things.end()), things.end());
    return things;
}

/// Things that are known by their addresses only may have other ones in the next run. So for what
/// sleeps over to another run, all of them are one.
void DporChooser::add_unnamed(Footprint& footprint, std::span<const Effect> effects) {
    const bool any = std::any_of(effects.begin(), effects.end(), [](const Effect& effect) {
        return effect.kind == EffectKind::touched &&
               (reinterpret_cast<std::uintptr_t>(effect.thing) & 1) == 0;
    });
    if (any) footprint.insert(footprint.begin(), kUnnamed);
}

// ---- during a run -------------------------------------------------------------------------------

std::uint64_t DporChooser::choose(std::uint64_t n, ChoiceKind kind, const char*) {
    const std::uint64_t width = width_of(n, kind);
    if (diverged_ || over_) return 0;
    if (at_ == path_.size()) {
        if (path_.size() >= kStepsMax) {
            cut_ = true;
            return 0;
        }
        Node node;
        node.width = width;
        path_.push_back(std::move(node));
    }
    const Node& node = path_[at_++];
    if (node.is_step || node.width != width) {
        diverged_ = true;
        return 0;
    }
    return answer_of(node.answer, n, width);
}

/// Of those that slept at the last step, the ones that do not conflict with what was done there.
std::vector<DporChooser::Sleeper> DporChooser::still_asleep() const {
    if (!had_step_) return {};
    const Node& before = path_[last_step_node_];
    if (before.asleep.empty()) return {};
    Footprint done = footprint_of(history_.steps().back(), history_.last_effects());
    add_unnamed(done, history_.last_effects());
    std::vector<Sleeper> asleep;
    for (const Sleeper& sleeper : before.asleep) {
        if (sleeper.key != before.taken && !conflict(sleeper.footprint, done)) {
            asleep.push_back(sleeper);
        }
    }
    return asleep;
}

bool DporChooser::sleeps(const Node& node, Key one) {
    return std::any_of(node.asleep.begin(), node.asleep.end(),
                       [&](const Sleeper& sleeper) { return sleeper.key == one; });
}

std::size_t DporChooser::choose_step(std::span<const Alternative> steps) {
    if (diverged_ || over_) return 0;
    if (at_ == path_.size()) {
        if (path_.size() >= kStepsMax) {
            cut_ = true;
            over_ = true;
            return 0;
        }
        Node node;
        node.is_step = true;
        for (const Alternative& step : steps)
            node.enabled.push_back(key_of(step));
        node.asleep = still_asleep();
        const auto awake = std::find_if(node.enabled.begin(), node.enabled.end(),
                                        [&](Key one) { return !sleeps(node, one); });
        if (awake == node.enabled.end()) {
            over_ = true;  // wherever it goes, it has been
            return 0;
        }
        node.taken = *awake;
        node.wanted.push_back(node.taken);
        path_.push_back(std::move(node));
    }
    const Node& node = path_[at_];
    if (!node.is_step) {
        diverged_ = true;
        return 0;
    }
    last_step_node_ = at_++;
    had_step_ = true;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (key_of(steps[i]) == node.taken) return i;
    }
    diverged_ = true;
    return 0;
}

// ---- after a run --------------------------------------------------------------------------------

/// The other order of steps i and j is to be run: some step that begins it is wanted where i was.
void DporChooser::want(std::size_t i, std::size_t j, const std::vector<std::size_t>& node_of_step) {
    const std::vector<StepRecord>& steps = history_.steps();
    const auto subject = [&](std::size_t k) {
        return key(steps[k].step.kind, steps[k].step.subject);
    };
    const auto after = [&](std::size_t later, std::size_t earlier) {
        const auto& clock = clocks_[later];
        const std::uint32_t of = subject(earlier);
        const std::size_t index = of == kClock ? 0 : of == kJobs ? 1 : std::size_t{of} + 1;
        return index < clock.size() && clock[index] >= rank_[earlier];
    };
    // Of the steps behind i that do not need it, j the last of them: who can begin that sequence.
    // Those are the first steps of subjects that come after no other's first.
    std::vector<std::size_t> firsts;
    std::vector<Key> seen;
    std::vector<Key> initials;
    for (std::size_t k = i + 1; k <= j; ++k) {
        if ((k != j && after(k, i)) || has(seen, subject(k))) continue;
        const bool begins = std::none_of(firsts.begin(), firsts.end(),
                                         [&](std::size_t first) { return after(k, first); });
        seen.push_back(subject(k));
        firsts.push_back(k);
        if (begins) initials.push_back(subject(k));
    }
    Node& node = path_[node_of_step[i]];
    const auto wanted_already = [&](Key one) { return has(node.wanted, one); };
    if (std::any_of(initials.begin(), initials.end(), wanted_already)) return;
    for (const Key one : initials) {
        if (has(node.enabled, one)) {
            node.wanted.push_back(one);
            return;
        }
    }
    for (const Key one : node.enabled) {
        if (!has(node.wanted, one)) node.wanted.push_back(one);
    }
}

void DporChooser::find_races() {
    const std::vector<StepRecord>& steps = history_.steps();
    std::vector<std::size_t> node_of_step;
    for (std::size_t i = 0; i < path_.size(); ++i) {
        if (path_[i].is_step) node_of_step.push_back(i);
    }
    const std::size_t count = std::min(steps.size(), node_of_step.size());
    footprints_.clear();
    clocks_.assign(count, {});
    rank_.assign(count, 0);
    std::map<std::uint32_t, std::size_t> last_of;  // a subject's last step
    std::map<std::uint32_t, std::size_t> woken_by;
    // Of a thing, the last step of each subject: those before it are ordered by the last.
    std::unordered_map<std::uint64_t, std::map<std::uint32_t, std::size_t>> users;
    const auto index_of = [](std::uint32_t subject) {
        return subject == kClock ? 0 : subject == kJobs ? 1 : std::size_t{subject} + 1;
    };

    for (std::size_t j = 0; j < count; ++j) {
        const StepRecord& step = steps[j];
        const auto effects = history_.effects_of(step);
        footprints_.push_back(footprint_of(step, effects));
        const std::uint32_t subject = key(step.step.kind, step.step.subject);
        std::vector<std::uint32_t>& clock = clocks_[j];
        const auto comes_after = [&](std::size_t earlier) {
            const auto& other = clocks_[earlier];
            if (clock.size() < other.size()) clock.resize(other.size());
            for (std::size_t k = 0; k < other.size(); ++k)
                clock[k] = std::max(clock[k], other[k]);
        };
        if (const auto last = last_of.find(subject); last != last_of.end()) {
            comes_after(last->second);
            rank_[j] = rank_[last->second];
        }
        ++rank_[j];
        if (const auto by = woken_by.find(subject); by != woken_by.end()) comes_after(by->second);
        // A turn that took signals, too, could have run without the message that it handled.
        const bool took_signals = std::any_of(
            effects.begin(), effects.end(),
            [](const Effect& effect) { return effect.kind == EffectKind::took_signals; });
        for (const Effect& effect : effects) {
            if (effect.kind != EffectKind::handled || effect.of >= j || took_signals) continue;
            comes_after(effect.of);
        }
        // Conflicting steps, the youngest first: what it comes after is no race any more.
        std::vector<std::size_t> rivals;
        for (const std::uint64_t thing : footprints_[j]) {
            for (const auto& [user, last] : users[thing])
                rivals.push_back(last);
        }
        std::sort(rivals.begin(), rivals.end(), std::greater<>());
        rivals.erase(std::unique(rivals.begin(), rivals.end()), rivals.end());
        const std::size_t mine = index_of(subject);
        if (clock.size() <= mine) clock.resize(mine + 1);
        clock[mine] = rank_[j];
        for (const std::size_t i : rivals) {
            const std::uint32_t other = key(steps[i].step.kind, steps[i].step.subject);
            const std::size_t theirs = index_of(other);
            const bool ordered = theirs < clock.size() && clock[theirs] >= rank_[i];
            if (ordered) continue;
            want(i, j, node_of_step);
            comes_after(i);
        }
        for (const std::uint64_t thing : footprints_[j])
            users[thing][subject] = j;
        for (const Effect& effect : effects) {
            if (effect.kind == EffectKind::woke && effect.subject != 0) {
                woken_by[effect.subject] = j;
            }
        }
        last_of[subject] = j;
    }
}

/// A test may end while something could still have run. What that would have used is not known, so
/// it is taken to conflict with every step since it could.
void DporChooser::want_what_was_left() {
    const auto last =
        std::find_if(path_.rbegin(), path_.rend(), [](const Node& node) { return node.is_step; });
    if (last == path_.rend() || over_) return;
    for (const Key left : std::vector<Key>(last->enabled)) {
        if (left == last->taken) continue;
        for (auto node = last; node != path_.rend(); ++node) {
            if (!node->is_step) continue;
            if (!has(node->enabled, left) || node->taken == left) break;
            if (!has(node->wanted, left)) node->wanted.push_back(left);
        }
    }
}

bool DporChooser::next_run() {
    path_.resize(std::min(path_.size(), at_));
    if (!history_.complete()) cut_ = true;
    if (!diverged_) {
        find_races();
        want_what_was_left();
    }
    // Sleepers of a node need what its step has used.
    std::vector<std::size_t> step_of_node(path_.size(), 0);
    std::size_t step = 0;
    for (std::size_t i = 0; i < path_.size(); ++i) {
        step_of_node[i] = step;
        if (path_[i].is_step) ++step;
    }
    at_ = 0;
    had_step_ = false;
    cut_ = cut_ || diverged_;
    diverged_ = false;
    over_ = false;
    while (!path_.empty()) {
        Node& node = path_.back();
        if (!node.is_step) {
            if (++node.answer < node.width) return true;
            path_.pop_back();
            continue;
        }
        if (!has(node.done, node.taken)) {
            node.done.push_back(node.taken);
            const std::size_t of = step_of_node[path_.size() - 1];
            if (of < footprints_.size()) {
                Sleeper& sleeper = node.asleep.emplace_back(node.taken, footprints_[of]);
                add_unnamed(sleeper.footprint, history_.effects_of(history_.steps()[of]));
            }
        }
        for (const Key one : node.wanted) {
            if (has(node.done, one) || sleeps(node, one)) continue;
            node.taken = one;
            return true;
        }
        path_.pop_back();
    }
    return false;
}

}  // namespace troupe::sim::dpor_internal

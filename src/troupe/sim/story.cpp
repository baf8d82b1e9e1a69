#include <troupe/sim/sim.hpp>
#include <troupe/sim/story.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::sim {

namespace {

constexpr std::string_view kRootTask = "block_on";  // as the task component calls it

/// One arrow: a message that was handled, or a turn that went on.
struct Line {
    std::uint64_t step = 0;
    Duration time{};
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    std::string what;
    bool sender_known = false;
};

/// The steps that come before the last one by causes: its actor's own steps, what sent what they
/// handled, what woke them.
std::vector<bool> causes(const History& history, std::size_t count) {
    const auto& steps = history.steps();
    std::vector<bool> wanted(count, false);
    if (count == 0) return wanted;
    // What each step needs directly.
    std::vector<std::vector<std::size_t>> needs(count);
    std::map<std::uint32_t, std::size_t> last_of;
    std::map<std::uint32_t, std::vector<std::size_t>> senders;
    for (std::size_t i = 0; i < count; ++i) {
        const StepRecord& record = steps[i];
        const bool turn = record.step.kind == StepKind::turn;
        const std::uint32_t subject = record.step.subject;
        if (turn && last_of.contains(subject)) needs[i].push_back(last_of[subject]);
        if (turn) last_of[subject] = i;
        bool knows_sender = false;
        for (const Effect& effect : history.effects_of(record)) {
            if (effect.kind == EffectKind::handled && effect.of < i) {
                needs[i].push_back(effect.of);
                knows_sender = true;
            }
        }
        // An answer, or a signal: whatever was sent to it since its last step.
        if (turn && !knows_sender) {
            auto& sent = senders[subject];
            needs[i].insert(needs[i].end(), sent.begin(), sent.end());
        }
        if (turn) senders[subject].clear();
        for (const Effect& effect : history.effects_of(record)) {
            if (effect.kind == EffectKind::urgent || effect.kind == EffectKind::woke) {
                senders[effect.subject].push_back(i);
            }
        }
    }
    std::vector<std::size_t> open{count - 1};
    wanted[count - 1] = true;
    while (!open.empty()) {
        const std::size_t at = open.back();
        open.pop_back();
        for (const std::size_t need : needs[at]) {
            if (wanted[need]) continue;
            wanted[need] = true;
            open.push_back(need);
        }
    }
    return wanted;
}

class Teller {
public:
    Teller(const History& history, const StoryOptions& options) : history_(history) {
        const auto& steps = history.steps();
        std::size_t count = steps.size();
        while (options.last_step != 0 && count != 0 &&
               steps[count - 1].step.number > options.last_step) {
            --count;
        }
        const std::vector<bool> wanted = causes(history, count);
        for (std::size_t i = 0; i < count; ++i) {
            if (!wanted[i]) {
                ++left_out_;
                continue;
            }
            tell(steps[i], i);
        }
        if (lines_.size() > options.lines_max) {
            const std::size_t cut = lines_.size() - options.lines_max;
            lines_.erase(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(cut));
            cut_ = cut;
        }
    }

    const std::vector<Line>& lines() const noexcept { return lines_; }
    std::string omissions() const {
        std::string text;
        if (cut_ != 0) text += "  (" + std::to_string(cut_) + " lines before are left out)\n";
        return text;
    }
    std::size_t left_out() const noexcept { return left_out_; }

    /// "Account#3": the type without its namespaces, and the number of the run.
    std::string short_name(std::uint32_t subject) const {
        if (subject == 0) return "the clock";
        std::string_view type = history_.name_of(subject).type;
        if (type == kRootTask) return "the test";
        int depth = 0;
        std::size_t begin = 0;
        for (std::size_t i = 0; i + 1 < type.size(); ++i) {
            if (type[i] == '<' || type[i] == '(') ++depth;
            if (type[i] == '>' || type[i] == ')') --depth;
            if (depth == 0 && type[i] == ':' && type[i + 1] == ':') begin = i + 2;
        }
        return std::string(type.substr(begin)) + "#" + std::to_string(subject);
    }

private:
    void tell(const StepRecord& record, std::size_t index) {
        const auto effects = history_.effects_of(record);
        Line line{record.step.number,
                  record.step.time,
                  record.step.subject,
                  record.step.subject,
                  "",
                  false};
        bool told = false;
        for (const Effect& effect : effects) {
            if (effect.kind != EffectKind::handled) continue;
            line.what = *effect.method;
            line.sender_known = effect.of < index;
            if (line.sender_known) line.from = history_.steps()[effect.of].step.subject;
            lines_.push_back(line);
            told = true;
        }
        if (told) return;
        if (record.step.kind == StepKind::timer) {
            line.what = "a timer fires";
            for (const Effect& effect : effects) {
                if (effect.kind == EffectKind::urgent) {
                    line.to = effect.subject;
                    line.sender_known = true;
                }
            }
        } else {
            line.what = record.step.kind == StepKind::job ? "a blocking job runs" : "goes on";
        }
        lines_.push_back(line);
    }

    const History& history_;
    std::vector<Line> lines_;
    std::size_t left_out_ = 0;
    std::size_t cut_ = 0;
};

}  // namespace

std::string story(const History& history, const StoryOptions& options) {
    const Teller teller(history, options);
    std::size_t width = 0;
    std::size_t digits = 1;
    for (const Line& line : teller.lines()) {
        width = std::max(width, teller.short_name(line.from).size());
        digits = std::max(digits, std::to_string(line.step).size());
    }
    std::string text = teller.omissions();
    Duration time = Duration(-1);
    for (const Line& line : teller.lines()) {
        if (line.time != time) {
            time = line.time;
            text += "  at " + sim_internal::shown(time) + "\n";
        }
        const std::string number = std::to_string(line.step);
        text += "  " + std::string(digits - number.size(), ' ') + number + "  ";
        std::string from = teller.short_name(line.from);
        from.resize(std::max(width, from.size()), ' ');
        if (line.sender_known && line.from != line.to) {
            text += from + " -> " + teller.short_name(line.to) + ": " + line.what;
        } else {
            text += from + "    " + line.what;
        }
        text += "\n";
    }
    if (teller.left_out() != 0) {
        text += "  (" + std::to_string(teller.left_out()) +
                " steps that could not have led to it are left out)\n";
    }
    return text;
}

std::string mermaid(const History& history, const StoryOptions& options) {
    const Teller teller(history, options);
    const auto id = [](std::uint32_t subject) { return "s" + std::to_string(subject); };
    std::set<std::uint32_t> subjects;
    for (const Line& line : teller.lines()) {
        subjects.insert(line.from);
        subjects.insert(line.to);
    }
    std::string text = "sequenceDiagram\n";
    for (const std::uint32_t subject : subjects)
        text += "  participant " + id(subject) + " as " + teller.short_name(subject) + "\n";
    for (const Line& line : teller.lines()) {
        if (line.sender_known && line.from != line.to) {
            text += "  " + id(line.from) + "->>" + id(line.to) + ": ";
        } else {
            text += "  Note over " + id(line.to) + ": ";
        }
        text += std::to_string(line.step) + " " + line.what + "\n";
    }
    return text;
}

}  // namespace troupe::sim

#include <troupe/base/hash.hpp>
#include <troupe/sim/trace.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

namespace troupe::sim {

namespace {

constexpr std::string_view kVersion = "t1:";
constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint32_t kKindBits = 3;

void put(std::string& bytes, std::uint64_t number) {
    for (; number >= 0x80; number >>= 7)
        bytes += static_cast<char>(number | 0x80);
    bytes += static_cast<char>(number);
}

/// Reads what `put` has written.
class Bytes {
public:
    explicit Bytes(std::string_view bytes) : left_(bytes) {}
    bool done() const noexcept { return left_.empty(); }
    bool failed() const noexcept { return failed_; }
    std::uint64_t number() {
        std::uint64_t number = 0;
        for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(left_.front());
            left_.remove_prefix(1);
            number |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) return number;
        }
        failed_ = true;
        left_ = {};
        return 0;
    }

private:
    std::string_view left_;
    bool failed_ = false;
};

std::string as_letters(std::string_view bytes) {
    std::string text;
    std::uint32_t bits = 0;
    unsigned have = 0;
    for (const char byte : bytes) {
        bits = bits << 8 | static_cast<unsigned char>(byte);
        for (have += 8; have >= 6; have -= 6)
            text += kLetters[bits >> (have - 6) & 63U];
    }
    if (have != 0) text += kLetters[bits << (6 - have) & 63U];
    return text;
}

Result<std::string> from_letters(std::string_view text) {
    std::string bytes;
    std::uint32_t bits = 0;
    unsigned have = 0;
    for (const char letter : text) {
        const std::size_t value = kLetters.find(letter);
        if (value == std::string_view::npos) {
            return error(Errc::failed, std::string("not a trace: it has no letter '") + letter +
                                           "'; was it cut, or changed by the shell?");
        }
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes += static_cast<char>(bits >> have & 0xFFU);
        }
    }
    return bytes;
}

Result<std::string> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return error(Errc::not_found, "cannot read the trace in " + path);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ')
        text.pop_back();
    return text;
}

/// Behind the last choice that counts.
std::size_t length_of(const Trace& trace) noexcept {
    std::size_t length = trace.size();
    while (length != 0 && trace[length - 1].answer == 0)
        --length;
    return length;
}

Result<Trace> decode(std::string_view text) {
    TROUPE_TRY(const std::string decoded, from_letters(text));
    const std::string& bytes = decoded;
    Bytes in(bytes);
    std::vector<std::uint32_t> questions(std::min<std::uint64_t>(in.number(), 4096));
    for (std::uint32_t& question : questions)
        question = static_cast<std::uint32_t>(in.number());
    // A stretch of first alternatives costs a byte or two, so a short text could ask for a lot.
    constexpr std::uint64_t kChoicesMax = std::uint64_t{1} << 26;
    Trace trace;
    while (!in.done()) {
        const std::uint64_t head = in.number();
        if ((head & 1) == 0) {
            if (trace.size() + head / 2 > kChoicesMax) {
                return error(Errc::failed, "not a trace: it claims to be endless");
            }
            trace.resize(trace.size() + head / 2);
            continue;
        }
        Choice choice;
        choice.answer = in.number();
        choice.n = in.number();
        if (head / 2 >= questions.size() || choice.answer >= choice.n) {
            return error(Errc::failed, "not a trace: it answers what was not asked");
        }
        choice.question = questions[head / 2];
        trace.push_back(choice);
    }
    if (in.failed()) return error(Errc::failed, "not a trace: it ends in the middle of a number");
    return trace;
}

}  // namespace

std::uint32_t question_of(ChoiceKind kind, const char* site) noexcept {
    // Sites are constants of the program, asked about again and again.
    struct Known {
        const char* site = nullptr;
        std::uint32_t hash = 0;
    };
    static constinit thread_local std::array<Known, 64> known{};
    Known& entry = known[reinterpret_cast<std::uintptr_t>(site) / 8 % known.size()];
    if (entry.site != site) entry = {site, fnv1a_32(site)};
    return entry.hash << kKindBits | static_cast<std::uint32_t>(kind);
}

ChoiceKind kind_of(const Choice& choice) noexcept {
    return static_cast<ChoiceKind>(choice.question & ((1U << kKindBits) - 1));
}

std::string to_text(const Trace& trace) {
    const std::size_t length = length_of(trace);
    std::vector<std::uint32_t> questions;
    std::string body;
    std::uint64_t firsts = 0;
    for (std::size_t i = 0; i < length; ++i) {
        const Choice& choice = trace[i];
        if (choice.answer == 0) {
            ++firsts;
            continue;
        }
        if (firsts != 0) put(body, std::exchange(firsts, 0) * 2);
        const auto known = std::find(questions.begin(), questions.end(), choice.question);
        const auto index = static_cast<std::uint64_t>(known - questions.begin());
        if (known == questions.end()) questions.push_back(choice.question);
        put(body, index * 2 + 1);
        put(body, choice.answer);
        put(body, choice.n);
    }
    std::string bytes;
    put(bytes, questions.size());
    for (const std::uint32_t question : questions)
        put(bytes, question);
    return std::string(kVersion) + as_letters(bytes + body);
}

Result<Trace> trace_from(std::string_view text) {
    std::string from_file;
    if (text.starts_with('@')) {
        TROUPE_TRY(from_file, read_file(std::string(text.substr(1))));
        text = from_file;
    }
    if (!text.starts_with(kVersion)) {
        return error(Errc::failed, "not a trace: it does not begin with " + std::string(kVersion));
    }
    return decode(text.substr(kVersion.size()));
}

bool same_in_text(const Trace& left, const Trace& right) {
    const std::size_t length = length_of(left);
    if (length != length_of(right)) return false;
    for (std::size_t i = 0; i < length; ++i) {
        if (left[i].answer != right[i].answer) return false;
        if (left[i].answer != 0 &&
            (left[i].n != right[i].n || left[i].question != right[i].question)) {
            return false;
        }
    }
    return true;
}

std::size_t departures(const Trace& trace) noexcept {
    return static_cast<std::size_t>(std::count_if(
        trace.begin(), trace.end(), [](const Choice& choice) { return choice.answer != 0; }));
}

// ---- recording ----------------------------------------------------------------------------------

void Recorder::write(const Choice& choice) noexcept {
    if (buffer_ == nullptr) return;
    if (buffer_->used == buffer_->room.size()) {
        buffer_->overflowed = true;
        return;
    }
    buffer_->room[buffer_->used++] = choice;
}

std::uint64_t Recorder::choose(std::uint64_t n, ChoiceKind kind, const char* site) {
    if (finished_) return 0;
    const std::uint64_t answer = chooser_.choose(n, kind, site);
    write({answer, n, question_of(kind, site), 0});
    return answer;
}

std::size_t Recorder::choose_step(std::span<const Alternative> steps) {
    if (finished_) return 0;
    const std::size_t answer = chooser_.choose_step(steps);
    if (steps.size() > 1) {
        write({answer, steps.size(), question_of(ChoiceKind::next_runnable, kStepSite),
               steps[answer].subject});
    }
    return answer;
}

// ---- replaying ----------------------------------------------------------------------------------

std::uint64_t Replayer::choose(std::uint64_t n, ChoiceKind kind, const char* site) {
    const std::size_t at = at_++;
    if (diverged_at_ == kNowhere && at < trace_.size()) {
        const Choice& choice = trace_[at];
        const bool asked =
            choice.answer == 0 || (choice.n == n && choice.question == question_of(kind, site));
        if (asked) return choice.answer;
        diverged_at_ = at;
    }
    return go_on_ != nullptr ? go_on_->choose(n, kind, site) : 0;
}

std::uint64_t LooseReplayer::choose(std::uint64_t n, ChoiceKind kind, const char* site) {
    if (at_ == trace_.size()) return 0;
    const Choice& choice = trace_[at_];
    if (choice.n != 0 && choice.question != question_of(kind, site)) return 0;
    ++at_;
    return std::min(choice.answer, n - 1);
}

std::size_t LooseReplayer::choose_step(std::span<const Alternative> steps) {
    if (steps.size() == 1 || at_ == trace_.size()) return 0;
    const Choice& choice = trace_[at_];
    if (choice.n != 0 && choice.question != question_of(ChoiceKind::next_runnable, kStepSite)) {
        return 0;
    }
    ++at_;
    if (choice.answer == 0) return 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i].subject == choice.subject && choice.subject != 0) return i;
    }
    return std::min<std::size_t>(choice.answer, steps.size() - 1);
}

}  // namespace troupe::sim

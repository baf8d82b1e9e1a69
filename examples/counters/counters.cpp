#include "counters.hpp"

#include <stdexcept>
#include <utility>

namespace {

constexpr std::size_t kNameBytesMax = 64;

// A name travels in addresses and stands in pages and logs.
bool is_name(const std::string& text) {
    if (text.empty() || text.size() > kNameBytesMax) return false;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) return false;
    }
    return true;
}

}  // namespace

troupe::Result<std::int64_t> Counter::add(std::int64_t amount) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(value_, amount, &sum)) {
        return troupe::error(CounterErrc::out_of_range, "The counter cannot hold so much.");
    }
    value_ = sum;
    return value_;
}

void Counter::crash() {
    throw std::runtime_error("somebody asked this counter to crash");
}

troupe::Result<troupe::Ref<Counter>> Counters::find(std::string name) {
    if (!is_name(name)) {
        return troupe::error(CounterErrc::bad_name,
                             "A counter's name has 1 to 64 bytes and no control characters.");
    }
    auto at = counters_.find(name);
    if (at != counters_.end()) return at->second;

    if (counters_.size() == kCountersMax) {
        return troupe::error(CounterErrc::too_many, "There are 10,000 counters already.");
    }
    auto counter = spawn<Counter>();
    monitor<&Counters::gone>(counter, name);
    counters_.emplace(std::move(name), counter);
    return counter;
}

void Counters::forget(troupe::Ref<Counter> counter) {
    std::erase_if(counters_, [&](const auto& entry) { return entry.second == counter; });
}

std::vector<NamedCounter> Counters::all() const {
    std::vector<NamedCounter> all;
    all.reserve(counters_.size());
    for (const auto& [name, counter] : counters_) {
        all.push_back(NamedCounter{name, counter});
    }
    return all;
}

void Counters::gone(troupe::Down down, std::string name) {
    auto at = counters_.find(name);
    // It may be an earlier one of the same name.
    if (at != counters_.end() && at->second.pid() == down.pid) counters_.erase(at);
}

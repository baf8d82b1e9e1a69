#include <troupe/task/context.hpp>

#include <algorithm>

namespace troupe {

namespace {

auto found(auto& baggage, std::string_view key) {
    return std::ranges::find_if(baggage, [&](const auto& item) { return item.first == key; });
}

}  // namespace

TraceContext current_trace() noexcept {
    const Facts* const facts = Facts::now();
    return facts != nullptr ? facts->trace : TraceContext();
}

std::optional<std::string> baggage(std::string_view key) {
    const Facts* const facts = Facts::now();
    if (facts == nullptr) return std::nullopt;
    const auto item = found(facts->baggage, key);
    return item != facts->baggage.end() ? std::optional(item->second) : std::nullopt;
}

namespace task_internal {

Facts* facts_with(std::string key, std::string value) {
    Facts* const facts = Facts::copy_of_now();
    const auto item = found(facts->baggage, key);
    if (item != facts->baggage.end()) {
        item->second = std::move(value);
    } else {
        facts->baggage.emplace_back(std::move(key), std::move(value));
    }
    return facts;
}

Facts* facts_with(const TraceContext& trace) {
    Facts* const facts = Facts::copy_of_now();
    facts->trace = trace;
    return facts;
}

}  // namespace task_internal

}  // namespace troupe

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

namespace {

std::string shown(const Cell& cell) {
    return "<0." + std::to_string(cell.slot()) + "." + std::to_string(cell.generation()) + "> " +
           std::string(cell.type()->name);
}

/// For whom the cell waits, or null.
const Cell* awaited_by(const Cell& cell) {
    if (cell.awaiting_ == nullptr || cell.awaiting_->edge == nullptr) return nullptr;
    const WaitsFor::Edge edge = cell.awaiting_->edge->get();
    return edge == 0 ? nullptr : WaitsFor::target_of(edge);
}

std::string line_of(const Cell& cell) {
    const Awaiting& at = *cell.awaiting_;
    std::string line = "  " + shown(cell) + " waits in " + at.what;
    if (!at.subject.empty()) line += " " + std::string(at.subject);
    const std::string place = place_of(at.where);
    if (!place.empty()) line += " at " + place;
    if (const Cell* const target = awaited_by(cell)) line += " for " + shown(*target);
    return line + "\n";
}

/// The circle that begins and ends at `first`, if it is one and `first` is its first in the order
/// of addresses' slots, so that each is told once.
std::string circle_at(const Cell& first, std::size_t cells) {
    std::string text = shown(first);
    const Cell* at = awaited_by(first);
    for (std::size_t i = 0; i < cells && at != nullptr; ++i) {
        text += " -> " + shown(*at);
        if (at == &first) return "  a circle: " + text + "\n";
        if (at->slot() < first.slot()) return {};
        at = awaited_by(*at);
    }
    return {};
}

}  // namespace

std::string place_of(const std::source_location& where) {
    const std::string_view path = where.file_name();
    if (path.empty()) return {};
    return std::string(path.substr(path.rfind('/') + 1)) + ":" + std::to_string(where.line());
}

std::string waiting_report(const Engine& engine) {
    std::vector<const Cell*> waiting;
    engine.for_each_cell(
        [](Cell& cell, void* data) {
            if (cell.awaiting_ == nullptr) return;
            static_cast<std::vector<const Cell*>*>(data)->push_back(&cell);
        },
        &waiting);
    std::string report;
    for (const Cell* const cell : waiting)
        report += line_of(*cell);
    for (const Cell* const cell : waiting)
        report += circle_at(*cell, waiting.size());
    return report;
}

}  // namespace troupe

#pragma once

// A service of three machines: a shop's front, which asks two others over HTTP, a price list and a
// stock that keeps what was sold on its disk. The same code serves in production, where `Files` are
// files; here they are a simulated machine's disk.

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace shop {

inline constexpr std::uint16_t kPort = 80;
inline constexpr troupe::Duration kPatience = std::chrono::milliseconds(300);
inline constexpr int kItemsAtFirst = 1'000'000;

/// What the stock keeps its log in.
struct Files {
    std::function<std::string()> read;
    /// Once it has returned, the line is safe.
    std::function<troupe::Result<void>(const std::string& line)> append;
};

/// Each serves until the system is asked to stop.
troupe::Task<void> front(troupe::System system);
troupe::Task<void> prices(troupe::System system);
troupe::Task<void> stock(troupe::System system, Files files);

}  // namespace shop

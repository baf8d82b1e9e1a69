#pragma once

#include <troupe/base/duration.hpp>

#include <chrono>
#include <memory>

namespace troupe {

/// When a hedged ask asks another: learnt from how long answers have taken of late. It is what 95
/// of 100 of them took less than, or as long as, so one call in twenty is made twice, however fast
/// or slow those asked are today.
///
///     HedgePace pace(20ms);    // until something is known; kept by whoever asks, for each method
///     auto price = co_await router.hedge<&Shop::price>(pace, 2, item);
///
/// A handle: copies learn together. Threads: any.
class HedgePace {
public:
    /// So many of the latest answers count, and only those of the last half minute.
    static constexpr int kAnswers = 512;
    static constexpr Duration kOfLate = std::chrono::seconds(30);
    /// Fewer say nothing about one in twenty: until then it is `at_first`.
    static constexpr int kAnswersMin = 20;

    /// Never sooner than `least`: of answers that take no time, every second one would be late.
    explicit HedgePace(Duration at_first, Duration least = std::chrono::milliseconds(1));

    /// After how long another is worth asking.
    Duration after(Duration now) const;
    /// An answer came, whoever gave it, so long after the first was asked. Not to be told of
    /// failures, nor of calls that were given up.
    void answered(Duration now, Duration took) const;

private:
    struct Learnt;
    std::shared_ptr<Learnt> learnt_;
};

namespace route_internal {

/// One call that is hedged at a pace, from its beginning. In an actor or task.
class PacedCall {
public:
    explicit PacedCall(HedgePace pace);
    /// An answer that takes as long as others do is not late.
    Duration after() const { return pace_.after(began_) + Duration(1); }
    void answered() const;

private:
    const HedgePace pace_;
    const Duration began_;
};

}  // namespace route_internal

}  // namespace troupe

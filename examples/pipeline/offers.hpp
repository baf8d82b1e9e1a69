#pragma once

// The actors of this example: four backends, each a pool of replicas, and whoever puts an offer
// together from what they answer in time.

#include <troupe/actor/actor.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/pool.hpp>
#include <troupe/task/task.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

inline constexpr std::array<std::string_view, 4> kBackends = {"price", "stock", "reviews",
                                                              "delivery"};

/// How a backend's replicas behave.
struct Behaviour {
    troupe::Duration usual = std::chrono::milliseconds(10);
    troupe::Duration slow = std::chrono::milliseconds(400);
    unsigned slow_in_a_hundred = 5;
    unsigned failing_in_a_hundred = 0;
};

/// What one backend says about one item.
struct Part {
    std::string text;
    troupe::Pid by;  ///< the replica that was first
};

/// One replica of one backend. It answers after a while, or with an error.
class Replica : public troupe::Actor {
public:
    explicit Replica(std::string backend) : backend_(std::move(backend)) {}

    troupe::Task<troupe::Result<Part>> answer(std::string item, Behaviour behaviour);

    /// Does what a bug would do.
    void crash();

private:
    bool one_in_a_hundred(unsigned times) const;

    std::string backend_;
};

/// How one offer is to be put together.
struct Asked {
    std::string item;
    troupe::Duration deadline = std::chrono::milliseconds(200);
    troupe::Duration hedge_after = std::chrono::milliseconds(30);
    std::string slow;     ///< a backend that is slow for this offer, always; empty: none
    std::string failing;  ///< and one that fails
};

/// One backend's share of an offer.
struct Share {
    std::string backend;
    troupe::Result<Part> part = troupe::error(troupe::Errc::no_reply);
    troupe::Duration took{};
};

struct Offer {
    std::vector<Share> shares;
    troupe::Duration took{};

    std::size_t missing() const;
};

/// How offers have gone.
struct Tally {
    std::uint64_t asked = 0;
    std::uint64_t whole = 0;
    std::uint64_t degraded = 0;
    std::uint64_t empty = 0;
};

/// Knows how the backends are to behave, and what has come of it.
class Desk : public troupe::Actor {
public:
    /// How the backend of that number behaves from now on.
    void behave(std::size_t backend, Behaviour behaviour) { behaviours_[backend] = behaviour; }
    std::array<Behaviour, kBackends.size()> behaviours() const { return behaviours_; }

    void count(std::size_t missing);
    Tally tally() const { return tally_; }

private:
    std::array<Behaviour, kBackends.size()> behaviours_;
    Tally tally_;
};

/// What runs.
struct Kitchen {
    std::vector<troupe::Pool<Replica>> backends;  // as kBackends
    troupe::Ref<Desk> desk;
};

/// Errors:  start_failed, when a replica does not start.
troupe::Task<troupe::Result<Kitchen>> open_kitchen(troupe::System system);
troupe::Task<void> close_kitchen(Kitchen kitchen);

/// Asks all backends at once and gives what has come when the time is over. What is not there has
/// an error that says why.
troupe::Task<troupe::Result<Offer>> make_offer(troupe::System system, Kitchen kitchen, Asked asked);

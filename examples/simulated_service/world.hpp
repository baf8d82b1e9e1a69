#pragma once

// The shop on three simulated machines, and customers on the test's own.

#include <troupe/actor/actor.hpp>
#include <troupe/http/client.hpp>
#include <troupe/sim/node.hpp>
#include <troupe/sim/sim.hpp>

#include "service.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace shop {

struct Machines {
    troupe::sim::Node* front;
    troupe::sim::Node* prices;
    troupe::sim::Node* stock;
};

inline Files files_of(troupe::sim::Node& node) {
    troupe::sim::Disk& disk = node.disk();
    return {[&disk] { return disk.read("sold", 0, std::size_t{1} << 30).value_or(""); },
            [&disk](const std::string& line) -> troupe::Result<void> {
                TROUPE_TRY(disk.append("sold", line));
                return disk.sync("sold");
            }};
}

inline Machines open_shop(troupe::Sim& sim) {
    using troupe::sim::Node;
    return {&sim.node("front", [](Node& node) { return front(node.system()); }),
            &sim.node("prices", [](Node& node) { return prices(node.system()); }),
            &sim.node("stock", [](Node& node) { return stock(node.system(), files_of(node)); })};
}

/// What all customers have seen.
struct Seen {
    std::uint64_t answers = 0;
    std::uint64_t refusals = 0;  // 503, and no answer at all
    std::set<std::string> sold;
};

/// Comes again and again: looks at the offer, buys, with the same order until it is sold.
class Customer : public troupe::Actor {
public:
    Customer(std::string name, troupe::Duration pause, std::shared_ptr<Seen> seen)
        : client_(system(), troupe::http::ClientOptions().timeout(kPatience * 3)),
          name_(std::move(name)),
          pause_(pause),
          seen_(std::move(seen)) {
        after<&Customer::come>(pause_);
    }

private:
    troupe::Task<void> come() {
        auto offer = co_await client_.get("http://front/offer");
        count(offer);
        const std::string order = name_ + "-" + std::to_string(orders_);
        auto bought = co_await client_.post("http://front/buy/" + order, "");
        if (count(bought)) {
            seen_->sold.insert(order);
            ++orders_;
        }
        after<&Customer::come>(pause_);
    }
    bool count(const troupe::Result<troupe::http::ClientResponse>& response) {
        const bool fine = response && response->status == 200;
        ++(fine ? seen_->answers : seen_->refusals);
        return fine;
    }

    troupe::http::Client client_;
    std::string name_;
    troupe::Duration pause_;
    std::shared_ptr<Seen> seen_;  // shared with the test and the others: they go on behind its body
    int orders_ = 0;
};

}  // namespace shop

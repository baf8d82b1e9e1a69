#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/http/events.hpp>
#include <troupe/task/channel.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// Tells everybody who listens what has happened.
class News : public troupe::Actor {
public:
    /// The listener gets the events from now on. One that has missed too much is let go, and comes
    /// again by itself: that is what browsers do.
    void subscribe(troupe::Sender<troupe::http::Event> listener);

    troupe::Task<void> publish(std::string text);

private:
    std::vector<troupe::Sender<troupe::http::Event>> listeners_;
    std::uint64_t number_ = 0;
};

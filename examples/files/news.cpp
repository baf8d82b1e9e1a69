#include "news.hpp"

#include <troupe/task/within.hpp>

#include <utility>

namespace http = troupe::http;

namespace {

troupe::Task<troupe::Result<void>> send(troupe::Sender<http::Event>* listener, http::Event event) {
    co_return co_await listener->send(std::move(event));
}

}  // namespace

void News::subscribe(troupe::Sender<http::Event> listener) {
    listeners_.push_back(std::move(listener));
}

troupe::Task<void> News::publish(std::string text) {
    const std::string id = std::to_string(++number_);
    std::vector<troupe::Sender<http::Event>> still_there;
    for (auto& listener : listeners_) {
        http::Event event(text);
        event.id(id);
        // No time at all: there is room, or this one is too far behind.
        auto sent =
            co_await troupe::within(troupe::Duration::zero(), send, &listener, std::move(event));
        if (sent) still_there.push_back(std::move(listener));
    }
    listeners_ = std::move(still_there);
}

#pragma once

/// For tests that want to see in which order things happened.

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

/// What happened, in order. Written by one cell after the other, read when they have ended.
using Log = std::shared_ptr<std::vector<std::string>>;

inline Log make_log() {
    return std::make_shared<std::vector<std::string>>();
}

/// Says when it is destroyed.
class Mark {
public:
    Mark(Log log, std::string name) : log_(std::move(log)), name_(std::move(name)) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() { log_->push_back("~" + name_); }

private:
    Log log_;
    std::string name_;
};

}  // namespace troupe::actor_internal

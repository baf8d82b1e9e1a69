#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/internal/whereabouts.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/mutex.hpp>

#include <string_view>
#include <utility>

namespace troupe::actor_internal {

std::string where_it_waits(const Cell& cell) {
    const Awaiting* const awaiting = cell.awaiting_;
    if (awaiting == nullptr) return "does not wait";
    std::string_view file = awaiting->where.file_name();
    file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1 is 0
    return "waits in " + std::string(awaiting->what) + " at " + std::string(file) + ":" +
           std::to_string(awaiting->where.line());
}

const MailOps WhereaboutsSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept {
        auto* const signal = static_cast<WhereaboutsSignal*>(node);
        signal->answer(signal, std::string());
    },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<WhereaboutsSignal*>(node);
        signal->answer(signal, where_it_waits(cell));
        return false;
    }};

class Whereabouts {
public:
    void add(Remaining remaining) {
        LockGuard lock(mutex_);
        remaining_.push_back(std::move(remaining));
        ++silent_;
    }
    void answered(std::size_t index, std::string where) {
        LockGuard lock(mutex_);
        remaining_[index].where = std::move(where);
        --silent_;
    }
    bool complete() {
        LockGuard lock(mutex_);
        return silent_ == 0;
    }
    std::vector<Remaining> all() {
        LockGuard lock(mutex_);
        return remaining_;
    }

private:
    Mutex mutex_{LockRank::whereabouts};
    std::vector<Remaining> remaining_ TROUPE_GUARDED_BY(mutex_);
    std::size_t silent_ TROUPE_GUARDED_BY(mutex_) = 0;
};

namespace {

struct Question : WhereaboutsSignal {
    std::shared_ptr<Whereabouts> asker;
    std::size_t index = 0;
};

}  // namespace

std::shared_ptr<Whereabouts> ask_all_where(SystemCore& core) {
    auto whereabouts = std::make_shared<Whereabouts>();
    std::vector<std::pair<Cell*, std::uint32_t>> cells;
    core.for_each_living([&](Cell& cell) {
        const std::uint32_t generation = cell.generation();
        whereabouts->add({pid_of(&cell, generation), std::string(cell.type()->name), {}});
        cells.emplace_back(&cell, generation);
    });
    for (std::size_t i = 0; i < cells.size(); ++i) {
        auto* const question = make_node<Question>();
        question->ops = &WhereaboutsSignal::kOps;
        question->asker = whereabouts;
        question->index = i;
        question->answer = [](WhereaboutsSignal* signal, std::string text) noexcept {
            auto* const answered = static_cast<Question*>(signal);
            answered->asker->answered(answered->index,
                                      text.empty() ? std::string("has ended") : std::move(text));
            free_node(answered);
        };
        post_signal(*cells[i].first, cells[i].second, question);
    }
    return whereabouts;
}

bool all_have_said(Whereabouts& whereabouts) {
    return whereabouts.complete();
}

std::vector<Remaining> said(Whereabouts& whereabouts) {
    return whereabouts.all();
}

}  // namespace troupe::actor_internal

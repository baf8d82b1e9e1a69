#pragma once

/// News that an actor has ended, and who waits for it.
///
/// Whoever wants to hear of an end makes the node that will bring the news and hands it to the
/// other actor, where it stays until that one ends. So an end allocates nothing, cannot fail to be
/// told, and is told past every bound. What has arrived waits in a queue of its own, and goes
/// before all other messages.

#include <troupe/actor/exit.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstdint>
#include <unordered_map>
#include <utility>

namespace troupe::actor_internal {

struct News;

/// The way back of one kind of news. To drop it is to let it go unheard.
struct NewsOps : MailOps {
    /// Makes the message that is handled, and frees the news. The hearer's turn.
    MailNode* (*to_message)(News* news, Cell& hearer) = nullptr;
};

struct News : MailNode {
    Cell* hearer = nullptr;
    std::uint32_t hearer_generation = 0;
    Pid ended;  // who
    ExitReason reason;
    News* next_news = nullptr;

    /// Goes to the hearer. Allocates nothing.
    void tell(const NewsOps& how, const ExitReason& why) noexcept {
        reason = why;
        ops = &how;
        post_signal(*hearer, hearer_generation, this);
    }
    void discard() noexcept { ops->drop(this, Error(Errc::cancelled)); }
    MailNode* to_message(Cell& cell) {
        return static_cast<const NewsOps*>(ops)->to_message(this, cell);
    }
};

/// News that has arrived and waits to be handled, oldest first.
class NewsQueue {
public:
    NewsQueue() = default;
    NewsQueue(const NewsQueue&) = delete;
    NewsQueue& operator=(const NewsQueue&) = delete;
    ~NewsQueue() {
        discard_if([](const News&) { return true; });
    }

    bool empty() const noexcept { return first_ == nullptr; }
    void push(News* news) noexcept {
        news->next_news = nullptr;
        *end_ = news;
        end_ = &news->next_news;
    }
    News* pop() noexcept {
        News* const news = first_;
        first_ = news->next_news;
        if (first_ == nullptr) end_ = &first_;
        return news;
    }
    /// Whoever did not want to hear it any more does not.
    template <class Unwanted>
    void discard_if(Unwanted unwanted) noexcept {
        News** at = &first_;
        while (News* const news = *at) {
            if (unwanted(*news)) {
                *at = news->next_news;
                news->discard();
            } else {
                at = &news->next_news;
            }
        }
        end_ = at;
    }

private:
    News* first_ = nullptr;
    News** end_ = &first_;
};

/// What one monitor hears: travels to the target, stays there, and comes back when it ends.
struct MonitorNews : News {
    std::uint64_t number = 0;       // of the watcher's monitors
    std::uint32_t incarnation = 0;  // that has ended
    MailNode* down = nullptr;       // the message, all but the Down
    void (*set_down)(MailNode* message, Down down) = nullptr;
    MonitorNews* next_monitor = nullptr;  // in the target's list

    static const MailOps kOps;      // on the way there
    static const NewsOps kDownOps;  // on the way back
    void tell_down(const ExitReason& why, std::uint32_t which) noexcept {
        incarnation = which;
        tell(kDownOps, why);
    }
};

/// The watcher wants no news any more, or has ended.
struct DemonitorSignal : MailNode {
    Cell* watcher = nullptr;
    std::uint32_t watcher_generation = 0;
    std::uint64_t number = 0;

    static const MailOps kOps;
};

/// Both sides of an actor's monitors.
struct Monitors {
    /// Who wants to hear of its end.
    MonitorNews* of_it = nullptr;
    std::size_t count_of_it = 0;
    /// Whose end it wants to hear of, by the monitor's number.
    std::unordered_map<std::uint64_t, std::pair<Cell*, std::uint32_t>> by_it;
    std::uint64_t made = 0;
};

// ---- the actor's turn ---------------------------------------------------------------------------

/// Ends all watching by an actor that ends.
void end_watching(Cell& cell) noexcept;
/// Tells all who watch the actor.
void tell_monitors(Cell& cell, const ExitReason& reason) noexcept;

}  // namespace troupe::actor_internal

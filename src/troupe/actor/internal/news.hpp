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

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

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

    /// Goes to the hearer. Allocates nothing.
    void send(const NewsOps& how) noexcept {
        ops = &how;
        post_signal(*hearer, hearer_generation, this);
    }
    /// The news behind it, where it waits: no mailbox uses the link meanwhile.
    News* next_news() const noexcept { return static_cast<News*>(next); }
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
        news->next = nullptr;
        *end_ = news;
        end_ = &news->next;
    }
    News* pop() noexcept {
        auto* const news = static_cast<News*>(first_);
        first_ = std::exchange(news->next, nullptr);
        if (first_ == nullptr) end_ = &first_;
        return news;
    }
    /// Whoever did not want to hear it any more does not.
    template <class Unwanted>
    void discard_if(Unwanted unwanted) noexcept {
        MailNode** at = &first_;
        while (*at != nullptr) {
            auto* const news = static_cast<News*>(*at);
            if (unwanted(*news)) {
                *at = std::exchange(news->next, nullptr);
                news->discard();
            } else {
                at = &news->next;
            }
        }
        end_ = at;
    }

private:
    MailNode* first_ = nullptr;  // all of it is News
    MailNode** end_ = &first_;
};

/// What one monitor hears: travels to the target, stays there, and comes back when it ends.
struct MonitorNews : News {
    std::uint32_t number_low = 0;  // of the watcher's WatchBook; the other half is MailNode::tag
    MailNode* down = nullptr;      // the message, all but the Down
    Down& (*down_in)(MailNode* message) noexcept = nullptr;  // finds it there

    static const MailOps kOps;      // on the way there
    static const NewsOps kDownOps;  // on the way back
    void set_number(std::uint64_t number) noexcept {
        number_low = static_cast<std::uint32_t>(number);
        tag = static_cast<std::uint32_t>(number >> 32);
    }
    std::uint64_t number() const noexcept { return std::uint64_t{tag} << 32 | number_low; }
    /// The one before it, with its target.
    MonitorNews* next_monitor() const noexcept { return static_cast<MonitorNews*>(next); }
    void tell_down(const ExitReason& reason, std::uint32_t incarnation) noexcept;
};
static_assert(sizeof(MonitorNews) <= 64);

/// The watcher wants no news any more, or has ended.
struct DemonitorSignal : MailNode {
    Cell* watcher = nullptr;
    std::uint32_t watcher_generation = 0;
    std::uint64_t number = 0;

    static const MailOps kOps;
};

/// Whose end an actor wants to hear of. A monitor's number is a place here and the count of its
/// uses, over all incarnations, so that old news is never taken for that of a new monitor.
class WatchBook {
public:
    struct Target {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;
    };
    /// Gives the monitor's number, which is never 0.
    std::uint64_t add(Target target);
    /// The target, once: afterwards nothing is watched under that number.
    std::optional<Target> take(std::uint64_t number) noexcept;
    /// `f(number, Target)` of all, which are none afterwards.
    template <class F>
    void take_all(F f) noexcept;
    std::size_t size() const noexcept { return size_; }

private:
    struct Place {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;  // of one that is free: the next free place
        std::uint32_t use = 0;         // odd while it is in use
    };
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

    static std::uint64_t number(std::uint32_t place, std::uint32_t use) noexcept {
        return std::uint64_t{use} << 32 | place;
    }
    void free(std::uint32_t place) noexcept;

    std::vector<Place> places_;
    std::uint32_t first_free_ = kNone;
    std::uint32_t size_ = 0;
};

// ---- the actor's turn ---------------------------------------------------------------------------

/// Ends all watching by an actor that ends.
void end_watching(Cell& cell) noexcept;
/// Tells all who watch the actor.
void tell_monitors(Cell& cell, const ExitReason& reason) noexcept;

template <class F>
void WatchBook::take_all(F f) noexcept {
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        const Place place = places_[i];
        if ((place.use & 1) == 0) continue;
        free(i);
        f(number(i, place.use), Target{place.cell, place.generation});
    }
}

}  // namespace troupe::actor_internal

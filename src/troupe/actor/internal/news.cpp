#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/news.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe::actor_internal {

void hear(Cell& cell, News* news) {
    ties_of(cell).news.push(news);
    cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kHasNews);
}

MailNode* pop_news(Cell& cell) {
    Ties& ties = ties_of(cell);
    News* const news = ties.news.pop();
    if (ties.news.empty()) cell.flags_ = static_cast<std::uint8_t>(cell.flags_ & ~kHasNews);
    return news->to_message(cell);
}

// ---- whom one watches ---------------------------------------------------------------------------

std::uint64_t WatchBook::add(Target target) {
    std::uint32_t at = first_free_;
    if (at == kNone) {
        at = static_cast<std::uint32_t>(places_.size());
        places_.emplace_back();
    } else {
        first_free_ = places_[at].generation;
    }
    Place& place = places_[at];
    place.cell = target.cell;
    place.generation = target.generation;
    ++place.use;
    ++size_;
    return number(at, place.use);
}

std::optional<WatchBook::Target> WatchBook::take(std::uint64_t number) noexcept {
    const auto at = static_cast<std::uint32_t>(number);
    if (at >= places_.size() || places_[at].use != number >> 32 || (number >> 32 & 1) == 0) {
        return std::nullopt;
    }
    const Target target{places_[at].cell, places_[at].generation};
    free(at);
    return target;
}

void WatchBook::free(std::uint32_t at) noexcept {
    Place& place = places_[at];
    --size_;
    // After the last use there is none, rather than a number that somebody still knows.
    if (++place.use == 0xFFFF'FFFE) return;
    place.generation = std::exchange(first_free_, at);
}

// ---- what travels -------------------------------------------------------------------------------

namespace {

void free_monitor(MonitorNews* monitor) noexcept {
    if (monitor->down != nullptr) monitor->down->ops->drop(monitor->down, Error(Errc::cancelled));
    free_node(monitor);
}

MailNode* to_down(News* news, Cell& hearer) {
    auto* const monitor = static_cast<MonitorNews*>(news);
    MailNode* const message = std::exchange(monitor->down, nullptr);
    message->generation = hearer.generation();
    free_monitor(monitor);
    return message;
}

void post_demonitor(const Cell& watcher, WatchBook::Target target, std::uint64_t number) noexcept {
    if (target.cell == nullptr) return;
    auto* const signal = make_node<DemonitorSignal>();
    signal->ops = &DemonitorSignal::kOps;
    signal->watcher = const_cast<Cell*>(&watcher);
    signal->watcher_generation = watcher.generation();
    signal->number = number;
    post_signal(*target.cell, target.generation, signal);
}

}  // namespace

void MonitorNews::tell_down(const ExitReason& reason, std::uint32_t incarnation) noexcept {
    Down& told = down_in(down);
    told.reason = reason;
    told.incarnation = incarnation;
    send(kDownOps);
}

const MailOps MonitorNews::kOps{MailKind::signal,
                                [](MailNode* node, const Error&) noexcept {
                                    static_cast<MonitorNews*>(node)->tell_down(
                                        ExitReason(ExitReason::Kind::noproc), 0);
                                },
                                [](MailNode* node, Cell& cell) {
                                    auto* const monitor = static_cast<MonitorNews*>(node);
                                    Extension& extension = extension_of(cell);
                                    monitor->next = std::exchange(extension.monitors, monitor);
                                    ++extension.monitor_count;
                                    return false;
                                }};

const NewsOps MonitorNews::kDownOps{
    {MailKind::signal,
     [](MailNode* node, const Error&) noexcept { free_monitor(static_cast<MonitorNews*>(node)); },
     [](MailNode* node, Cell& cell) {
         auto* const news = static_cast<MonitorNews*>(node);
         Ties* const ties = existing_ties(cell);
         if (ties != nullptr && ties->watched.take(news->number())) {
             hear(cell, news);
         } else {
             free_monitor(news);  // cancelled meanwhile
         }
         return false;
     }},
    &to_down};

const MailOps DemonitorSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<DemonitorSignal*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<DemonitorSignal*>(node);
        Extension& extension = extension_of(cell);
        MonitorNews* before = nullptr;
        for (MonitorNews* monitor = extension.monitors; monitor != nullptr;
             before = std::exchange(monitor, monitor->next_monitor())) {
            if (monitor->number() != signal->number || monitor->hearer != signal->watcher ||
                monitor->hearer_generation != signal->watcher_generation) {
                continue;
            }
            if (before != nullptr) {
                before->next = monitor->next;
            } else {
                extension.monitors = monitor->next_monitor();
            }
            --extension.monitor_count;
            free_monitor(monitor);
            break;
        }
        free_node(signal);
        return false;
    }};

void tell_monitors(Cell& cell, const ExitReason& reason) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    const std::uint32_t incarnation = incarnation_of(cell);
    while (MonitorNews* const monitor = extension->monitors) {
        extension->monitors = monitor->next_monitor();
        --extension->monitor_count;
        monitor->tell_down(reason, incarnation);
    }
}

// ---- what a watcher does ------------------------------------------------------------------------

void end_watching(Cell& cell) noexcept {
    Ties* const ties = existing_ties(cell);
    if (ties == nullptr) return;
    ties->watched.take_all([&cell](std::uint64_t number, WatchBook::Target target) {
        post_demonitor(cell, target, number);
    });
    discard_news(cell, [](const News&) { return true; });
}

std::uint64_t post_monitor(Cell& watcher, Cell* target, std::uint32_t generation, MailNode* down,
                           DownIn down_in) {
    auto* const monitor = make_node<MonitorNews>();
    monitor->ops = &MonitorNews::kOps;
    monitor->hearer = &watcher;
    monitor->hearer_generation = watcher.generation();
    monitor->down = down;
    monitor->down_in = down_in;
    down_in(down).pid = pid_of(target, generation);
    const std::uint64_t number = ties_of(watcher).watched.add({target, generation});
    monitor->set_number(number);
    if (target == nullptr) {
        monitor->tell_down(ExitReason(ExitReason::Kind::noproc), 0);
    } else {
        post_signal(*target, generation, monitor);
    }
    return number;
}

void cancel_monitor(Cell& watcher, std::uint32_t watcher_generation,
                    std::uint64_t number) noexcept {
    if (watcher.generation() != watcher_generation) return;
    TROUPE_ASSERT(current_cell() == &watcher,
                  "a Monitor is cancelled by the actor that made it, in its own turn");
    Ties* const ties = existing_ties(watcher);
    if (ties == nullptr) return;
    if (const auto target = ties->watched.take(number)) {
        return post_demonitor(watcher, *target, number);
    }
    // The news may have arrived and not been handled.
    discard_news(watcher, [number](const News& news) {
        return news.ops == &MonitorNews::kDownOps &&
               static_cast<const MonitorNews&>(news).number() == number;
    });
}

}  // namespace troupe::actor_internal

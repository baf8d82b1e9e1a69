#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/news.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe::actor_internal {

void hear(Cell& cell, News* news) {
    extension_of(cell).news.push(news);
    cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kHasNews);
}

MailNode* pop_news(Cell& cell) {
    Extension& extension = extension_of(cell);
    News* const news = extension.news.pop();
    if (extension.news.empty()) cell.flags_ = static_cast<std::uint8_t>(cell.flags_ & ~kHasNews);
    return news->to_message(cell);
}

namespace {

void free_monitor(MonitorNews* monitor) noexcept {
    if (monitor->down != nullptr) monitor->down->ops->drop(monitor->down, Error(Errc::cancelled));
    free_node(monitor);
}

MailNode* to_down(News* news, Cell& hearer) {
    auto* const monitor = static_cast<MonitorNews*>(news);
    MailNode* const message = std::exchange(monitor->down, nullptr);
    monitor->set_down(message,
                      Down{monitor->ended, std::move(monitor->reason), monitor->incarnation});
    message->generation = hearer.generation();
    free_monitor(monitor);
    return message;
}

void post_demonitor(const Cell& watcher, Cell* target, std::uint32_t generation,
                    std::uint64_t number) noexcept {
    if (target == nullptr) return;
    auto* const signal = make_node<DemonitorSignal>();
    signal->ops = &DemonitorSignal::kOps;
    signal->watcher = const_cast<Cell*>(&watcher);
    signal->watcher_generation = watcher.generation();
    signal->number = number;
    post_signal(*target, generation, signal);
}

}  // namespace

const MailOps MonitorNews::kOps{MailKind::signal,
                                [](MailNode* node, const Error&) noexcept {
                                    static_cast<MonitorNews*>(node)->tell_down(
                                        ExitReason(ExitReason::Kind::noproc), 0);
                                },
                                [](MailNode* node, Cell& cell) {
                                    auto* const monitor = static_cast<MonitorNews*>(node);
                                    Monitors& monitors = extension_of(cell).monitors;
                                    monitor->next_monitor = monitors.of_it;
                                    monitors.of_it = monitor;
                                    ++monitors.count_of_it;
                                    return false;
                                }};

const NewsOps MonitorNews::kDownOps{
    {MailKind::signal,
     [](MailNode* node, const Error&) noexcept { free_monitor(static_cast<MonitorNews*>(node)); },
     [](MailNode* node, Cell& cell) {
         auto* const news = static_cast<MonitorNews*>(node);
         if (extension_of(cell).monitors.by_it.erase(news->number) != 0) {
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
        for (MonitorNews** at = &extension_of(cell).monitors.of_it; *at != nullptr;
             at = &(*at)->next_monitor) {
            MonitorNews* const monitor = *at;
            if (monitor->number != signal->number || monitor->hearer != signal->watcher ||
                monitor->hearer_generation != signal->watcher_generation) {
                continue;
            }
            *at = monitor->next_monitor;
            --extension_of(cell).monitors.count_of_it;
            free_monitor(monitor);
            break;
        }
        free_node(signal);
        return false;
    }};

void tell_monitors(Cell& cell, const ExitReason& reason) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    while (MonitorNews* const monitor = extension->monitors.of_it) {
        extension->monitors.of_it = monitor->next_monitor;
        --extension->monitors.count_of_it;
        monitor->tell_down(reason, incarnation_of(cell));
    }
}

void end_watching(Cell& cell) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    for (const auto& [number, target] : extension->monitors.by_it) {
        post_demonitor(cell, target.first, target.second, number);
    }
    extension->monitors.by_it.clear();
    discard_news(cell, [](const News&) { return true; });
}

std::uint64_t post_monitor(Cell& watcher, Cell* target, std::uint32_t generation, MailNode* down,
                           void (*set_down)(MailNode* message, Down down)) {
    Monitors& monitors = extension_of(watcher).monitors;
    auto* const monitor = make_node<MonitorNews>();
    monitor->ops = &MonitorNews::kOps;
    monitor->hearer = &watcher;
    monitor->hearer_generation = watcher.generation();
    monitor->number = ++monitors.made;
    monitor->ended = pid_of(target, generation);
    monitor->down = down;
    monitor->set_down = set_down;
    const std::uint64_t number = monitor->number;
    monitors.by_it[number] = {target, generation};
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
    auto& watched = extension_of(watcher).monitors.by_it;
    const auto at = watched.find(number);
    if (at != watched.end()) {
        const auto [target, generation] = at->second;
        watched.erase(at);
        post_demonitor(watcher, target, generation, number);
        return;
    }
    // The news may have arrived and not been handled.
    discard_news(watcher, [number](const News& news) {
        return news.ops == &MonitorNews::kDownOps &&
               static_cast<const MonitorNews&>(news).number == number;
    });
}

}  // namespace troupe::actor_internal

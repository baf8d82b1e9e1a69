#include <troupe/actor/spawn.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>
#include <troupe/route/keyed.hpp>
#include <troupe/task/task_group.hpp>

#include <string>

namespace troupe {

namespace route_internal {

using task_internal::Waiter;

// ---- turns --------------------------------------------------------------------------------------

Result<KeyedLines::Place> KeyedLines::enter(const std::shared_ptr<KeyedLines>& lines, Key key) {
    LockGuard lock(lines->mutex_);
    if (lines->closed_) return error(Errc::closed, "the owner of this keyed executor has ended");
    if (lines->inside_ == lines->capacity_) {
        return error(RouteErrc::no_room, "as many jobs run or wait their turn as may: " +
                                             std::to_string(lines->capacity_));
    }
    ++lines->inside_;
    Lane& lane = lines->lanes_[key.hash()];
    lane.key = key.hash();
    lane.line.emplace_back();
    const EntryAt entry = std::prev(lane.line.end());
    lines->make_ready(lane);
    // It may get its turn at once, and is the only one who may: the others wait for a free place.
    Waiter* const woken = lines->give_turns();
    TROUPE_ASSERT(woken == nullptr, "a place was free while somebody waited for one");
    return Place(lines, lane, entry);
}

void KeyedLines::make_ready(Lane& lane) {
    if (lane.busy || lane.ready) return;
    lane.ready = true;
    ready_.push_back(&lane);
}

/// As many as there are free places for. Gives those who are to be woken.
Waiter* KeyedLines::give_turns() {
    Waiter* first = nullptr;
    Waiter* last = nullptr;
    while (free_ > 0 && !ready_.empty()) {
        Lane& lane = *ready_.front();
        ready_.pop_front();
        lane.ready = false;
        if (lane.line.empty()) {  // all have left meanwhile
            lanes_.erase(lane.key);
            continue;
        }
        lane.busy = true;
        --free_;
        lane.line.front().granted = true;
        Waiter* const served = lane.line.front().waiter.serve();
        if (served == nullptr) continue;
        (last == nullptr ? first : last->after) = served;
        last = served;
    }
    return first;
}

void KeyedLines::leave(Lane& lane, EntryAt entry) {
    Waiter* woken = nullptr;
    Waiter* drained = nullptr;
    {
        LockGuard lock(mutex_);
        if (entry->granted) {
            lane.busy = false;
            ++free_;
        }
        lane.line.erase(entry);
        ++counts_.ended;
        if (!lane.line.empty()) {
            make_ready(lane);
        } else if (!lane.ready) {
            lanes_.erase(lane.key);
        }
        woken = give_turns();
        if (--inside_ == 0) drained = drainers_.serve_all();
    }
    task_internal::wake(woken);
    task_internal::wake(drained);
}

bool KeyedLines::Turn::await_ready() {
    LockGuard lock(lines_.mutex_);
    return entry_.granted || lines_.closed_;
}

bool KeyedLines::Turn::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    LockGuard lock(lines_.mutex_);
    if (entry_.granted || lines_.closed_) {
        call_off();
        return false;
    }
    entry_.waiter.push(waiter());
    return true;
}

Result<void> KeyedLines::Turn::await_resume() {
    Result<void> waited = leave_with_result(lines_.mutex_, entry_.waiter);
    if (!waited) return waited;
    LockGuard lock(lines_.mutex_);
    if (entry_.granted) return {};
    return error(Errc::closed, "the owner of this keyed executor has ended", record().where);
}

void KeyedLines::close() {
    Waiter* first = nullptr;
    {
        LockGuard lock(mutex_);
        closed_ = true;
        for (auto& [key, lane] : lanes_) {
            for (Entry& entry : lane.line) {
                if (Waiter* const served = entry.waiter.serve()) {
                    served->after = std::exchange(first, served);
                }
            }
        }
    }
    task_internal::wake(first);
}

bool KeyedLines::Draining::await_ready() {
    LockGuard lock(lines_->mutex_);
    return lines_->inside_ == 0;
}

bool KeyedLines::Draining::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    LockGuard lock(lines_->mutex_);
    if (lines_->inside_ == 0) {
        call_off();
        return false;
    }
    lines_->drainers_.push(waiter());
    return true;
}

KeyedInfo KeyedLines::info() const {
    LockGuard lock(mutex_);
    KeyedInfo info = counts_;
    for (const auto& [key, lane] : lanes_) {
        info.keys += lane.line.empty() ? 0 : 1;
        info.running += lane.busy ? 1 : 0;
    }
    info.waiting = inside_ - info.running;
    return info;
}

// ---- jobs that nobody waits for -----------------------------------------------------------------

void KeyedLines::job_failed(const Error& why) {
    std::shared_ptr<UniqueFunction<void(const Error&)>> hears;
    {
        LockGuard lock(mutex_);
        ++counts_.failed;
        hears = on_failure_;
    }
    log_warn("a job of a keyed executor has failed", {{"because", why.message()}});
    if (hears != nullptr) (*hears)(why);
}

void KeyedLines::on_failure(UniqueFunction<void(const Error&)> hears) {
    auto shared = std::make_shared<UniqueFunction<void(const Error&)>>(std::move(hears));
    LockGuard lock(mutex_);
    on_failure_ = std::move(shared);
}

void KeyedLines::kept_by(const Ref<JobKeeper>& keeper) {
    LockGuard lock(mutex_);
    keeper_ = keeper;
}
Ref<JobKeeper> KeyedLines::keeper() const {
    LockGuard lock(mutex_);
    return keeper_;
}

/// The name that its errors begin with.
struct SubmittedJob {
    KeyedJob job;
    Task<Result<void>> operator()() { return job(); }
};

namespace {

/// Waits for one turn, does one job, and ends.
class JobRunner : public Actor {
public:
    explicit JobRunner(std::shared_ptr<KeyedLines> lines) : lines_(std::move(lines)) {}

    Task<> run(KeyedLines::Place place, KeyedJob job) {
        const Result<void> turn = co_await KeyedLines::turn(place);
        const Result<void> done = co_await run_if(turn, std::move(job));
        // Whose turn did not come, as the owner has ended, has not failed.
        if (turn && !done) lines_->job_failed(done.error());
        self(this).stop();
    }

private:
    static Task<Result<void>> run_if(Result<void> turn, KeyedJob job) {
        if (!turn) co_return turn;
        // What a child of a group throws is its error, and ends nobody else.
        auto group = task_group(all_successful());
        group.add(SubmittedJob{std::move(job)});
        co_return co_await group.run();
    }

    // Shared with the handles.
    const std::shared_ptr<KeyedLines> lines_;
};

}  // namespace

/// Lives as long as the executor's owner; those who do jobs are its children.
class JobKeeper : public Actor {
public:
    explicit JobKeeper(std::shared_ptr<KeyedLines> lines) : lines_(std::move(lines)) {
        lines_->kept_by(self(this));
    }
    ~JobKeeper() override { lines_->close(); }

    void start(KeyedLines::Place place, KeyedJob job) {
        spawn<JobRunner>(lines_).tell<&JobRunner::run>(std::move(place), std::move(job));
    }

private:
    // Shared with the handles.
    const std::shared_ptr<KeyedLines> lines_;
};

std::shared_ptr<KeyedLines> make_keyed_lines(Engine& engine, Cell* owner,
                                             const KeyedOptions::Settings& settings) {
    TROUPE_ASSERT(settings.parallel > 0 && settings.capacity > 0,
                  "a keyed executor runs one job at least, and has room for it");
    auto lines = std::make_shared<KeyedLines>(settings);
    // Its mail is bounded by the room for jobs.
    const Ref<JobKeeper> keeper =
        actor_internal::spawn<JobKeeper>(engine, owner, options().mailbox(unbounded()), lines);
    if (keeper == Ref<JobKeeper>()) lines->close();  // nobody is spawned any more
    return lines;
}

SendStatus submit(const std::shared_ptr<KeyedLines>& lines, Key key, KeyedJob job) {
    Result<KeyedLines::Place> place = KeyedLines::enter(lines, key);
    if (!place) return place.error() == Errc::closed ? SendStatus::gone : SendStatus::full;
    return lines->keeper().tell<&JobKeeper::start>(std::move(*place), std::move(job));
}

}  // namespace route_internal

KeyedExecutor::KeyedExecutor(const System& system, const KeyedOptions& options)
    : lines_(route_internal::make_keyed_lines(system.engine(), nullptr, options.settings())) {}

KeyedExecutor::KeyedExecutor(const Actor& owner, const KeyedOptions& options) {
    Cell* const cell = actor_internal::cell_of(owner);
    TROUPE_ASSERT(cell != nullptr, "the owner of a keyed executor is an actor that runs");
    lines_ = route_internal::make_keyed_lines(cell->engine(), cell, options.settings());
}

}  // namespace troupe

#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/io/conduit.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/internal/wake.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/shared_use.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>

namespace troupe::io_internal {

namespace {

/// Bytes on their way from one end to the other.
class Bytes {
public:
    std::size_t size() const noexcept { return text_.size() - at_; }
    bool empty() const noexcept { return size() == 0; }
    void append(std::string_view bytes) { text_.append(bytes); }
    void take(std::span<char> room) noexcept {
        std::memcpy(room.data(), text_.data() + at_, room.size());
        at_ += room.size();
        if (empty()) {
            // A large buffer that has emptied is given back.
            constexpr std::size_t kKept = 4096;
            at_ = 0;
            text_.clear();
            if (text_.capacity() > kKept) text_ = std::string();
        } else if (at_ >= size()) {
            // Less is moved than was taken.
            text_.erase(0, at_);
            at_ = 0;
        }
    }

private:
    std::string text_;
    std::size_t at_ = 0;
};

}  // namespace

/// One who waits, by the number of his await; or, with an observer, by that.
struct ConduitWaiter {
    Cell* cell = nullptr;  // null: nobody
    std::uint32_t generation = 0;
    std::uint32_t number = 0;
    bool observes = false;
};

struct ConduitWake : MailNode {
    std::shared_ptr<ConduitState> conduit;  // whose observer is told; null: an operation waits
};

class JunctionState final : public Waitable {
public:
    Mutex& mutex() noexcept TROUPE_RETURN_CAPABILITY(mutex_) {
        note_shared_use(this);
        return mutex_;
    }

    /// What the operation that waits is after besides news.
    void wait_for_stream(StreamCore* core) noexcept { core_ = core; }
    void wait(Cell& cell, Operation& operation) override;

    Duration deadline() const override { return core_ ? core_->deadline() : Duration::max(); }
    std::string overdue() const override { return core_ ? core_->overdue() : std::string(); }

    bool has_news() {
        LockGuard lock(mutex());
        return !news_.empty();
    }
    /// Gives whoever is to be woken for it, without the lock.
    ConduitWaiter tell(ConduitState& conduit) TROUPE_REQUIRES(mutex_);
    void take_news(std::vector<std::uint64_t>& numbers);
    /// Nobody asks for news any more.
    void end();

private:
    friend class ConduitState;

    Mutex mutex_{LockRank::conduits};
    // Held until taken: the near end may be gone by then, but not what it had to say.
    std::vector<std::shared_ptr<ConduitState>> news_ TROUPE_GUARDED_BY(mutex_);
    ConduitWaiter waiter_ TROUPE_GUARDED_BY(mutex_);
    bool ended_ TROUPE_GUARDED_BY(mutex_) = false;
    StreamCore* core_ = nullptr;  // the actor's turn only
};

/// What the two ends of one stream have in common, under the junction's lock.
class ConduitState final : public std::enable_shared_from_this<ConduitState> {
public:
    ConduitState(std::shared_ptr<JunctionState> junction, std::uint64_t the_number,
                 std::size_t bytes_max, Endpoint the_local, Endpoint the_peer)
        : number(the_number),
          local(std::move(the_local)),
          peer(std::move(the_peer)),
          junction_(std::move(junction)),
          bytes_max_(bytes_max) {}

    // The far end.
    void give(std::string_view bytes);
    void end_input(std::optional<Error> why);
    std::size_t take_read();
    std::size_t written();
    void take(std::span<char> room);
    bool ended();
    bool closed();
    unsigned take_rings();

    // The near end.
    bool read(std::span<char> buffer, Result<std::size_t>& result);
    Result<std::size_t> write(std::string_view data);
    Result<void> shutdown_write();
    void wait(Cell& cell, Direction direction, std::uint32_t await_number, Observer* observer);
    void close() noexcept;
    void ring(unsigned bits);
    bool tell_observer(Cell& cell);

    const std::uint64_t number;
    const Endpoint local;
    const Endpoint peer;
    bool told = false;  // among the junction's news; under its lock

private:
    Mutex& mutex() TROUPE_RETURN_CAPABILITY(junction_->mutex_) { return junction_->mutex(); }
    /// An end that was read is no news; that the connection has gone meanwhile is.
    bool has_news_to_read() const {
        return !input_.empty() || input_error_ || (input_ended_ && !end_read_);
    }
    bool can_write() const {
        return input_error_ || output_ended_ || output_.size() <= bytes_max_ / 2;
    }
    ConduitWaiter waiter_if_ready();
    void wake(const ConduitWaiter& waiter);
    template <class Change>
    void change_near(Change change);
    template <class Change>
    void change_far(Change change);

    const std::shared_ptr<JunctionState> junction_;  // shared as Junction says
    const std::size_t bytes_max_;

    Bytes input_;   // given, and not read yet
    Bytes output_;  // written, and not taken yet
    std::optional<Error> input_error_;
    bool input_ended_ = false;
    bool end_read_ = false;  // by the near end
    bool output_ended_ = false;
    bool closed_ = false;
    std::size_t read_ = 0;  // and not told yet
    unsigned rings_ = 0;
    ConduitWaiter waiter_;  // at the near end
    Direction waits_for_ = Direction::read;
    Observer* observer_ = nullptr;
};

namespace {

void free_wake(MailNode* node) noexcept {
    auto* const wake = static_cast<ConduitWake*>(node);
    wake->~ConduitWake();
    free_block(wake, sizeof(ConduitWake));
}

bool wake_arrives(MailNode* node, Cell& cell) {
    const std::uint32_t number = node->tag;
    const std::shared_ptr<ConduitState> conduit =
        std::move(static_cast<ConduitWake*>(node)->conduit);
    free_wake(node);
    return conduit != nullptr ? conduit->tell_observer(cell) : try_operation_again(cell, number);
}

const MailOps kWakeOps{MailKind::signal,
                       [](MailNode* node, const Error&) noexcept { free_wake(node); },
                       &wake_arrives};

void post_wake(const ConduitWaiter& waiter, std::shared_ptr<ConduitState> conduit) {
    if (waiter.cell == nullptr) return;
    auto* const wake = ::new (allocate_block(sizeof(ConduitWake))) ConduitWake;
    wake->ops = &kWakeOps;
    wake->tag = waiter.number;
    wake->conduit = std::move(conduit);
    post_signal(*waiter.cell, waiter.generation, wake);
}

}  // namespace

// ---- the junction -------------------------------------------------------------------------------

void JunctionState::wait(Cell& cell, Operation& operation) {
    if (core_ != nullptr) core_->wait_for(cell, operation.direction(), operation.number);
    const ConduitWaiter here{&cell, cell.generation(), operation.number, false};
    {
        LockGuard lock(mutex());
        if (news_.empty()) {
            waiter_ = here;
            return;
        }
    }
    post_wake(here, nullptr);  // they came between the look and the wait
}

ConduitWaiter JunctionState::tell(ConduitState& conduit) {
    if (ended_ || std::exchange(conduit.told, true)) return {};
    news_.push_back(conduit.shared_from_this());
    return std::exchange(waiter_, ConduitWaiter());
}

void JunctionState::take_news(std::vector<std::uint64_t>& numbers) {
    std::vector<std::shared_ptr<ConduitState>> taken;  // freed without the lock
    LockGuard lock(mutex());
    taken.swap(news_);
    for (const std::shared_ptr<ConduitState>& one : taken) {
        one->told = false;
        numbers.push_back(one->number);
    }
}

void JunctionState::end() {
    std::vector<std::shared_ptr<ConduitState>> dropped;  // freed without the lock
    LockGuard lock(mutex());
    ended_ = true;
    dropped.swap(news_);
}

// ---- one conduit --------------------------------------------------------------------------------

/// Something at the far end has changed, of which the near end may want to hear.
template <class Change>
void ConduitState::change_far(Change change) {
    ConduitWaiter waiter;
    {
        LockGuard lock(mutex());
        change();
        waiter = waiter_if_ready();
    }
    wake(waiter);
}

/// The other way round.
template <class Change>
void ConduitState::change_near(Change change) {
    ConduitWaiter waiter;
    {
        LockGuard lock(mutex());
        if (!change()) return;
        waiter = junction_->tell(*this);
    }
    post_wake(waiter, nullptr);
}

ConduitWaiter ConduitState::waiter_if_ready() {
    const bool reads = waits_for_ != Direction::write && has_news_to_read();
    const bool writes = waits_for_ != Direction::read && can_write();
    if (!reads && !writes) return {};
    return std::exchange(waiter_, ConduitWaiter());
}

void ConduitState::wake(const ConduitWaiter& waiter) {
    post_wake(waiter, waiter.observes ? shared_from_this() : nullptr);
}

void ConduitState::give(std::string_view bytes) {
    change_far([&] { input_.append(bytes); });
}

void ConduitState::end_input(std::optional<Error> why) {
    change_far([&] {
        if (input_ended_ && (input_error_ || !why)) return;
        input_ended_ = true;
        input_error_ = std::move(why);
    });
}

std::size_t ConduitState::take_read() {
    LockGuard lock(mutex());
    return std::exchange(read_, 0);
}

std::size_t ConduitState::written() {
    LockGuard lock(mutex());
    return output_.size();
}

void ConduitState::take(std::span<char> room) {
    if (room.empty()) return;
    change_far([&] { output_.take(room); });
}

bool ConduitState::ended() {
    LockGuard lock(mutex());
    return output_ended_;
}

bool ConduitState::closed() {
    LockGuard lock(mutex());
    return closed_;
}

unsigned ConduitState::take_rings() {
    LockGuard lock(mutex());
    return std::exchange(rings_, 0);
}

bool ConduitState::read(std::span<char> buffer, Result<std::size_t>& result) {
    bool there = false;
    change_near([&] {
        there = !input_.empty() || input_ended_;
        const std::size_t bytes = std::min(buffer.size(), input_.size());
        if (bytes > 0) {
            input_.take(buffer.first(bytes));
            read_ += bytes;
            result = bytes;
        } else if (there && input_error_) {
            result = std::unexpected(*input_error_);
        } else {
            result = 0;
            end_read_ = there;
        }
        return bytes > 0;
    });
    return there;
}

Result<std::size_t> ConduitState::write(std::string_view data) {
    Result<std::size_t> result = 0;
    change_near([&] {
        if (input_error_ || output_ended_) {
            result = input_error_ ? std::unexpected(*input_error_)
                                  : error(Errc::closed, "writing has been finished");
            return false;
        }
        if (output_.size() >= bytes_max_) return false;
        const std::size_t bytes = std::min(data.size(), bytes_max_ - output_.size());
        output_.append(data.substr(0, bytes));
        result = bytes;
        return true;
    });
    return result;
}

Result<void> ConduitState::shutdown_write() {
    Result<void> result;
    change_near([&] {
        if (input_error_) result = std::unexpected(*input_error_);
        return !std::exchange(output_ended_, true);
    });
    return result;
}

void ConduitState::wait(Cell& cell, Direction direction, std::uint32_t await_number,
                        Observer* observer) {
    ConduitWaiter waiter;
    {
        LockGuard lock(mutex());
        waiter_ = ConduitWaiter{&cell, cell.generation(), await_number, observer != nullptr};
        waits_for_ = direction;
        observer_ = observer;
        waiter = waiter_if_ready();
    }
    wake(waiter);
}

void ConduitState::close() noexcept {
    change_near([&] {
        observer_ = nullptr;
        waiter_ = ConduitWaiter();
        closed_ = true;
        return true;
    });
}

void ConduitState::ring(unsigned bits) {
    change_near([&] {
        rings_ |= bits;
        return true;
    });
}

/// In the turn of the near end's actor, which is the one that closes it.
bool ConduitState::tell_observer(Cell& cell) {
    Observer* observer = nullptr;
    {
        LockGuard lock(mutex());
        observer = std::exchange(observer_, nullptr);
    }
    return observer != nullptr && observer->ready(cell);
}

namespace {

/// The near end.
class ConduitStream final : public StreamCore {
public:
    explicit ConduitStream(std::shared_ptr<ConduitState> state) noexcept
        : state_(std::move(state)) {}

    bool read(std::span<char> buffer, Result<std::size_t>& result) override {
        return state_->read(buffer, result);
    }
    Result<std::size_t> write(std::string_view data) override { return state_->write(data); }
    Result<void> shutdown_write() override { return state_->shutdown_write(); }
    void wait_for(Cell& cell, Direction direction, std::uint32_t number) override {
        state_->wait(cell, direction, number, nullptr);
    }
    void observe(Cell& cell, Observer& observer, Direction direction) override {
        state_->wait(cell, direction, 0, &observer);
    }
    Endpoint local() const override { return state_->local; }
    Endpoint peer() const override { return state_->peer; }
    void close() noexcept override {
        state_->close();
        delete this;
    }

private:
    const std::shared_ptr<ConduitState> state_;  // shared by the two ends
};

}  // namespace

// ---- waiting for all of it ----------------------------------------------------------------------

JunctionWait::JunctionWait(JunctionState& junction, StreamCore* core, std::span<char> buffer,
                           std::string_view data, Interruptible interrupts) noexcept
    : Operation(&junction, direction_of(buffer, data), interrupts, "streams of a connection"),
      junction_(junction),
      core_(core),
      buffer_(buffer),
      data_(data) {}

bool JunctionWait::attempt() {
    const bool idle = buffer_.empty() && data_.empty();
    junction_.wait_for_stream(idle ? nullptr : core_);
    const bool news = junction_.has_news();
    return transfer_at_once(core_, buffer_, data_, result_, moved_) || news;
}

}  // namespace troupe::io_internal

namespace troupe {

void ConduitBell::ring(unsigned bits) const {
    if (state_) state_->ring(bits);
}

Conduit& Conduit::operator=(Conduit&& other) noexcept {
    if (this == &other) return *this;
    if (state_) fail(Error(Errc::closed, "the connection has ended"));
    state_ = std::move(other.state_);
    return *this;
}

Conduit::~Conduit() {
    if (state_) fail(Error(Errc::closed, "the connection has ended"));
}

void Conduit::give(std::string_view bytes) {
    state_->give(bytes);
}

void Conduit::finish() {
    state_->end_input(std::nullopt);
}

void Conduit::fail(Error why) {
    state_->end_input(std::move(why));
}

std::size_t Conduit::take_read() {
    return state_->take_read();
}

std::size_t Conduit::written() const {
    return state_->written();
}

void Conduit::take(std::span<char> room) {
    state_->take(room);
}

bool Conduit::ended() const {
    return state_->ended();
}

bool Conduit::closed() const {
    return state_->closed();
}

unsigned Conduit::take_rings() {
    return state_->take_rings();
}

Junction::Junction() : state_(std::make_shared<io_internal::JunctionState>()) {}

Junction::~Junction() {
    state_->end();
}

Junction::Opened Junction::open(std::uint64_t number, std::size_t bytes_max, Endpoint local,
                                Endpoint peer) {
    auto state = std::make_shared<io_internal::ConduitState>(state_, number, bytes_max,
                                                             std::move(local), std::move(peer));
    Opened opened;
    opened.near = Stream(new io_internal::ConduitStream(state));
    opened.far = Conduit(std::move(state));
    return opened;
}

void Junction::take_news(std::vector<std::uint64_t>& numbers) {
    state_->take_news(numbers);
}

io_internal::JunctionWait Junction::transfer(Stream& stream, std::span<char> buffer,
                                             std::string_view data,
                                             Interruptible interruptible) noexcept {
    return io_internal::JunctionWait(*state_, io_internal::StreamAccess::core(stream), buffer, data,
                                     interruptible);
}

}  // namespace troupe

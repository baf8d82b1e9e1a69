/// TLS as a layer of a stream.
///
/// The problem: what was written must be with the machine when the caller is told so, since he may
/// then wait for something else entirely; but what TLS has made of it may not go all at once. Our
/// answer: bytes count as written when all of their records have left. Until then the caller is
/// told that there is no room, waits for it, and comes again with the same bytes, as whoever writes
/// to a stream does. At most one batch of records waits like this.
///
/// Reading may have to write (answers to the peer's key updates, the handshake), and writing may
/// have to read (the handshake), so what is waited for is not always what the caller waits for.

#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/internal/tls_session.hpp>
#include <troupe/io/internal/tls_stream.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::io_internal {

namespace {

// Four full records: large enough that a system call is small beside the encryption. Callers write
// in slices that are no smaller, or less than this in all.
constexpr std::size_t kBatchBytes = std::size_t{64} * 1024;

// What is read from the network at once.
constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

struct Space {
    std::unique_ptr<char[]> input = std::make_unique_for_overwrite<char[]>(kReadBytes);
    std::string output;
};

struct Spaces {
    std::vector<std::unique_ptr<Space>> all;
    std::size_t used = 0;
};

[[gnu::noinline]] Spaces& spaces() {
    thread_local Spaces of_worker;
    return of_worker;
}

/// What a worker reads into and writes from, for one call: a connection keeps only what did not go.
/// Where TLS is over TLS, the lower stream is called within a call of the upper one, and what it is
/// given lies in the space of that one.
class Scratch {
public:
    Scratch() : spaces_(spaces()) {
        if (spaces_.used == spaces_.all.size()) spaces_.all.push_back(std::make_unique<Space>());
        space_ = spaces_.all[spaces_.used++].get();
        space_->output.clear();
    }
    ~Scratch() { --spaces_.used; }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    std::span<char> input() const noexcept { return {space_->input.get(), kReadBytes}; }
    std::string& output() const noexcept { return space_->output; }

private:
    Spaces& spaces_;
    Space* space_ = nullptr;
};

class TlsStream final : public StreamCore {
public:
    template <class... Arguments>
    TlsStream(StreamCore* inner, Engine& engine, Duration handshake_timeout,
              Arguments&&... arguments)
        : session_(std::forward<Arguments>(arguments)...),
          inner_(inner),
          engine_(engine),
          timeout_(handshake_timeout) {
        const Duration now = engine.now();
        deadline_ = timeout_ < Duration::max() - now ? now + timeout_ : Duration::max();
        if (engine.deterministic()) session_.draw_from(engine);
    }

    bool read(std::span<char> buffer, Result<std::size_t>& result) override;
    Result<std::size_t> write(std::string_view data) override;
    bool handshake(Result<void>& result) override;
    Result<void> shutdown_write() override;
    void close() noexcept override;
    void abort() noexcept override {
        inner_->abort();
        delete this;
    }

    void wait(Cell& cell, Operation& operation) override {
        if (session_.agreed()) operation.forget_target_deadline();
        wait_for(cell, operation.direction(), operation.number);
    }
    void wait_for(Cell& cell, Direction direction, std::uint32_t number) override {
        inner_->wait_for(cell, wanted(direction), number);
    }
    void observe(Cell& cell, Observer& observer, Direction direction) override {
        inner_->observe(cell, observer, wanted(direction));
    }

    Duration deadline() const override { return session_.agreed() ? Duration::max() : deadline_; }
    std::string overdue() const override { return is_late() ? lateness() : std::string(); }

    Endpoint local() const override { return inner_->local(); }
    Endpoint peer() const override { return inner_->peer(); }
    std::optional<TlsInfo> tls() const override {
        if (!session_.agreed()) return std::nullopt;
        return session_.info();
    }

private:
    Direction wanted(Direction direction) const noexcept;
    bool is_late() const { return !session_.agreed() && engine_.now() >= deadline_; }
    std::string lateness() const;
    bool agree();
    bool receive(const Scratch& scratch);
    void keep_input();
    bool flush();
    void send(std::string& bytes);
    void fail(Error why);
    Error located(const char* doing) const;

    TlsSession session_;
    StreamCore* inner_;
    Engine& engine_;
    const Duration timeout_;
    Duration deadline_;       // of the handshake
    std::string pending_;     // records that did not go yet
    std::size_t owed_ = 0;    // of plain text: in the records that wait, and not told as written
    std::string_view input_;  // bytes of the peer that are not decrypted yet
    std::string unread_;      // where those lie between two calls
    std::optional<Error> error_;  // nothing works any more
    bool shut_ = false;           // the inner stream ends with what is pending
    bool ended_ = false;          // the inner stream has
};

Direction TlsStream::wanted(Direction direction) const noexcept {
    // What is waited for has been tried, and must not be what is there: that would be told at once,
    // again and again.
    if (!session_.agreed()) return pending_.empty() ? Direction::read : Direction::both;
    if (pending_.empty() || direction != Direction::read) return direction;
    return Direction::both;
}

std::string TlsStream::lateness() const {
    return "the TLS handshake with " + to_string(inner_->peer()) + " is not done after " +
           std::to_string(timeout_.count() / 1'000'000) + " ms";
}

Error TlsStream::located(const char* doing) const {
    const Error& why = session_.problem();
    const std::string text = doing + to_string(inner_->peer()) + ": " + why.text();
    if (why == TlsErrc::handshake_failed) return Error(TlsErrc::handshake_failed, text);
    if (why == TlsErrc::untrusted) return Error(TlsErrc::untrusted, text);
    return Error(Errc::closed, text);
}

void TlsStream::fail(Error why) {
    if (!error_) error_ = std::move(why);
}

/// Sends what waits. False while not all of it has gone.
bool TlsStream::flush() {
    std::size_t gone = 0;
    while (gone < pending_.size()) {
        const Result<std::size_t> written = inner_->write(std::string_view(pending_).substr(gone));
        if (!written) fail(written.error());
        if (!written || *written == 0) break;
        gone += *written;
    }
    if (gone != pending_.size()) {
        pending_.erase(0, gone);
        return false;
    }
    pending_ = std::string();
    if (shut_ && !std::exchange(ended_, true)) {
        const Result<void> ended = inner_->shutdown_write();
        if (!ended) fail(ended.error());
    }
    return true;
}

/// Sends these records, or keeps what does not go.
void TlsStream::send(std::string& bytes) {
    if (bytes.empty()) return;
    if (pending_.empty()) {
        std::size_t gone = 0;
        while (gone < bytes.size()) {
            const Result<std::size_t> written = inner_->write(std::string_view(bytes).substr(gone));
            if (!written) return fail(written.error());
            if (*written == 0) break;
            gone += *written;
        }
        if (gone != bytes.size()) pending_.assign(bytes, gone);
    } else {
        pending_ += bytes;
        static_cast<void>(flush());
    }
}

/// Gets bytes of the peer. False: there are none now.
bool TlsStream::receive(const Scratch& scratch) {
    const std::span<char> room = scratch.input();
    Result<std::size_t> got;
    if (!inner_->read(room, got)) return false;
    if (!got) {
        fail(got.error());
    } else if (*got == 0) {
        fail(Error(Errc::closed,
                   to_string(inner_->peer()) +
                       (session_.agreed() ? " has ended the connection without saying so by TLS: "
                                            "something may be missing"
                                          : " has ended the connection within the handshake")));
    } else {
        input_ = std::string_view(room.data(), *got);
    }
    return true;
}

/// To be called before others read: what is left of the input becomes this stream's own.
void TlsStream::keep_input() {
    if (input_.empty()) {
        if (!unread_.empty()) unread_ = std::string();
    } else if (input_.data() < unread_.data() || input_.data() >= unread_.data() + unread_.size()) {
        unread_.assign(input_);
        input_ = unread_;
    }
}

/// Goes on with the handshake. False: it waits for the peer.
bool TlsStream::agree() {
    const Scratch scratch;
    std::string& output = scratch.output();
    while (!session_.agreed() && !error_) {
        if (is_late()) {
            fail(Error(Errc::timed_out, lateness()));
            break;
        }
        if (!pending_.empty()) static_cast<void>(flush());
        output.clear();
        const TlsSession::Step step = session_.handshake(input_, output);
        send(output);
        if (step.status == TlsSession::Status::wants_input) {
            if (!error_ && !receive(scratch)) return false;
        } else if (step.status != TlsSession::Status::done) {
            error_ = located("the TLS handshake with ");
        }
    }
    keep_input();
    return true;
}

bool TlsStream::handshake(Result<void>& result) {
    if (!session_.agreed() && !agree()) return false;
    if (error_) result = std::unexpected(*error_);
    return error_.has_value() || pending_.empty() || flush();
}

bool TlsStream::read(std::span<char> buffer, Result<std::size_t>& result) {
    if (!session_.agreed() && !agree()) return false;
    const Scratch scratch;
    std::string& output = scratch.output();
    for (bool done = false; !done && !error_;) {
        if (input_.empty() && session_.reads_nothing_more()) {
            if (!pending_.empty()) static_cast<void>(flush());
            done = !error_ && !receive(scratch);
            continue;
        }
        output.clear();
        const TlsSession::Step step = session_.read(input_, buffer, output);
        send(output);
        switch (step.status) {
            case TlsSession::Status::done:
            case TlsSession::Status::ended:
                result = step.bytes;
                keep_input();
                return true;
            case TlsSession::Status::failed:
                fail(located("reading from "));
                break;
            case TlsSession::Status::wants_input:
                if (!pending_.empty()) static_cast<void>(flush());
                done = !error_ && !receive(scratch);
                break;
        }
    }
    keep_input();
    if (error_) result = std::unexpected(*error_);
    return error_.has_value();
}

Result<std::size_t> TlsStream::write(std::string_view data) {
    if (!session_.agreed() && !agree()) return 0;
    if (error_) return std::unexpected(*error_);
    if (!pending_.empty() && !flush()) {
        if (error_) return std::unexpected(*error_);
        return 0;
    }
    if (owed_ != 0) {
        TROUPE_ASSERT(owed_ <= data.size(), "who had no room comes again with the same bytes");
        return std::exchange(owed_, 0);
    }
    const std::string_view batch = data.substr(0, kBatchBytes);
    const Scratch scratch;
    std::string& output = scratch.output();
    const TlsSession::Step step = session_.write(batch, output);
    if (step.status != TlsSession::Status::done) {
        fail(located("writing to "));
        return std::unexpected(*error_);
    }
    send(output);
    if (error_) return std::unexpected(*error_);
    if (pending_.empty()) return batch.size();
    owed_ = batch.size();
    return 0;
}

Result<void> TlsStream::shutdown_write() {
    if (!session_.agreed() && !error_) return inner_->shutdown_write();
    if (error_) return std::unexpected(*error_);
    const Scratch scratch;
    std::string& output = scratch.output();
    session_.finish(output);
    shut_ = true;
    pending_ += output;
    static_cast<void>(flush());
    if (error_) return std::unexpected(*error_);
    return {};
}

void TlsStream::close() noexcept {
    if (session_.agreed() && !session_.finished() && !error_) {
        const Scratch scratch;
        std::string& output = scratch.output();
        session_.finish(output);
        send(output);
        // To close over what the peer has sent would answer it with a reset, which takes what we
        // sent last with it. A peer that has sent nothing of its own may have sent tickets.
        Result<std::size_t> ignored;
        static_cast<void>(inner_->read(scratch.input(), ignored));
    }
    inner_->close();
    delete this;
}

}  // namespace

Stream tls_over(Stream stream, const std::shared_ptr<TlsServerState>& server,
                std::shared_ptr<const std::string> offered, Engine& engine) {
    StreamCore* const inner = StreamAccess::release(stream);
    if (inner == nullptr) return Stream();
    return Stream(new TlsStream(inner, engine, server->handshake_timeout(), server->identities(),
                                std::move(offered)));
}

Stream tls_over(Stream stream, std::shared_ptr<TlsClientState> client,
                const std::string& server_name, Engine& engine) {
    StreamCore* const inner = StreamAccess::release(stream);
    if (inner == nullptr) return Stream();
    const Duration timeout = client->handshake_timeout();
    // A session is of a name at a port: others at the same address know nothing of it.
    std::string peer = server_name + ":" + std::to_string(inner->peer().port);
    return Stream(
        new TlsStream(inner, engine, timeout, std::move(client), server_name, std::move(peer)));
}

}  // namespace troupe::io_internal

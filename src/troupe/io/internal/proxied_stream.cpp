/// A layer under all others, TLS too: the header comes before the handshake. Until it is whole
/// nothing is read or written for anybody above, and all of them wait for the proxy's bytes.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/internal/proxied_stream.hpp>
#include <troupe/io/internal/proxy_header.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace troupe::io_internal {

namespace {

class ProxiedStream final : public StreamCore {
public:
    ProxiedStream(StreamCore* inner, const Engine& engine, Duration timeout)
        : inner_(inner), engine_(engine), timeout_(timeout) {
        const Duration now = engine.now();
        deadline_ = timeout_ < Duration::max() - now ? now + timeout_ : Duration::max();
    }

    bool read(std::span<char> buffer, Result<std::size_t>& result) override {
        if (!read_header()) return false;
        if (error_) {
            result = std::unexpected(*error_);
            return true;
        }
        if (received_.empty()) return inner_->read(buffer, result);
        const std::size_t bytes = received_.copy(buffer.data(), buffer.size());
        received_.erase(0, bytes);
        if (received_.empty()) received_ = std::string();
        result = bytes;
        return true;
    }

    Result<std::size_t> write(std::string_view data) override {
        if (!read_header()) return 0;
        if (error_) return std::unexpected(*error_);
        return inner_->write(data);
    }

    bool handshake(Result<void>& result) override {
        if (!read_header()) return false;
        if (error_) result = std::unexpected(*error_);
        return true;
    }

    Result<void> shutdown_write() override { return inner_->shutdown_write(); }
    void close() noexcept override {
        inner_->close();
        delete this;
    }
    void abort() noexcept override {
        inner_->abort();
        delete this;
    }

    void wait(Cell& cell, Operation& operation) override {
        if (settled()) operation.forget_target_deadline();
        wait_for(cell, operation.direction(), operation.number);
    }
    void wait_for(Cell& cell, Direction direction, std::uint32_t number) override {
        inner_->wait_for(cell, settled() ? direction : Direction::read, number);
    }
    void observe(Cell& cell, Observer& observer, Direction direction) override {
        inner_->observe(cell, observer, settled() ? direction : Direction::read);
    }

    Duration deadline() const override { return settled() ? Duration::max() : deadline_; }
    std::string overdue() const override { return is_late() ? lateness() : std::string(); }

    Endpoint local() const override { return inner_->local(); }
    Endpoint peer() const override { return source_ ? *source_ : inner_->peer(); }

private:
    bool settled() const { return whole_ || error_.has_value(); }
    bool is_late() const { return !settled() && engine_.now() >= deadline_; }
    std::string lateness() const {
        return "the PROXY header of " + to_string(inner_->peer()) + " is not here after " +
               std::to_string(timeout_.count() / 1'000'000) + " ms";
    }
    bool read_header();

    StreamCore* inner_;
    const Engine& engine_;
    const Duration timeout_;
    Duration deadline_;               // of the header
    std::string received_;            // that nobody above has taken
    std::optional<Endpoint> source_;  // whom the header names
    std::optional<Error> error_;      // nothing works
    bool whole_ = false;              // the header was read
};

/// False: not all of the header is here.
bool ProxiedStream::read_header() {
    while (!settled()) {
        if (is_late()) {
            error_ = Error(Errc::timed_out, lateness());
            break;
        }
        char buffer[512];
        Result<std::size_t> got;
        if (!inner_->read(buffer, got)) return false;
        if (!got) {
            error_ = std::move(got).error();
        } else if (*got == 0) {
            error_ = Error(Errc::closed, to_string(inner_->peer()) +
                                             " has ended the connection within its PROXY header");
        } else {
            received_.append(buffer, *got);
            const ProxyHeader header = parse_proxy_header(received_);
            whole_ = header.status == ProxyHeader::Status::done;
            if (whole_) received_.erase(0, header.bytes);
            if (whole_) source_ = header.source;
            if (header.status == ProxyHeader::Status::refused) {
                error_ = Error(Errc::failed, "the PROXY header of " + to_string(inner_->peer()) +
                                                 ": " + std::string(header.problem));
            }
        }
    }
    return true;
}

}  // namespace

Stream proxied(Stream stream, const ProxyProtocol& options) {
    const Endpoint peer = stream.peer();
    const std::optional<IpAddress> address = IpAddress::parse(peer.host);
    if (!address && !peer.is_unix()) return stream;
    if (!options.proxies().contains(address.value_or(IpAddress()))) return stream;
    StreamCore* const inner = StreamAccess::release(stream);
    return Stream(new ProxiedStream(inner, current_cell()->engine(), options.timeout()));
}

}  // namespace troupe::io_internal

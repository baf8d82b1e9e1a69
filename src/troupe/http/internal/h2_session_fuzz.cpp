// Whatever a peer sends, the session neither breaks nor holds more than it is allowed to, every
// stream that begins ends, and what it sends is HTTP/2 to a client.
//
// The first byte says how the input is cut, the second how eager those are who read and answer.

#include <troupe/http/internal/h2_session.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::size_t kBodyMax = 1'000'000;

struct Work final : H2Stream, H2Body {
    explicit Work(std::int32_t the_id) : H2Stream(the_id) {}

    std::size_t here() override { return left; }
    bool ends() override { return whole; }
    void take(std::span<char> room) override {
        std::fill(room.begin(), room.end(), 'x');
        left -= room.size();
    }
    std::string_view trailer_lines() override { return trails ? "X-Sum: 1\r\n" : ""; }

    std::size_t unread = 0;
    std::size_t left = 0;
    bool whole = false;
    bool trails = false;
};

class Peer final : public H2Session::Listener {
public:
    explicit Peer(std::uint8_t mood) : mood_(mood) {}

    std::unique_ptr<H2Stream> make_stream(std::int32_t id) override {
        require(streams_.insert(id).second);
        return std::make_unique<Work>(id);
    }
    void on_request(H2Stream& stream) override {
        const http::Request& request = stream.request;
        require(request.path.starts_with('/') || request.path == "*");
        require(!request.method.empty() && request.headers().size() <= 100);
        require(request.header("host").has_value());
        require(request.path.find('\0') == std::string::npos);
        if (stream.input_ended || (mood_ & 1) != 0) answer(stream);
    }
    void on_refused(H2Stream& stream, const ParseRefusal& refusal) override {
        require(refusal.status >= 400 && refusal.status < 600);
        session->respond(stream, http::Response(refusal.status), dates_.at(Duration()));
    }
    void on_data(H2Stream& stream, std::string_view bytes) override {
        auto& work = static_cast<Work&>(stream);
        require(!stream.input_ended);
        work.unread += bytes.size();
        require(work.unread <= 65'535);
        if ((mood_ & 2) == 0) return;
        session->consume(stream, work.unread);
        work.unread = 0;
    }
    void on_end(H2Stream& stream) override {
        require(stream.input_ended);
        if (!stream.answered) answer(stream);
    }
    void on_sent(H2Stream& stream, std::size_t) override {
        require(streams_.count(stream.id) == 1);
    }
    void on_closed(H2Stream& stream, std::uint32_t) override {
        require(streams_.erase(stream.id) == 1);
    }
    void on_notice_heard() override {}

    /// Those who had nothing to say have.
    void go_on() {
        session->for_each([this](H2Stream& stream) {
            auto& work = static_cast<Work&>(stream);
            if (!stream.answered || work.whole) return;
            work.left += 1000;
            work.whole = (mood_ & 8) != 0;
            session->resume(stream);
        });
    }

    std::size_t streams() const { return streams_.size(); }

    H2Session* session = nullptr;  // ours, and outlived by us

private:
    void answer(H2Stream& stream) {
        auto& work = static_cast<Work&>(stream);
        const DateCache::Text& date = dates_.at(Duration());
        if ((mood_ & 4) == 0) {
            http::Response response = http::ok(std::string(mood_ * 100U, 'y'));
            response.header("X-Path", stream.request.path);
            session->respond(stream, std::move(response), date);
            return;
        }
        work.trails = (mood_ & 16) != 0;
        session->respond(stream, http::Response(200), date, work);
    }

    const std::uint8_t mood_;
    std::set<std::int32_t> streams_;
    DateCache dates_;
};

void run(std::string_view input, std::size_t cut, std::uint8_t mood) {
    H2Session::Limits limits;
    limits.streams_max = 20;
    limits.resets = RateLimit{5, 20};
    Peer peer(mood);
    H2Session session(limits, peer);
    peer.session = &session;
    ByteBuffer out;
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    session.receive(preface, Duration());
    for (std::size_t at = 0; at < input.size(); at += cut) {
        session.receive(input.substr(at, cut), Duration());
        session.fill(out, kBodyMax);
        require(out.size() <= kBodyMax + 20'000);
        out.consume(out.size());
        peer.go_on();
        require(peer.streams() == session.streams() && session.streams() <= 40);
    }
    session.go_away();
    session.fill(out, kBodyMax);
    session.terminate(H2Code::no_error);
    session.fill(out, 2 * kBodyMax);
    require(!session.wants_input());
}

}  // namespace
}  // namespace troupe::http_internal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data + 2), size - 2);
    troupe::http_internal::run(input, std::max<std::size_t>(data[0], 1), data[1]);
    return 0;
}

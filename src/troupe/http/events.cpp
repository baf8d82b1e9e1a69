#include <troupe/base/error.hpp>
#include <troupe/http/events.hpp>
#include <troupe/task/within.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>

namespace troupe::http {

namespace {

/// A name or an id goes on one line.
void append_line(std::string& out, std::string_view field, std::string_view value) {
    out += field;
    for (char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7f ? ' ' : c;
    }
    out += '\n';
}

/// Receives with a name of its own, so that a wait may end and another begin.
class Source {
public:
    explicit Source(Receiver<Event> receiver) : receiver_(std::move(receiver)) {}

    Task<Result<Event>> next() { co_return co_await receiver_.receive(); }

private:
    Receiver<Event> receiver_;
};

Task<Result<void>> forward(std::shared_ptr<Source> source, EventWriter out, Duration keep_alive) {
    auto next = [source] { return source->next(); };
    for (;;) {
        // Not in one statement: GCC 12 would destroy the copy of `next` twice.
        auto waiting = within(keep_alive, next);
        Result<Event> event = co_await std::move(waiting);
        if (event) {
            co_await or_return(co_await out.send(std::move(*event)));
        } else if (event.error() == Errc::timed_out) {
            co_await or_return(co_await out.keep_alive());
        } else if (event.error() == Errc::closed) {
            co_return Result<void>();
        } else {
            co_return std::unexpected(event.error());
        }
    }
}

}  // namespace

std::string Event::text() const {
    std::string out;
    out.reserve(data_.size() + name_.size() + id_.size() + 40);
    if (has_id_) append_line(out, "id: ", id_);
    if (!name_.empty()) append_line(out, "event: ", name_);
    if (retry_ >= Duration::zero()) {
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(retry_).count();
        out += "retry: " + std::to_string(wait) + "\n";
    }
    std::string_view rest = data_;
    for (bool more = true; more;) {
        const std::size_t end = std::min(rest.find_first_of("\r\n"), rest.size());
        out += "data: ";
        out += rest.substr(0, end);
        out += '\n';
        more = end < rest.size();
        if (more) rest.remove_prefix(end + (rest.substr(end).starts_with("\r\n") ? 2 : 1));
    }
    out += '\n';
    return out;
}

std::string_view last_event_id(const Request& request) {
    return request.header("Last-Event-ID").value_or(std::string_view());
}

Task<Result<void>> EventWriter::send(Event event) {
    co_await or_return(co_await out_.write(event.text()));
    co_return co_await out_.flush();
}

Task<Result<void>> EventWriter::keep_alive() {
    co_await or_return(co_await out_.write(":\n\n"));
    co_return co_await out_.flush();
}

Response events(Receiver<Event> source, Duration keep_alive) {
    auto shared = std::make_shared<Source>(std::move(source));  // of the response and its waits
    return events(
        [shared, keep_alive](EventWriter out) { return forward(shared, out, keep_alive); });
}

}  // namespace troupe::http

namespace troupe::http_internal {

http::Response event_response() {
    http::Response response(200);
    response.type("text/event-stream");
    response.header("Cache-Control", "no-cache");
    response.header("X-Accel-Buffering", "no");  // a proxy that collects would hold news back
    return response;
}

}  // namespace troupe::http_internal

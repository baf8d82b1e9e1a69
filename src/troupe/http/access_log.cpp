#include <troupe/http/access_log.hpp>
#include <troupe/http/internal/line_file.hpp>
#include <troupe/http/json.hpp>
#include <troupe/http/trace_context.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/context.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>

namespace troupe::http {

struct AccessLog::State {
    State(AccessLogOptions the_options)
        : options(std::move(the_options)),
          file(std::make_shared<http_internal::LineFile>(options.path_, options.sink_,
                                                         options.waiting_bytes_max_)) {}

    const AccessLogOptions options;
    const std::shared_ptr<http_internal::LineFile> file;  // shared with its jobs
    std::atomic<std::uint32_t> seen{0};                   // requests; connections count
};

namespace {

/// "2026-11-26T19:02:03.123456Z".
std::string time_text(Duration since_1970) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_1970);
    const auto rest =
        std::chrono::duration_cast<std::chrono::microseconds>(since_1970 - whole).count();
    const std::time_t seconds = whole.count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char date[64];
    const std::size_t size = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    char micros[16];
    std::snprintf(micros, sizeof micros, ".%06dZ", static_cast<int>(rest));
    return std::string(date, size) + micros;
}

/// Seconds with six digits behind the point.
std::string seconds_text(Duration time) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    char text[40];
    std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(micros / 1'000'000),
                  static_cast<long long>(micros % 1'000'000));
    return text;
}

/// As it is when it is a plain word, and else as JSON would have it.
void append_word(std::string& out, std::string_view word) {
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
    });
    if (plain) {
        out += word;
    } else {
        append_json_string(out, word);
    }
}

}  // namespace

/// One request, until its line is written: when this ends, at the latest.
class AccessLogEntry {
public:
    AccessLogEntry(std::shared_ptr<AccessLog::State> state, const Request& request)
        : state_(std::move(state)),
          engine_(current_cell()->engine()),
          began_(engine_.now()),
          wall_(engine_.wall_now()),
          method_(request.method),
          path_(request.path),
          client_(to_string(request.client_address())),
          protocol_(request.protocol()),
          trace_(current_trace()) {
        const auto& skipped = state_->options.skipped_;
        skipped_ = std::find(skipped.begin(), skipped.end(), request.path) != skipped.end();
        if (state_->options.with_query_ && !request.query.empty()) path_ += '?' + request.query;
    }
    AccessLogEntry(const AccessLogEntry&) = delete;
    AccessLogEntry& operator=(const AccessLogEntry&) = delete;
    ~AccessLogEntry() { write(); }

    void status(int status) { status_ = status; }
    void add_bytes(std::uint64_t bytes) { bytes_ += bytes; }
    void finished() { finished_ = true; }
    /// By the server, in place of a handler.
    void refused(int status) {
        status_ = status;
        refused_ = finished_ = true;
    }
    bool head_only() const { return method_ == "HEAD"; }

private:
    bool wanted(bool slow) const {
        // That a client asks for what there is not, in what version there is not, is no failure.
        const bool failed = refused_ ? status_ == 503 : status_ >= 500;
        if (failed || slow) return true;
        if (skipped_) return false;
        return state_->seen.fetch_add(1, std::memory_order_relaxed) % state_->options.one_in_ == 0;
    }

    void write() {
        const Duration took = engine_.now() - began_;
        const bool slow = took >= state_->options.slow_after_;
        if (!wanted(slow)) return;
        std::string line = state_->options.json_ ? json_line(took, slow) : text_line(took, slow);
        line += '\n';
        state_->file->add(engine_, line);
    }

    bool has_trace() const { return trace_.id_high != 0 || trace_.id_low != 0; }
    std::string_view client() const {
        return client_.empty() ? std::string_view("-") : std::string_view(client_);
    }

    std::string text_line(Duration took, bool slow) const {
        std::string line = time_text(wall_) + ' ';
        line.append(client()) += ' ';
        if (method_.empty()) {
            line += '-';
        } else {
            append_word(line, method_);
        }
        line += ' ';
        append_json_string(line, path_);
        line += ' ' + std::to_string(status_) + ' ' + std::to_string(bytes_) + ' ' +
                seconds_text(took) + ' ' + std::string(protocol_);
        if (has_trace()) line += " trace=" + trace_id_text(trace_);
        if (slow) line += " slow";
        if (!finished_) line += " unfinished";
        return line;
    }

    std::string json_line(Duration took, bool slow) const {
        std::string line = "{\"time\":\"" + time_text(wall_) + "\",\"client\":\"";
        line.append(client()) += "\",\"method\":";
        append_json_string(line, method_);
        line += ",\"path\":";
        append_json_string(line, path_);
        line += ",\"status\":" + std::to_string(status_) + ",\"bytes\":" + std::to_string(bytes_) +
                ",\"seconds\":" + seconds_text(took) + ",\"protocol\":\"" + std::string(protocol_) +
                '"';
        if (has_trace()) line += ",\"trace\":\"" + trace_id_text(trace_) + '"';
        if (slow) line += ",\"slow\":true";
        if (!finished_) line += ",\"unfinished\":true";
        return line + '}';
    }

    const std::shared_ptr<AccessLog::State> state_;  // shared with the middleware
    Engine& engine_;
    const Duration began_;
    const Duration wall_;
    const std::string method_;
    std::string path_;
    const std::string client_;
    const std::string_view protocol_;  // a literal
    const TraceContext trace_;
    int status_ = 500;  // of who threw, or was ended
    std::uint64_t bytes_ = 0;
    bool skipped_ = false;
    bool finished_ = false;
    bool refused_ = false;
};

namespace {

/// Counts what goes through.
class CountingSink final : public http_internal::SinkBefore {
public:
    CountingSink(BodyWriter out, AccessLogEntry& entry) : SinkBefore(out.sink()), entry_(entry) {}

    Task<Result<void>> write(std::string_view piece) override {
        entry_.add_bytes(piece.size());
        return next().write(piece);
    }
    Task<Result<void>> write_file(int descriptor, std::uint64_t offset,
                                  std::uint64_t bytes) override {
        entry_.add_bytes(bytes);
        return next().write_file(descriptor, offset, bytes);
    }

private:
    AccessLogEntry& entry_;
};

/// The body of another response, and the end of its entry.
Task<Result<void>> send_counted(http_internal::BodyProducer* body,
                                std::shared_ptr<AccessLogEntry> entry, BodyWriter out) {
    CountingSink sink(out, *entry);
    Result<void> sent = co_await body->run(BodyWriter(sink));
    if (sent) entry->finished();
    co_return sent;
}

/// How many bytes of its body a response will send; they are not here yet.
std::uint64_t bytes_of(const Response& response, bool head_only) {
    if (head_only) return 0;
    return response.length().value_or(response.body().size());
}

}  // namespace

AccessLog::AccessLog(AccessLogOptions options)
    : state_(std::make_shared<State>(std::move(options))) {}

Task<Response> AccessLog::operator()(Request request, Next next) const {
    // Shared with the body, which may outlive this.
    const auto entry = std::make_shared<AccessLogEntry>(state_, request);
    Response response = co_await next(std::move(request));
    entry->status(response.switches() ? 101 : response.status());
    if (response.producer() && !entry->head_only()) {
        std::shared_ptr<http_internal::BodyProducer> body = response.take_producer();
        response.stream(
            [body, kept = entry](BodyWriter out) { return send_counted(body.get(), kept, out); });
        co_return response;
    }
    entry->add_bytes(bytes_of(response, entry->head_only()));
    entry->finished();
    co_return response;
}

void AccessLog::refused(const Request& request, int status) const {
    AccessLogEntry entry(state_, request);
    entry.refused(status);
}

}  // namespace troupe::http

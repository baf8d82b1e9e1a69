#include <troupe/http/internal/text.hpp>
#include <troupe/http/internal/trace_lines.hpp>
#include <troupe/http/trace_context.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/scope.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe::http_internal {

namespace {

constexpr std::string_view kTraceParent = "traceparent";
constexpr std::size_t kMembersMax = 32;
constexpr std::size_t kStateBytesMax = 512;

bool is_key(std::string_view key) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '*' || c == '/' || c == '@';
    };
    return !key.empty() && key.size() <= 256 && std::all_of(key.begin(), key.end(), good);
}

bool is_value(std::string_view value) {
    const auto good = [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; };
    return !value.empty() && value.size() <= 256 && std::all_of(value.begin(), value.end(), good);
}

/// Appends the members of one line. False: it is malformed.
bool append_members(std::string_view line, std::vector<std::string_view>& members) {
    while (!line.empty()) {
        const std::string_view member = cut_before(line, ',');
        if (member.empty()) continue;
        const std::size_t equals = member.find('=');
        if (equals == std::string_view::npos || !is_key(member.substr(0, equals)) ||
            !is_value(member.substr(equals + 1))) {
            return false;
        }
        if (members.size() == kMembersMax) return false;
        members.push_back(member);
    }
    return true;
}

}  // namespace

std::string join_tracestate(const http::Headers& lines) {
    std::vector<std::string_view> members;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const http::HeaderField line = lines.at(i);
        if (!equals_ignoring_case(line.name, kTraceState)) continue;
        if (!append_members(line.value, members)) return std::string();
    }
    std::string joined;
    for (const std::string_view member : members) {
        if (joined.size() + 1 + member.size() > kStateBytesMax) break;
        if (!joined.empty()) joined += ',';
        joined += member;
    }
    return joined;
}

void add_trace_lines(http::ClientRequest& request) {
    const TraceContext trace = current_trace();
    const bool none = trace.id_high == 0 && trace.id_low == 0;
    if (none || request.headers().find(kTraceParent)) return;
    request.header(kTraceParent, http::to_traceparent(trace));
    const auto state = baggage(kTraceState);
    if (state && !state->empty() && !request.headers().find(kTraceState)) {
        request.header(kTraceState, *state);
    }
}

}  // namespace troupe::http_internal

namespace troupe::http {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

void append_hex(std::string& out, std::uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; --i)
        out += kDigits[value >> (4U * static_cast<unsigned>(i)) & 15U];
}

/// So many digits, of which capitals are none.
std::optional<std::uint64_t> hex(std::string_view text) {
    std::uint64_t value = 0;
    for (const char c : text) {
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = value << 4U | digit;
    }
    return value;
}

std::uint64_t random_id(Engine& engine) {
    std::uint64_t id = 0;
    while (id == 0)
        id = engine.random();
    return id;
}

TraceContext trace_of(const Request& request, const TraceOptions& options, Engine& engine) {
    std::optional<TraceContext> trace;
    // Two lines of this name are malformed as well.
    std::size_t lines = 0;
    for (std::size_t i = 0; options.takes_over() && i < request.headers().size(); ++i) {
        const HeaderField field = request.headers().at(i);
        if (!same_name(field.name, "traceparent")) continue;
        trace = ++lines == 1 ? parse_traceparent(field.value) : std::nullopt;
    }
    if (!trace) {
        trace.emplace();
        trace->id_high = random_id(engine);
        trace->id_low = random_id(engine);
        trace->sampled = options.sampled_per_thousand() >= 1000 ||
                         engine.random() % 1000 < options.sampled_per_thousand();
    }
    return *trace;
}

}  // namespace

std::string trace_id_text(const TraceContext& trace) {
    std::string text;
    append_hex(text, trace.id_high, 16);
    append_hex(text, trace.id_low, 16);
    return text;
}

std::string to_traceparent(const TraceContext& trace) {
    std::string text = "00-" + trace_id_text(trace) + '-';
    append_hex(text, trace.span, 16);
    text += trace.sampled ? "-01" : "-00";
    return text;
}

std::optional<TraceContext> parse_traceparent(std::string_view text) {
    constexpr std::size_t kSize = 55;
    constexpr std::uint64_t kNoVersion = 0xFF;
    if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') {
        return std::nullopt;
    }
    const auto version = hex(text.substr(0, 2));
    const auto high = hex(text.substr(3, 16));
    const auto low = hex(text.substr(19, 16));
    const auto span = hex(text.substr(36, 16));
    const auto flags = hex(text.substr(53, 2));
    if (!version || !high || !low || !span || !flags || *version == kNoVersion) return std::nullopt;
    // Later versions may say more, behind another dash.
    if (text.size() != kSize && (*version == 0 || text[kSize] != '-')) return std::nullopt;
    if ((*high == 0 && *low == 0) || *span == 0) return std::nullopt;
    TraceContext trace;
    trace.id_high = *high;
    trace.id_low = *low;
    trace.span = *span;
    trace.sampled = (*flags & 1U) != 0;
    return trace;
}

namespace {

/// What belongs to a trace, to be shown to what is called. Counts one.
Facts* facts_of(const TraceContext& trace, const std::string& state) {
    Facts* const facts = Facts::copy_of_now();
    facts->trace = trace;
    if (!state.empty()) {
        facts->baggage.emplace_back(std::string(http_internal::kTraceState), state);
    }
    return facts;
}

Task<Result<void>> write_traced(http_internal::BodyProducer* body, TraceContext trace,
                                std::string state, BodyWriter out) {
    const auto write = [body](BodyWriter to) { return body->run(to); };
    Facts* const facts = facts_of(trace, state);
    co_return co_await task_internal::run_with(facts, write, out);
}

}  // namespace

Task<Response> TraceMiddleware::operator()(Request request, Next next) const {
    const TraceOptions options = options_;
    Engine& engine = current_cell()->engine();
    TraceContext trace = trace_of(request, options, engine);
    const bool taken_over = trace.span != 0;
    trace.span = random_id(engine);  // ours, by whom all that follows is caused
    const std::string state =
        taken_over ? http_internal::join_tracestate(request.headers()) : std::string();
    Facts* const facts = facts_of(trace, state);
    Response response = co_await task_internal::run_with(facts, next, std::move(request));
    if (response.producer()) {
        std::shared_ptr<http_internal::BodyProducer> body = response.take_producer();
        response.stream([body, trace, state](BodyWriter out) {
            return write_traced(body.get(), trace, state, out);
        });
    }
    if (options.told() && !response.switches()) {
        response.header("traceresponse", to_traceparent(trace));
    }
    co_return response;
}

}  // namespace troupe::http

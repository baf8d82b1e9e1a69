#pragma once

#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/context.hpp>
#include <troupe/task/task.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http {

/// What of a request's trace is taken over and told.
class TraceOptions {
public:
    TraceOptions() = default;

    /// Of the traces that begin here so many in a thousand are marked as sampled; of others it is
    /// up to whoever began them. All unless said.
    TraceOptions& sampled_per_thousand(unsigned traces) {
        sampled_per_thousand_ = traces;
        return *this;
    }
    /// What requests say of their trace is not taken over: each begins one of its own. For servers
    /// that anybody may talk to.
    TraceOptions& begins_anew() {
        begins_anew_ = true;
        return *this;
    }
    /// Responses say which trace the request belongs to, in a `traceresponse` line.
    TraceOptions& tells_clients() {
        tells_clients_ = true;
        return *this;
    }

    unsigned sampled_per_thousand() const { return sampled_per_thousand_; }
    bool takes_over() const { return !begins_anew_; }
    bool told() const { return tells_clients_; }

private:
    unsigned sampled_per_thousand_ = 1000;
    bool begins_anew_ = false;
    bool tells_clients_ = false;
};

/// The middleware: see trace_context().
class TraceMiddleware {
public:
    explicit TraceMiddleware(TraceOptions options) : options_(options) {}

    Task<Response> operator()(Request request, Next next) const;

private:
    TraceOptions options_;
};

/// `router.use(trace_context())`, before all others: what is done for a request belongs to the
/// trace that its W3C `traceparent` line names, or to a new one if there is none or it is
/// malformed: current_trace() in the handler, and in all that it asks, tells, spawns and starts.
/// Requests that an http::Client sends on the way carry it on, with its `tracestate`.
///
/// Source: https://www.w3.org/TR/trace-context/
inline TraceMiddleware trace_context(TraceOptions options = TraceOptions()) {
    return TraceMiddleware(options);
}

/// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".
std::string to_traceparent(const TraceContext& trace);

/// The 32 digits of its id.
std::string trace_id_text(const TraceContext& trace);

/// What such a line says; nothing for one that is malformed in any way, and the parts that we know
/// of a later version.
std::optional<TraceContext> parse_traceparent(std::string_view text);

}  // namespace troupe::http

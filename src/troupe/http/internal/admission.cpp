#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/forwarding.hpp>
#include <troupe/scheduler/engine.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace troupe::http_internal {

namespace {

std::optional<RateLimit> limit_of(std::size_t per_second, std::size_t burst) {
    return per_second == 0 ? std::nullopt : std::optional(RateLimit{per_second, burst});
}

http::Response refusal(int status, const char* sentence, Duration wait) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    http::Response response = http::text(status, sentence);
    response.header("Retry-After", std::to_string(seconds));
    return response;
}

}  // namespace

IpAddress address_of_peer(const Stream& stream) {
    return IpAddress::parse(stream.peer().host).value_or(IpAddress());
}

Admission::Admission(const http::ServerOptions& options)
    : trusted_(options.trusted_proxies()),
      forwarding_(options.forwarding()),
      retry_after_(options.overload().retry_after()),
      addresses_(limit_of(options.requests_per_second_max(), options.requests_burst()),
                 options.connections_per_address_max()),
      overload_(options.overload()),
      watches_overload_(options.overload().watches() ||
                        options.overload().requests_in_progress_max() != 0) {
    const auto all = limit_of(options.all_requests_per_second_max(), options.all_requests_burst());
    if (all) all_.emplace(*all);
}

std::shared_ptr<Place> Admission::enter(const IpAddress& peer, Duration now) {
    if (!addresses_.limits_anything()) return std::make_shared<Place>(nullptr);
    std::shared_ptr<Place> place = addresses_.enter(peer, now);
    if (!place) crowded_out_.add();
    return place;
}

std::optional<http::Response> Admission::refuse(const http::Request& request,
                                                const std::shared_ptr<Address>& address,
                                                Engine& engine) {
    if (address && address->rate) {
        const Duration wait = address->rate->take(engine.now());
        if (wait > Duration::zero()) {
            over_rate_.add();
            return refusal(429, "There were too many requests from this address.", wait);
        }
    }
    if (all_) {
        const Duration wait = all_->take(engine.now());
        if (wait > Duration::zero()) {
            over_rate_.add();
            return refusal(503, "There were too many requests in all.", wait);
        }
    }
    if (watches_overload_ && overload_.refuses(request.path)) {
        return refusal(503, "This server has too much to do.", retry_after_);
    }
    return std::nullopt;
}

http::LoadStats Admission::stats() const {
    http::LoadStats stats;
    overload_.report(stats);
    stats.over_rate = over_rate_.value();
    stats.crowded_out = crowded_out_.value();
    stats.handshakes_ended = handshakes_ended_.value();
    stats.http1_requests = http1_requests_.value();
    stats.http2_requests = http2_requests_.value();
    stats.http2_connections = http2_connections_.value();
    stats.http2_streams = static_cast<std::size_t>(http2_streams_.value());
    stats.malformed = malformed_.value();
    return stats;
}

bool Visitor::arrive(const Stream& stream, bool http2, Duration now) {
    origin_.peer = address_of_peer(stream);
    origin_.peer_port = stream.peer().port;
    origin_.client = origin_.peer;
    origin_.tls = origin_.secure = stream.tls().has_value();
    origin_.http2 = http2;
    origin_.proxied = !admission_.trusted_.empty() && admission_.trusted_.contains(origin_.peer);
    origin_.forwarding = admission_.forwarding_;
    if (!place_) place_ = admission_.enter(origin_.peer, now);
    if (place_ && http2) admission_.http2_connections_.add();
    return place_ != nullptr;
}

std::optional<http::Response> Visitor::admit(http::Request& request, Engine& engine) {
    (origin_.http2 ? admission_.http2_requests_ : admission_.http1_requests_).add();
    note_origin(request, origin_, admission_.trusted_);
    if (request.origin().client == origin_.peer) {
        return admission_.refuse(request, place_->address(), engine);
    }
    if (!admission_.addresses_.limits_anything()) {
        return admission_.refuse(request, nullptr, engine);
    }
    if (!last_ || last_client_ != request.origin().client) {
        last_client_ = request.origin().client;
        last_ = admission_.addresses_.of(last_client_, engine.now());
    }
    return admission_.refuse(request, last_, engine);
}

void Visitor::count_unread(http::Request& request) {
    count_malformed();
    request.origin() = origin_;
}

}  // namespace troupe::http_internal

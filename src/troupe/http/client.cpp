#include <troupe/http/client.hpp>
#include <troupe/http/internal/call.hpp>
#include <troupe/http/internal/connection_pool.hpp>

#include <utility>

namespace troupe::http {

namespace {

using http_internal::Call;
using http_internal::ConnectionPool;

// Each of these owns its call, and with it the request, until the answer has come.

Task<Result<ClientResponse>> send_whole(System system, Ref<ConnectionPool> pool,
                                        ClientOptions options, ClientRequest request) {
    Call call(system, pool, options, std::move(request));
    co_return co_await call.whole();
}

Task<Result<ResponseStream>> send_streaming(System system, Ref<ConnectionPool> pool,
                                            ClientOptions options, ClientRequest request) {
    Call call(system, pool, options, std::move(request));
    co_return co_await call.stream();
}

Task<Result<Upload>> begin_upload(System system, Ref<ConnectionPool> pool, ClientOptions options,
                                  ClientRequest request) {
    if (!request.body().empty()) {
        co_return error(ClientErrc::bad_request, "an upload's body is sent piece by piece");
    }
    Call call(system, pool, options, std::move(request));
    co_return co_await call.upload();
}

Task<Result<void>> stop_pool(Ref<ConnectionPool> pool, Duration drain) {
    Result<void> draining = co_await pool.ask<&ConnectionPool::drain>();
    if (!draining && draining.error() == Errc::actor_gone) co_return Result<void>();
    if (!draining) co_return draining;
    Result<void> drained = co_await pool.ask<&ConnectionPool::drained>().within(drain);
    pool.tell<&ConnectionPool::end_when_drained>();
    if (!drained && drained.error() == Errc::timed_out) {
        co_return error(Errc::timed_out, "requests of the client are still under way");
    }
    co_return drained;
}

Task<Result<ClientStats>> ask_stats(Ref<ConnectionPool> pool) {
    co_return co_await pool.ask<&ConnectionPool::stats>();
}

}  // namespace

Client::Client(System system, ClientOptions options)
    : system_(system),
      options_(options),
      // Unbounded: whoever asks waits for the answer, and a lease comes back once.
      pool_(system.spawn<ConnectionPool>(troupe::options().mailbox(unbounded()), options_)) {}

Task<Result<ClientResponse>> Client::get(std::string url) const {
    return send(ClientRequest("GET", std::move(url)));
}

Task<Result<ClientResponse>> Client::post(std::string url, std::string body) const {
    ClientRequest request("POST", std::move(url));
    request.body(std::move(body));
    return send(std::move(request));
}

Task<Result<ClientResponse>> Client::send(ClientRequest request) const {
    return send_whole(system_, pool_, options_, std::move(request));
}

Task<Result<ResponseStream>> Client::open(ClientRequest request) const {
    return send_streaming(system_, pool_, options_, std::move(request));
}

Task<Result<Upload>> Client::upload(ClientRequest request) const {
    return begin_upload(system_, pool_, options_, std::move(request));
}

Task<Result<void>> Client::stop(Duration drain) const {
    return stop_pool(pool_, drain);
}

Task<Result<ClientStats>> Client::stats() const {
    return ask_stats(pool_);
}

}  // namespace troupe::http

#pragma once

// An HTTP/1.1 client: `auto page = co_await client.get("http://127.0.0.1:8080/health");`
//
// Requests to one origin share connections: one that is done is kept for the next request, as long
// as both sides are sure where the response ended. Who has to wait for a connection waits in line.

#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/client_options.hpp>
#include <troupe/http/client_request.hpp>
#include <troupe/http/client_response.hpp>
#include <troupe/task/task.hpp>

#include <string>

namespace troupe {

namespace http_internal {
class ConnectionPool;
}

namespace http {

/// Sends requests and waits for their responses. A cheap handle: copies share the connections,
/// which last until stop(), or until the system ends; letting go of the handle changes nothing.
///
/// An address is http or https and a host: a number, localhost, or a name, which the machine is
/// asked for (the deterministic engine knows those it was told with set_host_addresses).
///
/// Errors:  timed_out, also while waiting in line; closed, when the connection broke, and
///          unreachable, when there was none; not_found, for an unknown host; cancelled, by a stop
///          of the actor; failed, with the TlsErrc as its cause; and ClientErrc. The text says
///          which request, what it was doing, and for how long. A response with a status of 400 or
///          more is none: it is a response.
/// Threads: in an actor or task of its system; suspends that, never the worker. Whoever is killed
///          or stopped meanwhile gives his connection back.
class Client {
public:
    explicit Client(System system, ClientOptions options = ClientOptions());

    Task<Result<ClientResponse>> get(std::string url) const;
    Task<Result<ClientResponse>> post(std::string url, std::string body) const;
    Task<Result<ClientResponse>> send(ClientRequest request) const;

    /// The same for a body that is read piece by piece. The time allowed for the request ends with
    /// the head of the response.
    Task<Result<ResponseStream>> open(ClientRequest request) const;

    /// Begins a request whose body is sent piece by piece. It has a connection of its own, is never
    /// tried again, and follows no redirect. The request's own body must be empty. The time allowed
    /// ends with the head of the request.
    Task<Result<Upload>> upload(ClientRequest request) const;

    /// Closes idle connections, refuses requests from now on, and waits for those under way, whose
    /// time limits are their own. A second call does nothing.
    ///
    /// Errors:  timed_out, when some are still under way after `drain`: the connections end with
    ///          them; cancelled.
    Task<Result<void>> stop(Duration drain = std::chrono::seconds(5)) const;

    /// Errors: actor_gone, once the client has stopped.
    Task<Result<ClientStats>> stats() const;

private:
    System system_;
    ClientOptions options_;
    Ref<http_internal::ConnectionPool> pool_;
};

}  // namespace http
}  // namespace troupe

#pragma once

namespace troupe::http {

/// What a client can find wrong; everything else it answers with Errc.
enum class ClientErrc {
    bad_url = 1,
    bad_request,         ///< the request cannot be sent as it is
    bad_response,        ///< what came is no HTTP response, or one with two meanings
    response_too_large,  ///< beyond a limit
    too_many_redirects,
    too_many_waiting,  ///< the queue for a connection is full
};

}  // namespace troupe::http

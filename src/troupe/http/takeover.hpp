#pragma once

// What comes behind HTTP on a connection: the other half of a 101 response, or over HTTP/2 of the
// 200 that answers an extended CONNECT (RFC 8441).

#include <string>
#include <utility>

namespace troupe {

class Actor;
class Stream;
template <class A>
class Ref;

namespace http {

/// Makes the actor that has a connection once it speaks another protocol. Given to a Response by
/// its switch_to(), for components that speak such a protocol.
class Takeover {
public:
    /// `head` is the whole response, as it goes over the wire of an HTTP/1.1 connection. Over
    /// HTTP/2 the stream of the request is taken over, and what goes is the head of the Response.
    explicit Takeover(std::string head) : head_(std::move(head)) {}
    Takeover(const Takeover&) = delete;
    Takeover& operator=(const Takeover&) = delete;
    virtual ~Takeover() = default;

    const std::string& head() const { return head_; }

    /// Spawns the actor, as a child of `server`: it counts as one of the server's connections, or
    /// as a stream of one of them, and is stopped with them. `received` is what the peer has sent
    /// behind its request.
    ///
    /// Threads: the server's turn, so nothing that takes its time.
    virtual Ref<Actor> begin(Actor& server, Stream stream, std::string received) = 0;

private:
    std::string head_;
};

}  // namespace http
}  // namespace troupe

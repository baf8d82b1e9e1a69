#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/peer_watch.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/connection_phase.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

class Gatekeeper;

/// One connection: reads requests, has them handled, and writes the responses in their order.
///
/// A handler that throws costs its connection and nothing else: the client is told 500, and the
/// actor ends as failed with what was thrown.
class Connection final : public Actor,
                         private BodySource,
                         private BodySink,
                         private io_internal::Observer {
public:
    Connection(std::shared_ptr<const ServerState> server,
               std::shared_ptr<net::ConnectionPhase> phase, std::shared_ptr<Place> place,
               Ref<Gatekeeper> gatekeeper, Stream stream);

    /// Does all of it; the actor ends afterwards.
    Task<void> serve();

private:
    /// What a response must know of its request, which the handler may have taken away.
    struct Asked {
        bool head_only = false;
        bool keep_alive = true;
        int minor_version = 1;
    };

    /// While something is on its way that is not, or no more, in the output.
    class Sending {
    public:
        explicit Sending(Connection& connection) : connection_(connection) {
            connection_.sending_ = true;
        }
        Sending(const Sending&) = delete;
        Sending& operator=(const Sending&) = delete;
        ~Sending() { connection_.sending_ = false; }

    private:
        Connection& connection_;
    };
    struct WaitsAgain;

    template <class T>
    class FlushingAwaiter;
    template <class T>
    FlushingAwaiter<T> flushing(Task<T> task);

    // From a request to its response.
    bool can_answer_here(const Handler* handler);
    http::Response answer(const Handler& handler);
    Task<http::Response> wait_for_answer(const Handler* handler);
    Task<http::Response> run(const Handler* handler);

    // The body of a request.
    RequestParser::Status collect_what_is_here();
    Task<void> collect_body();
    Task<void> skip_body();
    Task<bool> receive_body();
    Error body_error() const;
    Task<Result<std::string_view>> next() override;
    std::optional<std::uint64_t> length() const override { return parser_.body_length(); }
    const http::Headers& trailers() const override { return request_.trailers(); }

    // The response.
    Framing frame(const http::Response& response, const Asked& asked);
    bool write_small(http::Response& response, const Asked& asked);
    Task<void> write_large(http::Response response, Asked asked);
    Task<void> write_streamed(http::Response response);
    Task<void> hand_over(std::unique_ptr<http::Takeover> next);
    bool speaks_http2() const;
    Task<void> go_on_in_http2();
    Task<Result<void>> write(std::string_view piece) override;
    Task<Result<void>> write_file(int descriptor, std::uint64_t offset,
                                  std::uint64_t bytes) override;
    Task<Result<void>> send_file(int descriptor, std::uint64_t offset, std::uint64_t bytes);
    Task<Result<void>> send_now() override;
    void watch_peer(Scope* scope) override;
    void look_out_for_its_end();
    bool ready(Cell& cell) noexcept override;
    bool count_written(std::uint64_t bytes);
    void trailer(std::string_view name, std::string_view value) override;
    void refuse(const ParseRefusal& refusal);
    void note_unread(int status);
    const DateCache::Text& date();

    // The wire.
    Task<void> arrive();
    Task<void> receive();
    Task<void> receive_first();
    Task<bool> receive_more();
    Task<void> flush();
    Task<void> send(std::string_view bytes);
    void write_what_goes();
    void write_when_it_waits();
    void it_waits_again();
    Task<void> linger();

    std::shared_ptr<const ServerState> server_;    // shared as ServerState says
    std::shared_ptr<net::ConnectionPhase> phase_;  // shared with the gatekeeper
    Visitor visitor_;
    Ref<Gatekeeper> gatekeeper_;
    Stream stream_;
    RequestParser parser_;
    http::Request request_;
    ByteBuffer input_;
    ByteBuffer output_;
    DateCache dates_;
    const DateCache::Text* date_ = nullptr;  // of the present turn; null: to be asked for
    Duration patience_{};          // how much longer the rest of the request may let us wait
    std::exception_ptr thrown_;    // by a handler, until the actor ends with it
    ParseRefusal body_refusal_;    // what was wrong with the body, if anything
    std::size_t shown_ = 0;        // of the input: the piece a handler is looking at
    std::string trailer_lines_;    // to be sent behind the body
    std::uint64_t body_left_ = 0;  // to be written, if its length was said
    BodyEnd body_end_ = BodyEnd::nothing_follows;
    Errc broken_ = Errc::closed;  // why it is not connected any more
    PeerWatch peer_watch_;
    bool connected_ = true;  // the peer can be talked to
    bool open_ = true;       // further requests are welcome
    bool first_ = true;      // no request was read yet
    bool continue_sent_ = false;
    bool has_waited_ = false;     // a coroutine of the user's, since it was called
    bool hears_of_wait_ = false;  // a signal for that is on its way
    bool sending_ = false;        // see Sending
};

}  // namespace troupe::http_internal

#pragma once

// One HTTP/2 connection: an actor that has the socket and the session, and waits for the peer and
// for its own streams at once.
//
// A function that answers at once is called right here. Every other handler runs in an H2Exchange,
// a child, so that a stream that waits keeps nobody waiting and one that crashes takes nobody
// along. Between the two there is a Conduit, which is a Stream for the exchange; a WebSocket gets
// the same Stream and does not know the difference.

#include <troupe/actor/actor.hpp>
#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/h2_exchange.hpp>
#include <troupe/http/internal/h2_session.hpp>
#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/http/takeover.hpp>
#include <troupe/io/conduit.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/stream.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {

class H2Connection final : public Actor, private H2Session::Listener {
public:
    /// `received` is what the peer has sent by now.
    H2Connection(std::shared_ptr<const ServerState> server, std::shared_ptr<Place> place,
                 Stream stream, std::string received);
    ~H2Connection() override;

    /// Does all of it; the actor ends afterwards.
    Task<void> serve();

private:
    struct Work;

    // What the session tells.
    std::unique_ptr<H2Stream> make_stream(std::int32_t id) override;
    void on_request(H2Stream& stream) override;
    void on_refused(H2Stream& stream, const ParseRefusal& refusal) override;
    void on_data(H2Stream& stream, std::string_view bytes) override;
    void on_end(H2Stream& stream) override;
    void on_sent(H2Stream& stream, std::size_t bytes) override;
    void on_closed(H2Stream& stream, std::uint32_t code) override;
    void on_notice_heard() override;

    // From a request to its response.
    void collect(Work& work, std::string_view bytes);
    void uncollect(Work& work);
    void let_go_on();
    void handle(Work& work);
    http::Response answer(const Handler& handler, http::Request request);
    void respond(Work& work, http::Response response);
    void refuse(Work& work, const ParseRefusal& refusal);
    void note_unhandled(Work& work, int status);
    void note_what_is_left();
    bool open(Work& work, std::size_t bytes_max, Stream& near);
    void begin_exchange(Work& work);
    void begin_delivery(Work& work, http::Response response);
    H2Exchange::Begin beginning_of(Work& work);
    void take_over(Work& work, http::Response response, Stream near);

    // What the streams tell.
    void hear_news();
    void hear(Work& work);
    void hear_response(Work& work);
    std::size_t exchanges() const { return exchanges_ + orphans_.size(); }

    // Time, and the end.
    Duration now() const { return now_; }
    Duration later(Duration delay) const;
    void due(Duration when);
    void look_at_the_clock();
    void look_at(Work& work);
    void begin_to_send(Work& work);
    void begin_to_drain();
    Task<void> linger();
    const DateCache::Text& date();

    const std::shared_ptr<const ServerState> server_;  // shared as ServerState says
    Visitor visitor_;
    Stream stream_;
    const Endpoint local_;
    const Endpoint peer_;
    Junction junction_;
    H2Session session_;
    ByteBuffer input_;
    ByteBuffer output_;
    DateCache dates_;
    const DateCache::Text* date_ = nullptr;  // of the present turn; null: to be asked for

    std::size_t exchanges_ = 0;                // streams whose near end somebody has
    std::map<std::int32_t, Conduit> orphans_;  // the same, without their streams
    std::size_t collected_ = 0;                // bytes, of bodies that are not whole
    std::vector<std::uint64_t> news_;

    // Engine time.
    Duration now_{};
    Duration due_ = Duration::max();  // not before this anything is late
    Duration began_at_{};
    Duration idle_since_{};
    Duration head_since_{};
    Duration slice_since_{};  // the peer has the time of one write for each slice
    Duration drains_since_{};
    std::size_t slice_left_ = 0;
    bool inside_head_ = false;
    bool draining_ = false;   // the peer was told to begin nothing more
    bool last_told_ = false;  // and which request is the last one
};

}  // namespace troupe::http_internal

#pragma once

// HTTP/2 (RFC 9113) as a server speaks it, without a network and without actors: bytes go in and
// become requests, responses go in and become bytes. The frames, HPACK and the windows are
// nghttp2's; what is decided here is what they mean for us:
//
// * A request's fields are written down as an HTTP/1.1 head and read by RequestParser. So whatever
//   it refuses, is refused here too, and both protocols give handlers the same Request.
// * A window grows by what was read, not by what has arrived.
// * What a peer may do for nothing is limited: resets, and frames that bring no request and no
//   data. The clock is the caller's.

#include <troupe/base/duration.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/request_rate.hpp>
#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct nghttp2_session;

namespace troupe::http_internal {

/// Where the body of a response comes from, when it is not all there.
class H2Body {
public:
    /// How many bytes are here; whether nothing comes behind them.
    virtual std::size_t here() = 0;
    virtual bool ends() = 0;
    virtual void take(std::span<char> room) = 0;
    /// The lines behind it, once it ends.
    virtual std::string_view trailer_lines() = 0;

protected:
    ~H2Body() = default;
};

/// Why a stream is ended before its time: RFC 9113, section 7.
enum class H2Code : std::uint32_t {
    no_error = 0,
    protocol_error = 1,
    internal_error = 2,
    refused_stream = 7,
    cancel = 8,
    enhance_your_calm = 11,
};

/// A request and its response.
struct H2Stream {
    explicit H2Stream(std::int32_t the_id) : id(the_id) {}
    virtual ~H2Stream() = default;
    H2Stream(const H2Stream&) = delete;
    H2Stream& operator=(const H2Stream&) = delete;

    const std::int32_t id;
    http::Request request;
    std::uint64_t body_length = 0;
    bool body_length_known = false;
    bool head_only = false;  // it is a HEAD
    bool wants_continue = false;
    bool input_ended = false;   // the request is whole
    bool answered = false;      // a response was begun
    bool output_ended = false;  // and is whole, as far as we are concerned
    bool end_sent = false;      // and has been sent
    bool reads_on = false;      // what comes of the request after that is of use

private:
    friend class H2Session;

    // The head, as it arrives.
    std::string method_;
    std::string scheme_;
    std::string authority_;
    std::string path_;
    std::string protocol_;
    std::string host_;
    std::string cookies_;
    std::string fields_;
    std::string trailers_;  // as fields_
    std::size_t head_bytes_ = 0;
    bool head_whole_ = false;
    bool head_told_ = false;  // to the listener
    bool too_large_ = false;
    bool hosts_differ_ = false;
    bool has_host_ = false;
    bool has_priority_ = false;

    // The response's body.
    std::string body_;
    std::size_t body_sent_ = 0;
    H2Body* source_ = nullptr;  // outlives the stream
    bool waits_ = false;        // until resume()
    bool excused_ = false;      // its end is not the peer's doing
};

class H2Session {
public:
    struct Limits {
        std::size_t streams_max = 100;
        std::size_t stream_window_bytes = 65'535;
        std::size_t connection_window_bytes = 1024 * 1024;
        RateLimit resets{50, 200};
        RateLimit idle_frames{200, 2000};
        RequestLimits request;
    };

    /// What happens. Called from within receive() and fill(), in the order in which it happens.
    class Listener {
    public:
        virtual std::unique_ptr<H2Stream> make_stream(std::int32_t id) = 0;
        /// The head of a request is here.
        virtual void on_request(H2Stream& stream) = 0;
        /// The head of a request is here, and there is an answer to it already.
        virtual void on_refused(H2Stream& stream, const ParseRefusal& refusal) = 0;
        virtual void on_data(H2Stream& stream, std::string_view bytes) = 0;
        /// The request is whole. Not called for one that ends with its head.
        virtual void on_end(H2Stream& stream) = 0;
        /// Some of the response's body was taken.
        virtual void on_sent(H2Stream& stream, std::size_t bytes) = 0;
        /// It is over, and gone behind this.
        virtual void on_closed(H2Stream& stream, std::uint32_t code) = 0;
        /// The peer knows of what notice() has said.
        virtual void on_notice_heard() = 0;

    protected:
        ~Listener() = default;
    };

    H2Session(const Limits& limits, Listener& listener);
    ~H2Session();
    H2Session(const H2Session&) = delete;
    H2Session& operator=(const H2Session&) = delete;

    /// Takes what the peer has sent. What it is told of its mistakes comes out of fill().
    ///
    /// Units: `now` is engine time.
    void receive(std::string_view bytes, Duration now);

    /// Appends what is to be sent, until so much is in the buffer.
    void fill(ByteBuffer& out, std::size_t bytes_max);

    /// Whether there is something to read or to send at all; neither: it is over.
    bool wants_input() const;
    bool wants_output() const;
    /// Whether the peer has begun as a client does.
    bool begun() const { return begun_; }
    /// Whether the head of a request has begun and is not whole.
    bool inside_head();

    std::size_t streams() const { return streams_.size(); }
    H2Stream* find(std::int32_t id);
    template <class Visit>
    void for_each(Visit visit) {
        for (auto& [id, stream] : streams_)
            visit(*stream);
    }

    /// Puts into the request what there is of it, if its head is not whole or malformed.
    void tell_what_is_there(H2Stream& stream) const;

    /// Says that the body is welcome.
    void say_continue(H2Stream& stream);
    /// The response with its body.
    void respond(H2Stream& stream, http::Response response, const DateCache::Text& date);
    /// Its head; the body follows. `source` lives as long as the stream.
    void respond(H2Stream& stream, const http::Response& response, const DateCache::Text& date,
                 H2Body& source);
    /// The source has something again.
    void resume(H2Stream& stream);
    void reset(H2Stream& stream, H2Code code);

    /// So much of the request's body was read: the peer may send as much again.
    void consume(const H2Stream& stream, std::size_t bytes);
    /// The same for the whole connection only, and for the stream only.
    void consume_of_connection(std::size_t bytes);
    void consume_of_stream(const H2Stream& stream, std::size_t bytes);

    /// The peer is to begin nothing more; what it has begun until it hears this counts.
    void notice();
    /// What it has begun by now is the last.
    void go_away();
    /// All of it ends now, with this.
    void terminate(H2Code code);

private:
    struct Callbacks;
    friend struct Callbacks;

    int begin_head(std::int32_t id);
    int take_field(H2Stream& stream, std::string_view name, std::string_view value);
    int take_trailer(H2Stream& stream, std::string_view name, std::string_view value);
    void head_is_whole(H2Stream& stream, bool ends);
    void trailers_are_whole(H2Stream& stream);
    void count_idle_frame();
    void count_reset();
    void submit_head(H2Stream& stream, const http::Response& response, const DateCache::Text& date,
                     bool body_follows);

    const Limits limits_;
    Listener& listener_;
    nghttp2_session* session_ = nullptr;  // owned
    std::map<std::int32_t, std::unique_ptr<H2Stream>> streams_;
    RequestRate resets_;
    RequestRate idle_frames_;
    std::size_t credit_ = 0;  // idle frames that have been earned
    Duration now_{};
    ByteBuffer* out_ = nullptr;  // within fill()
    std::size_t out_bytes_max_ = 0;
    std::string text_;          // of the head that is read at present
    std::int32_t head_of_ = 0;  // the stream whose head has come last
    bool begun_ = false;
    bool broken_ = false;
};

}  // namespace troupe::http_internal

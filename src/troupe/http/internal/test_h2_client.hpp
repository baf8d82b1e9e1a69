#pragma once

// For tests: an HTTP/2 client, which is nghttp2's own client session over a Stream, and what it
// takes to say things that no such session would.

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/task.hpp>

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http_internal {

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it goes over the wire.
inline std::string h2_frame(unsigned type, unsigned flags, std::uint32_t stream,
                            std::string_view payload) {
    std::string frame;
    for (const int shift : {16, 8, 0})
        frame += static_cast<char>(payload.size() >> shift);
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0})
        frame += static_cast<char>(stream >> shift);
    return frame.append(payload);
}

/// How long a client waits where a test does not say: longer than any server here takes, which is
/// as long as it lets nobody ask for anything. Units: engine time.
inline constexpr Duration kH2Patience = std::chrono::minutes(2);

/// A client that has waited for nothing says for what.
inline void expect_in_time(const char* doing, const Error& why) {
    EXPECT_FALSE(why == Errc::timed_out) << doing << ": " << why.message();
}

using H2Fields = std::vector<std::pair<std::string, std::string>>;

/// A field block in which nothing is compressed and anything can be said.
inline std::string h2_block(const H2Fields& fields) {
    std::string block;
    const auto append = [&](const std::string& text) {
        // A length in seven bits, and beyond that in further bytes.
        if (text.size() < 127) {
            block += static_cast<char>(text.size());
        } else {
            block += static_cast<char>(127);
            std::size_t rest = text.size() - 127;
            for (; rest >= 128; rest /= 128)
                block += static_cast<char>(rest % 128 + 128);
            block += static_cast<char>(rest);
        }
        block += text;
    };
    for (const auto& [name, value] : fields) {
        block += '\0';
        append(name);
        append(value);
    }
    return block;
}

inline H2Fields h2_request(const std::string& method, const std::string& path) {
    return {{":method", method}, {":scheme", "http"}, {":authority", "test"}, {":path", path}};
}

/// What a server answered on one stream.
struct H2Reply {
    int status = 0;    // 0: no head has come
    int informed = 0;  // of the last 1xx
    H2Fields fields;
    H2Fields trailers;
    std::string body;
    bool closed = false;
    std::uint32_t code = 0;  // with which it was closed

    std::string field(std::string_view name) const {
        for (const auto& [one, value] : fields) {
            if (one == name) return value;
        }
        return std::string();
    }
};

class H2Client {
public:
    /// `windows_grow`: false, and the server may send only so much until take() is called.
    H2Client(Stream stream, bool windows_grow) : state_(std::make_unique<State>()) {
        state_->stream = std::move(stream);
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, &State::on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &State::on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &State::on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &State::on_close);
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_no_auto_window_update(option, windows_grow ? 0 : 1);
        nghttp2_option_set_max_outbound_ack(option, 100'000);
        nghttp2_session_client_new2(&state_->session, callbacks, state_.get(), option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(state_->session, NGHTTP2_FLAG_NONE, nullptr, 0);
    }

    static Task<Result<Stream>> reach(System system, std::uint16_t port) {
        static const TlsClient client =
            io_internal::test_tls_client(TlsClientOptions().protocols({"h2"}).resumes(false));
        auto stream =
            co_await troupe::connect(system.engine(), Endpoint("127.0.0.1", port), kH2Patience);
        if (stream && net_internal::over_tls()) {
            co_return tls_over(std::move(*stream), client, "localhost");
        }
        co_return stream;
    }

    static Task<H2Client> connect(System system, std::uint16_t port, bool windows_grow = true) {
        auto stream = co_await reach(system, port);
        EXPECT_TRUE(stream.has_value()) << stream.error().message();
        co_return H2Client(stream ? std::move(*stream) : Stream(), windows_grow);
    }

    /// Begins a request; it leaves with the next wait. `whole`: its body is this, else more comes.
    std::int32_t begin(const H2Fields& fields, std::string body = std::string(),
                       bool whole = true) {
        std::vector<nghttp2_nv> lines;
        for (const auto& [name, value] : fields)
            lines.push_back(line(name, value));
        nghttp2_data_provider provider{};
        provider.read_callback = &State::read_body;
        const bool has_body = !body.empty() || !whole;
        const std::int32_t id =
            nghttp2_submit_request(state_->session, nullptr, lines.data(), lines.size(),
                                   has_body ? &provider : nullptr, nullptr);
        state_->bodies[id] = {std::move(body), whole, {}};
        return id;
    }
    std::int32_t get(const std::string& path) { return begin(h2_request("GET", path)); }
    std::int32_t post(const std::string& path, std::string body) {
        return begin(h2_request("POST", path), std::move(body));
    }

    /// More of a body, and whether that was all, and the lines behind it.
    void go_on(std::int32_t id, std::string_view bytes, bool whole,
               H2Fields trailers = H2Fields()) {
        Body& body = state_->bodies[id];
        body.rest.append(bytes);
        body.whole = whole;
        body.trailers = std::move(trailers);
        nghttp2_session_resume_data(state_->session, id);
    }
    void reset(std::int32_t id, std::uint32_t code = NGHTTP2_CANCEL) {
        nghttp2_submit_rst_stream(state_->session, NGHTTP2_FLAG_NONE, id, code);
    }
    void ping() { nghttp2_submit_ping(state_->session, NGHTTP2_FLAG_NONE, nullptr); }
    /// The server may send as much again of this stream.
    void take(std::int32_t id, std::size_t bytes) {
        nghttp2_session_consume(state_->session, id, bytes);
    }

    H2Reply& reply(std::int32_t id) { return state_->replies[id]; }

    /// The whole response. Not closed: the connection ended before.
    Task<H2Reply> finish(std::int32_t id) {
        while (!state_->replies[id].closed) {
            const bool moved = co_await step();
            if (!moved) break;
        }
        co_return state_->replies[id];
    }
    /// Waits for the head of the response.
    Task<H2Reply> head(std::int32_t id) {
        while (state_->replies[id].status == 0 && !state_->replies[id].closed) {
            const bool moved = co_await step();
            if (!moved) break;
        }
        co_return state_->replies[id];
    }
    Task<H2Reply> ask(const std::string& path) {
        const std::int32_t id = get(path);
        co_return co_await finish(id);
    }

    /// Sends what is to be sent and nothing more.
    Task<bool> send() {
        std::string bytes = state_->outgoing();
        if (bytes.empty()) co_return true;
        co_return co_await write(std::move(bytes));
    }
    /// Bytes of any kind, behind what is to be sent.
    Task<bool> send_raw(std::string bytes) {
        const bool sent = co_await send();
        if (!sent) co_return false;
        co_return co_await write(std::move(bytes));
    }
    /// Sends, and reads once. False: the connection has ended.
    Task<bool> step(Duration longest = kH2Patience) {
        const bool sent = co_await send();
        if (!sent && state_->broken) co_return false;
        char buffer[4000];
        auto got = co_await state_->stream.read_some(buffer).within(longest);
        if (!got && got.error() == Errc::timed_out) {
            // The time was ours, or that of a handshake, after which nothing works any more.
            const auto late = state_->stream.try_read(buffer);
            if (late && !*late && longest < kH2Patience) co_return true;
            if (late && *late) {
                got = **late;
            } else {
                expect_in_time("reading what the server sends", got.error());
            }
        }
        state_->broken = !got || *got == 0;
        if (state_->broken) co_return false;
        const ssize_t used = nghttp2_session_mem_recv(
            state_->session, reinterpret_cast<const std::uint8_t*>(buffer), *got);
        EXPECT_GE(used, 0) << "what the server sent is HTTP/2";
        co_return used >= 0;
    }
    /// Reads up to the end of the connection. False: it was reset.
    Task<bool> ended() {
        for (;;) {
            const bool moved = co_await step();
            if (!moved) co_return true;
        }
    }

    bool told_to_go() const { return state_->goaways > 0; }
    int goaways() const { return state_->goaways; }
    std::int32_t last_stream() const { return state_->last_stream; }
    std::uint32_t goaway_code() const { return state_->goaway_code; }
    std::uint32_t setting(nghttp2_settings_id id) const {
        return nghttp2_session_get_remote_settings(state_->session, id);
    }
    /// What the server would take now, of a stream and of all.
    std::int32_t window(std::int32_t id) const {
        return nghttp2_session_get_stream_remote_window_size(state_->session, id);
    }
    std::int32_t window() const { return nghttp2_session_get_remote_window_size(state_->session); }
    std::size_t unsent(std::int32_t id) const { return state_->bodies[id].rest.size(); }
    Stream& stream() { return state_->stream; }
    void close() { state_->stream.close(); }

private:
    Task<bool> write(std::string bytes) {
        const auto written = co_await state_->stream.write_all(bytes).within(kH2Patience);
        if (!written) expect_in_time("writing to the server", written.error());
        state_->broken = state_->broken || (!written && written.error() == Errc::timed_out);
        co_return written.has_value();
    }

    struct Body {
        std::string rest;
        bool whole = true;
        H2Fields trailers;
    };

    static nghttp2_nv line(const std::string& name, const std::string& value) {
        return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                value.size(), NGHTTP2_NV_FLAG_NONE};
    }

    struct State {
        State() = default;
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() { nghttp2_session_del(session); }

        std::string outgoing() {
            std::string bytes;
            for (;;) {
                const std::uint8_t* data = nullptr;
                const ssize_t size = nghttp2_session_mem_send(session, &data);
                if (size <= 0) return bytes;
                bytes.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
            }
        }

        static State& of(void* user) { return *static_cast<State*>(user); }
        static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                             std::size_t name_size, const std::uint8_t* value,
                             std::size_t value_size, std::uint8_t, void* user) {
            H2Reply& reply = of(user).replies[frame->hd.stream_id];
            const std::string one(reinterpret_cast<const char*>(name), name_size);
            const std::string text(reinterpret_cast<const char*>(value), value_size);
            if (one == ":status") {
                const int status = std::stoi(text);
                (status < 200 ? reply.informed : reply.status) = status;
            } else if (frame->headers.cat == NGHTTP2_HCAT_HEADERS && reply.status != 0 &&
                       of(user).heads[frame->hd.stream_id]) {
                reply.trailers.emplace_back(one, text);
            } else {
                reply.fields.emplace_back(one, text);
            }
            return 0;
        }
        static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
            State& self = of(user);
            if (frame->hd.type == NGHTTP2_HEADERS) {
                self.heads[frame->hd.stream_id] = self.replies[frame->hd.stream_id].status != 0;
            }
            if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
            ++self.goaways;
            self.goaway_code = frame->goaway.error_code;
            self.last_stream = frame->goaway.last_stream_id;
            return 0;
        }
        static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id,
                           const std::uint8_t* bytes, std::size_t size, void* user) {
            of(user).replies[id].body.append(reinterpret_cast<const char*>(bytes), size);
            return 0;
        }
        static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
            H2Reply& reply = of(user).replies[id];
            reply.closed = true;
            reply.code = code;
            return 0;
        }
        static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* out,
                                 std::size_t length, std::uint32_t* flags, nghttp2_data_source*,
                                 void* user) {
            Body& body = of(user).bodies[id];
            if (body.rest.empty() && !body.whole) return NGHTTP2_ERR_DEFERRED;
            const std::size_t size = std::min(length, body.rest.size());
            std::memcpy(out, body.rest.data(), size);
            body.rest.erase(0, size);
            if (body.rest.empty() && body.whole) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
                if (!body.trailers.empty()) {
                    std::vector<nghttp2_nv> lines;
                    for (const auto& [name, value] : body.trailers)
                        lines.push_back(line(name, value));
                    nghttp2_submit_trailer(session, id, lines.data(), lines.size());
                    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                }
            }
            return static_cast<ssize_t>(size);
        }

        nghttp2_session* session = nullptr;  // owned
        Stream stream;
        std::map<std::int32_t, H2Reply> replies;
        std::map<std::int32_t, Body> bodies;
        std::map<std::int32_t, bool> heads;  // whose final head is here
        int goaways = 0;
        std::uint32_t goaway_code = 0;
        std::int32_t last_stream = 0;
        bool broken = false;
    };

    std::unique_ptr<State> state_;
};

/// A client that says whatever it is told, and puts what comes into words.
class H2Raw {
public:
    explicit H2Raw(Stream stream) : state_(std::make_unique<State>()) {
        state_->stream = std::move(stream);
        nghttp2_hd_inflate_new(&state_->inflater);
    }

    static Task<H2Raw> connect(System system, std::uint16_t port) {
        auto stream = co_await H2Client::reach(system, port);
        EXPECT_TRUE(stream.has_value()) << stream.error().message();
        H2Raw raw(stream ? std::move(*stream) : Stream());
        EXPECT_TRUE(co_await raw.send(std::string(kH2Preface) + h2_frame(4, 0, 0, "")));
        co_return raw;
    }

    Task<bool> send(std::string bytes) {
        const auto written = co_await state_->stream.write_all(bytes).within(kH2Patience);
        if (!written) expect_in_time("writing to the server", written.error());
        co_return written.has_value();
    }

    /// What becomes of a stream, or of the whole connection: "200", "reset 1", "goaway 11", "end".
    /// Whatever else comes is passed over.
    Task<std::string> outcome(std::uint32_t stream) {
        for (;;) {
            Frame frame;
            const bool received = co_await receive(&frame);
            if (!received) co_return "end";
            if (frame.type == NGHTTP2_GOAWAY) {
                co_return "goaway " + std::to_string(number_at(frame.payload, 4));
            }
            const std::string status =
                frame.type == NGHTTP2_HEADERS ? inflate(frame.payload) : std::string();
            if (frame.stream != stream) continue;
            if (frame.type == NGHTTP2_RST_STREAM) {
                co_return "reset " + std::to_string(number_at(frame.payload, 0));
            }
            if (!status.empty()) co_return status;
        }
    }

    void close() { state_->stream.close(); }

private:
    struct Frame {
        unsigned type = 0;
        std::uint32_t stream = 0;
        std::string payload;
    };
    struct State {
        State() = default;
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() { nghttp2_hd_inflate_del(inflater); }

        Stream stream;
        std::string pending;
        nghttp2_hd_inflater* inflater = nullptr;  // owned
    };

    static std::uint32_t number_at(const std::string& text, std::size_t at) {
        std::uint32_t number = 0;
        for (std::size_t i = at; i < at + 4 && i < text.size(); ++i)
            number = number << 8 | static_cast<unsigned char>(text[i]);
        return number;
    }

    Task<bool> receive(Frame* frame) {
        constexpr std::size_t kHead = 9;
        for (;;) {
            std::string& pending = state_->pending;
            if (pending.size() >= kHead) {
                const std::size_t size = number_at(pending, 0) >> 8;
                if (pending.size() >= kHead + size) {
                    frame->type = static_cast<unsigned char>(pending[3]);
                    frame->stream = number_at(pending, 5);
                    frame->payload = pending.substr(kHead, size);
                    pending.erase(0, kHead + size);
                    co_return true;
                }
            }
            char buffer[4000];
            const auto got = co_await state_->stream.read_some(buffer).within(kH2Patience);
            if (!got) expect_in_time("reading what the server sends", got.error());
            if (!got || *got == 0) co_return false;
            pending.append(buffer, *got);
        }
    }

    /// The status of a block, which the table of all blocks before it is needed for.
    std::string inflate(const std::string& block) {
        std::string status;
        const auto* at = reinterpret_cast<const std::uint8_t*>(block.data());
        std::size_t left = block.size();
        for (;;) {
            nghttp2_nv field;
            int flags = 0;
            const ssize_t used =
                nghttp2_hd_inflate_hd2(state_->inflater, &field, &flags, at, left, 1);
            if (used < 0) break;
            at += used;
            left -= static_cast<std::size_t>(used);
            const std::string name(reinterpret_cast<const char*>(field.name), field.namelen);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && name == ":status") {
                status.assign(reinterpret_cast<const char*>(field.value), field.valuelen);
            }
            if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
        }
        nghttp2_hd_inflate_end_headers(state_->inflater);
        return status;
    }

    std::unique_ptr<State> state_;
};

}  // namespace troupe::http_internal

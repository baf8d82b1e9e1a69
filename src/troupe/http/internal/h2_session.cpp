#include <troupe/base/assert.hpp>
#include <troupe/http/internal/h2_session.hpp>
#include <troupe/http/internal/text.hpp>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace troupe::http_internal {

namespace {

// What a frame that brings a request or takes data earns: a peer that does something may say a few
// things besides, such as how much it can take.
constexpr std::size_t kEarnedByRequest = 8;
constexpr std::size_t kEarnedByData = 4;
constexpr std::size_t kCreditMax = 10'000;

// What RFC 9113, section 6.5.2, adds to a field's name and value when it counts a list's size.
constexpr std::size_t kFieldOverhead = 32;

constexpr const char* kNoMemory = "nghttp2 refuses nothing but for want of memory";

constexpr ParseRefusal kHeadTooLarge{431, "The header lines are larger than this server accepts."};
constexpr ParseRefusal kUnknownProtocol{501,
                                        "The only protocol to connect to here is \"websocket\"."};

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

/// Whether it could end a line of the head that we write.
bool holds_line_end(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

void append_line(std::string& lines, std::string_view name, std::string_view value) {
    lines.append(name).append(": ").append(value).append("\r\n");
}

nghttp2_nv field(std::string_view name, std::string_view value) {
    // nghttp2 copies both.
    nghttp2_nv nv;
    nv.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
    nv.value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
    nv.namelen = name.size();
    nv.valuelen = value.size();
    nv.flags = NGHTTP2_NV_FLAG_NONE;
    return nv;
}

/// Lines that speak of one connection, of which there are none in HTTP/2.
bool is_of_connection(std::string_view name) {
    constexpr std::array<std::string_view, 5> kNames = {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
    return std::any_of(kNames.begin(), kNames.end(),
                       [&](std::string_view one) { return equals_ignoring_case(one, name); });
}

/// Calls `visit(name, value)` for each of the lines that a Response has made.
template <class Visit>
void for_each_line(std::string_view lines, Visit visit) {
    while (!lines.empty()) {
        const std::size_t end = lines.find("\r\n");
        const std::size_t colon = lines.find(": ");
        visit(lines.substr(0, colon), lines.substr(colon + 2, end - colon - 2));
        lines.remove_prefix(end + 2);
    }
}

struct FreeCallbacks {
    void operator()(nghttp2_session_callbacks* one) const { nghttp2_session_callbacks_del(one); }
};
struct FreeOption {
    void operator()(nghttp2_option* one) const { nghttp2_option_del(one); }
};

}  // namespace

// ---- what nghttp2 calls -------------------------------------------------------------------------

struct H2Session::Callbacks {
    static H2Session& of(void* user) { return *static_cast<H2Session*>(user); }

    static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
        H2Session& self = of(user);
        switch (head->type) {
            case NGHTTP2_HEADERS:
                self.head_of_ = head->stream_id;
                break;
            case NGHTTP2_DATA:
                if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0) {
                    self.count_idle_frame();
                }
                break;
            default:
                self.count_idle_frame();
        }
        return 0;
    }

    static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return of(user).begin_head(frame->hd.stream_id);
    }

    static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* user) {
        H2Session& self = of(user);
        H2Stream* const stream = self.find(frame->hd.stream_id);
        if (stream == nullptr) return 0;
        const std::string_view field_name = text_of(name, name_size);
        const std::string_view field_value = text_of(value, value_size);
        if (holds_line_end(field_name) || holds_line_end(field_value)) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        return stream->head_whole_ ? self.take_trailer(*stream, field_name, field_value)
                                   : self.take_field(*stream, field_name, field_value);
    }

    /// A field that cannot be one makes its request malformed: nghttp2 would leave it out.
    static int invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*,
                              std::size_t, const std::uint8_t*, std::size_t, std::uint8_t, void*) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        H2Session& self = of(user);
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        switch (frame->hd.type) {
            case NGHTTP2_HEADERS: {
                H2Stream* const stream = self.find(frame->hd.stream_id);
                if (stream == nullptr) break;
                if (!stream->head_whole_) {
                    self.head_is_whole(*stream, ends);
                } else if (ends) {
                    self.trailers_are_whole(*stream);
                }
                break;
            }
            case NGHTTP2_DATA:
                if (H2Stream* const stream = self.find(frame->hd.stream_id);
                    stream != nullptr && ends && !stream->input_ended) {
                    stream->input_ended = true;
                    self.listener_.on_end(*stream);
                }
                break;
            case NGHTTP2_SETTINGS:
                self.begun_ = true;
                break;
            case NGHTTP2_PING:
                if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self.listener_.on_notice_heard();
                break;
            default:
                break;
        }
        return 0;
    }

    static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        H2Session& self = of(user);
        const bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
        H2Stream* const stream = self.find(frame->hd.stream_id);
        if (stream == nullptr) return 0;
        stream->end_sent = true;
        // The rest of the request is of no use to anybody.
        if (!stream->input_ended && !stream->reads_on) self.reset(*stream, H2Code::no_error);
        return 0;
    }

    static int unknown_frame(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) {
        return NGHTTP2_ERR_CANCEL;
    }

    static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id,
                          const std::uint8_t* bytes, std::size_t size, void* user) {
        H2Session& self = of(user);
        H2Stream* const stream = self.find(id);
        if (stream != nullptr) {
            self.listener_.on_data(*stream, text_of(bytes, size));
        } else {
            nghttp2_session_consume_connection(session, size);
        }
        return 0;
    }

    static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        H2Session& self = of(user);
        const auto found = self.streams_.find(id);
        if (found == self.streams_.end()) return 0;
        // Out of the table first: whoever is told must not find it.
        const std::unique_ptr<H2Stream> stream = std::move(found->second);
        self.streams_.erase(found);
        if (code != NGHTTP2_NO_ERROR && !stream->excused_) self.count_reset();
        self.listener_.on_closed(*stream, code);
        return 0;
    }

    static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                             std::size_t length, std::uint32_t* flags, nghttp2_data_source*,
                             void* user) {
        H2Stream* const stream = of(user).find(id);
        if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        // In this order: what is written between the two questions comes before the end.
        const bool ends = stream->source_ == nullptr || stream->source_->ends();
        const std::size_t here = stream->source_ != nullptr
                                     ? stream->source_->here()
                                     : stream->body_.size() - stream->body_sent_;
        if (here == 0 && !ends) {
            stream->waits_ = true;
            return NGHTTP2_ERR_DEFERRED;
        }
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (ends && here <= length) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            stream->output_ended = true;
            const std::string_view trailers =
                stream->source_ != nullptr ? stream->source_->trailer_lines() : std::string_view();
            if (!trailers.empty()) {
                std::vector<nghttp2_nv> fields;
                for_each_line(trailers, [&](std::string_view name, std::string_view value) {
                    if (!is_of_connection(name)) fields.push_back(field(name, value));
                });
                if (nghttp2_submit_trailer(session, id, fields.data(), fields.size()) == 0) {
                    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                }
            }
        }
        return static_cast<ssize_t>(std::min(here, length));
    }

    static int send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                         std::size_t length, nghttp2_data_source*, void* user) {
        constexpr std::size_t kFrameHead = 9;
        H2Session& self = of(user);
        H2Stream* const stream = self.find(frame->hd.stream_id);
        if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        self.out_->append(text_of(head, kFrameHead));
        const std::span<char> room = self.out_->room(length).first(length);
        if (stream->source_ != nullptr) {
            stream->source_->take(room);
        } else if (length > 0) {
            std::memcpy(room.data(), stream->body_.data() + stream->body_sent_, length);
            stream->body_sent_ += length;
        }
        self.out_->put(length);
        self.credit_ = std::min(self.credit_ + kEarnedByData, kCreditMax);
        self.listener_.on_sent(*stream, length);
        return self.out_->size() >= self.out_bytes_max_ ? NGHTTP2_ERR_PAUSE : 0;
    }

    static nghttp2_session_callbacks* all() {
        static const std::unique_ptr<nghttp2_session_callbacks, FreeCallbacks> made = make();
        return made.get();
    }

private:
    static std::unique_ptr<nghttp2_session_callbacks, FreeCallbacks> make() {
        nghttp2_session_callbacks* made = nullptr;
        nghttp2_session_callbacks_new(&made);
        TROUPE_ASSERT(made != nullptr, kNoMemory);
        nghttp2_session_callbacks_set_on_begin_frame_callback(made, &begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(made, &begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(made, &header);
        nghttp2_session_callbacks_set_on_invalid_header_callback(made, &invalid_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(made, &frame_received);
        nghttp2_session_callbacks_set_on_frame_send_callback(made, &frame_sent);
        nghttp2_session_callbacks_set_unpack_extension_callback(made, &unknown_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &data_chunk);
        nghttp2_session_callbacks_set_on_stream_close_callback(made, &stream_closed);
        nghttp2_session_callbacks_set_send_data_callback(made, &send_body);
        return std::unique_ptr<nghttp2_session_callbacks, FreeCallbacks>(made);
    }
};

H2Session::H2Session(const Limits& limits, Listener& listener)
    : limits_(limits),
      listener_(listener),
      resets_(limits.resets),
      idle_frames_(limits.idle_frames) {
    nghttp2_option* made = nullptr;
    nghttp2_option_new(&made);
    TROUPE_ASSERT(made != nullptr, kNoMemory);
    const std::unique_ptr<nghttp2_option, FreeOption> option(made);
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_builtin_recv_extension_type(made, NGHTTP2_PRIORITY_UPDATE);
    // So that frames of kinds that nobody knows are told to us, and can be counted.
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= 0xFF; ++type) {
        if (type == NGHTTP2_PRIORITY_UPDATE) continue;
        nghttp2_option_set_user_recv_extension_type(made, static_cast<std::uint8_t>(type));
    }
    nghttp2_session_server_new2(&session_, Callbacks::all(), this, made);
    TROUPE_ASSERT(session_ != nullptr, kNoMemory);
    const auto number = [](std::size_t value) {
        return static_cast<std::uint32_t>(std::min<std::size_t>(value, 0x7FFF'FFFF));
    };
    const std::array<nghttp2_settings_entry, 5> settings = {{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, number(limits.streams_max)},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, number(limits.stream_window_bytes)},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, number(limits.request.head_bytes_max)},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    }};
    const bool submitted =
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) ==
            0 &&
        nghttp2_session_set_local_window_size(
            session_, NGHTTP2_FLAG_NONE, 0,
            static_cast<std::int32_t>(number(limits.connection_window_bytes))) == 0;
    TROUPE_ASSERT(submitted, "nghttp2 does not take our settings");
}

H2Session::~H2Session() {
    nghttp2_session_del(session_);
}

// ---- bytes --------------------------------------------------------------------------------------

void H2Session::receive(std::string_view bytes, Duration now) {
    now_ = now;
    if (broken_) return;
    const ssize_t used = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    // Of a peer's mistakes nghttp2 tells the peer itself, in a GOAWAY that fill() gives out. What
    // is left is a client that does not begin as one, and our own memory.
    if (used < 0) broken_ = true;
}

void H2Session::fill(ByteBuffer& out, std::size_t bytes_max) {
    out_ = &out;
    out_bytes_max_ = bytes_max;
    while (out.size() < bytes_max) {
        const std::uint8_t* bytes = nullptr;
        const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
        if (size < 0) broken_ = true;
        if (size <= 0) break;
        out.append(text_of(bytes, static_cast<std::size_t>(size)));
    }
    out_ = nullptr;
}

bool H2Session::wants_input() const {
    return !broken_ && nghttp2_session_want_read(session_) != 0;
}

bool H2Session::wants_output() const {
    return nghttp2_session_want_write(session_) != 0;
}

bool H2Session::inside_head() {
    const H2Stream* const stream = head_of_ != 0 ? find(head_of_) : nullptr;
    return stream != nullptr && !stream->head_whole_;
}

// ---- requests -----------------------------------------------------------------------------------

H2Stream* H2Session::find(std::int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

int H2Session::begin_head(std::int32_t id) {
    std::unique_ptr<H2Stream> stream = listener_.make_stream(id);
    nghttp2_session_set_stream_user_data(session_, id, stream.get());
    streams_.emplace(id, std::move(stream));
    credit_ = std::min(credit_ + kEarnedByRequest, kCreditMax);
    return 0;
}

int H2Session::take_field(H2Stream& stream, std::string_view name, std::string_view value) {
    stream.head_bytes_ += name.size() + value.size() + kFieldOverhead;
    if (stream.head_bytes_ > limits_.request.head_bytes_max && name != ":path") {
        stream.too_large_ = true;
        return 0;
    }
    if (name.starts_with(':')) {
        // That there is each of them once, and only those there are, is nghttp2's to see.
        if (name == ":method") stream.method_ = value;
        if (name == ":scheme") stream.scheme_ = value;
        if (name == ":authority") stream.authority_ = value;
        if (name == ":path") stream.path_ = value;
        if (name == ":protocol") stream.protocol_ = value;
    } else if (name == "host") {
        stream.hosts_differ_ = stream.hosts_differ_ || stream.has_host_;
        stream.has_host_ = true;
        stream.host_ = value;
    } else if (name == "cookie") {
        if (!stream.cookies_.empty()) stream.cookies_ += "; ";
        stream.cookies_ += value;
    } else {
        if (name == "priority") stream.has_priority_ = true;
        append_line(stream.fields_, name, value);
    }
    return 0;
}

int H2Session::take_trailer(H2Stream& stream, std::string_view name, std::string_view value) {
    stream.head_bytes_ += name.size() + value.size() + kFieldOverhead;
    if (stream.head_bytes_ > 2 * limits_.request.head_bytes_max) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    append_line(stream.trailers_, name, value);
    return 0;
}

void H2Session::head_is_whole(H2Stream& stream, bool ends) {
    stream.head_whole_ = true;
    stream.input_ended = ends;
    const bool connects = stream.method_ == "CONNECT";
    const bool extended = connects && !stream.protocol_.empty();
    const bool hosts_differ =
        stream.hosts_differ_ || (stream.has_host_ && !stream.authority_.empty() &&
                                 !equals_ignoring_case(stream.host_, stream.authority_));
    if (hosts_differ) return reset(stream, H2Code::protocol_error);

    // The same as an HTTP/1.1 client would write it, and an extended CONNECT as the GET it stands
    // for: those who handle WebSockets are found by that.
    text_.clear();
    text_.append(extended ? "GET" : stream.method_).append(" ");
    text_.append(connects && !extended ? stream.authority_ : stream.path_).append(" HTTP/1.1\r\n");
    append_line(text_, "host", stream.has_host_ ? stream.host_ : stream.authority_);
    text_ += stream.fields_;
    if (!stream.cookies_.empty()) append_line(text_, "cookie", stream.cookies_);
    text_ += "\r\n";
    RequestParser parser(limits_.request);
    const RequestParser::Step step = parser.read_head(text_, stream.request);
    std::exchange(stream.fields_, std::string());
    std::exchange(stream.cookies_, std::string());

    if (!stream.has_priority_) {
        // Those who say nothing take turns, in place of going one after the other.
        const nghttp2_extpri priority{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
        nghttp2_session_change_extpri_stream_priority(session_, stream.id, &priority, 0);
    }
    stream.head_told_ = true;
    if (step.status != RequestParser::Status::head) {
        parser.tell_what_is_there(text_, stream.request);
    }
    if (step.status == RequestParser::Status::refused) {
        const bool only_large = stream.too_large_ && parser.refusal().status != 414;
        return listener_.on_refused(stream, only_large ? kHeadTooLarge : parser.refusal());
    }
    if (stream.too_large_ || step.status != RequestParser::Status::head) {
        return listener_.on_refused(stream, kHeadTooLarge);
    }
    http::Request& request = stream.request;
    request.opens_websocket = stream.protocol_ == "websocket";
    if (extended && !request.opens_websocket) return listener_.on_refused(stream, kUnknownProtocol);
    stream.head_only = stream.method_ == "HEAD";
    stream.body_length_known = ends || request.header("content-length").has_value();
    stream.body_length = parser.body_follows() ? parser.body_length().value_or(0) : 0;
    // What else could be expected, the parser has refused.
    stream.wants_continue = !ends && request.header("expect").has_value();
    listener_.on_request(stream);
}

void H2Session::tell_what_is_there(H2Stream& stream) const {
    if (std::exchange(stream.head_told_, true)) return;
    const std::string target = stream.path_.substr(0, limits_.request.target_bytes_max);
    const std::size_t path_size = std::min(target.find('?'), target.size());
    stream.request.method = stream.method_;
    stream.request.path = target.substr(0, path_size);
    stream.request.query = target.substr(std::min(path_size + 1, target.size()));
}

void H2Session::trailers_are_whole(H2Stream& stream) {
    for_each_line(stream.trailers_, [&](std::string_view name, std::string_view value) {
        stream.request.trailers().add(name, value);
    });
    stream.trailers_.clear();
    if (std::exchange(stream.input_ended, true)) return;
    listener_.on_end(stream);
}

/// A frame that brings neither a request nor data.
void H2Session::count_idle_frame() {
    if (credit_ > 0) {
        --credit_;
    } else if (idle_frames_.take(now_) > Duration::zero()) {
        terminate(H2Code::enhance_your_calm);
    }
}

/// A stream that came to an end before its response did, and not because we wanted that.
void H2Session::count_reset() {
    if (resets_.take(now_) > Duration::zero()) terminate(H2Code::enhance_your_calm);
}

// ---- responses ----------------------------------------------------------------------------------

void H2Session::say_continue(H2Stream& stream) {
    const nghttp2_nv status = field(":status", "100");
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, &status, 1, nullptr);
}

void H2Session::submit_head(H2Stream& stream, const http::Response& response,
                            const DateCache::Text& date, bool body_follows) {
    std::array<char, 3> status{};
    std::to_chars(status.data(), status.data() + status.size(), status_on_wire(response));
    std::array<char, 20> length{};
    std::vector<nghttp2_nv> fields;
    fields.reserve(16);
    fields.push_back(field(":status", std::string_view(status.data(), status.size())));
    fields.push_back(field("date", std::string_view(date.data(), date.size())));
    if (const auto bytes = length_on_wire(response)) {
        const char* const end = std::to_chars(length.begin(), length.end(), *bytes).ptr;
        fields.push_back(
            field("content-length",
                  std::string_view(length.data(), static_cast<std::size_t>(end - length.data()))));
    }
    if (!response.type().empty()) fields.push_back(field("content-type", response.type()));
    for_each_line(response.header_lines(), [&](std::string_view name, std::string_view value) {
        if (!is_of_connection(name)) fields.push_back(field(name, value));
    });
    nghttp2_data_provider body{};
    body.read_callback = &Callbacks::read_body;
    nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(),
                            body_follows ? &body : nullptr);
    stream.answered = true;
    if (!body_follows) stream.output_ended = true;
}

void H2Session::respond(H2Stream& stream, http::Response response, const DateCache::Text& date) {
    Framing framing;
    framing.head_only = stream.head_only;
    const bool nothing_follows = body_end(response, framing) == BodyEnd::nothing_follows;
    submit_head(stream, response, date, !nothing_follows && !response.body().empty());
    if (!nothing_follows) stream.body_ = response.take_body();
}

void H2Session::respond(H2Stream& stream, const http::Response& response,
                        const DateCache::Text& date, H2Body& source) {
    stream.source_ = &source;
    submit_head(stream, response, date, true);
}

void H2Session::resume(H2Stream& stream) {
    if (std::exchange(stream.waits_, false)) nghttp2_session_resume_data(session_, stream.id);
}

void H2Session::reset(H2Stream& stream, H2Code code) {
    // Those are the peer's doing.
    stream.excused_ = code != H2Code::protocol_error && code != H2Code::refused_stream;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id,
                              static_cast<std::uint32_t>(code));
}

void H2Session::consume(const H2Stream& stream, std::size_t bytes) {
    if (bytes != 0) nghttp2_session_consume(session_, stream.id, bytes);
}

void H2Session::consume_of_connection(std::size_t bytes) {
    if (bytes != 0) nghttp2_session_consume_connection(session_, bytes);
}

void H2Session::consume_of_stream(const H2Stream& stream, std::size_t bytes) {
    if (bytes != 0) nghttp2_session_consume_stream(session_, stream.id, bytes);
}

// ---- the end ------------------------------------------------------------------------------------

void H2Session::notice() {
    nghttp2_submit_shutdown_notice(session_);
    // Its answer comes behind whatever the peer had begun before it heard of the notice.
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void H2Session::go_away() {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
}

void H2Session::terminate(H2Code code) {
    nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(code));
}

}  // namespace troupe::http_internal

// Compares our decoder with libwslay: a stream of frames that both accept must be the same messages
// to both, and what one refuses the other refuses too.
//
// Three differences are known and taken out: wslay decides about a frame when it is whole, so only
// whole frames are compared; it knows fewer close codes (1012 to 1014 came later); and it takes a
// close of one byte for one without a code, which RFC 6455, section 5.5.1, does not allow.

#include <troupe/base/assert.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>

#include <wslay/wslay.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using troupe::websocket_internal::FrameDecoder;
using troupe::websocket_internal::Opcode;
using troupe::websocket_internal::Role;

constexpr std::size_t kBytesMax = 3000;

struct Seen {
    std::string messages;
    bool failed = false;
    bool closed = false;
};

Seen by_us(std::string bytes) {
    Seen seen;
    FrameDecoder decoder(Role::server, kBytesMax);
    while (!seen.failed && !seen.closed) {
        const FrameDecoder::Step step = decoder.advance(bytes.data(), bytes.size());
        bytes.erase(0, step.consumed);
        if (step.status == FrameDecoder::Status::need_more) break;
        seen.failed = step.status == FrameDecoder::Status::failed;
        seen.closed = step.status == FrameDecoder::Status::close;
        if (seen.failed) break;
        seen.messages += std::to_string(static_cast<int>(decoder.kind())) + ":";
        if (!seen.closed) seen.messages += decoder.take_payload();
        seen.messages += "\n";
    }
    return seen;
}

struct WslayReader {
    std::string_view rest;
    Seen seen;
};

ssize_t give_bytes(wslay_event_context_ptr context, std::uint8_t* out, size_t size, int,
                   void* user) {
    auto& reader = *static_cast<WslayReader*>(user);
    if (reader.rest.empty()) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    const std::size_t part = size < reader.rest.size() ? size : reader.rest.size();
    std::memcpy(out, reader.rest.data(), part);
    reader.rest.remove_prefix(part);
    return static_cast<ssize_t>(part);
}

ssize_t swallow(wslay_event_context_ptr, const std::uint8_t*, size_t size, int, void*) {
    return static_cast<ssize_t>(size);
}

void take_message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* message, void* user) {
    Seen& seen = static_cast<WslayReader*>(user)->seen;
    if (seen.closed) return;
    seen.closed = message->opcode == WSLAY_CONNECTION_CLOSE;
    seen.messages += std::to_string(message->opcode) + ":";
    if (!seen.closed) {
        seen.messages.append(reinterpret_cast<const char*>(message->msg), message->msg_length);
    }
    seen.messages += "\n";
}

Seen by_wslay(std::string_view bytes) {
    WslayReader reader;
    reader.rest = bytes;
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = &give_bytes;
    callbacks.send_callback = &swallow;
    callbacks.on_msg_recv_callback = &take_message;
    wslay_event_context_ptr context = nullptr;
    TROUPE_ASSERT(wslay_event_context_server_init(&context, &callbacks, &reader) == 0, "memory");
    wslay_event_config_set_max_recv_msg_length(context, kBytesMax);
    const int status = wslay_event_recv(context);
    // It refuses by queueing a close of its own.
    const bool refused = wslay_event_get_close_sent(context) != 0 ||
                         (wslay_event_get_queued_msg_count(context) != 0 && !reader.seen.closed &&
                          wslay_event_get_read_enabled(context) == 0);
    reader.seen.failed = !reader.seen.closed && (status != 0 || refused);
    wslay_event_context_free(context);
    return reader.seen;
}

/// Frames as clients send them, made of the input: mostly right, since bytes at random never are.
std::string make_frames(const std::uint8_t* data, std::size_t size) {
    std::string frames;
    for (std::size_t at = 0; at + 2 < size;) {
        const std::uint8_t first = data[at];
        const std::size_t length = data[at + 1] % 126;
        at += 2;
        const std::size_t here = length < size - at ? length : size - at;
        if (here != length) break;  // whole frames only
        const bool closes = (first & 0x0F) == 8;
        const bool later_code =
            closes && here >= 2 && data[at] == 3 && data[at + 1] >= 0xF4 && data[at + 1] <= 0xF6;
        if (later_code || (closes && here == 1)) return frames;
        frames.push_back(static_cast<char>(first));
        frames.push_back(static_cast<char>(0x80 | length));
        frames.append(4, '\0');  // a key that changes nothing
        frames.append(reinterpret_cast<const char*>(data) + at, here);
        at += here;
    }
    return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string frames = make_frames(data, size);
    const Seen ours = by_us(frames);
    const Seen theirs = by_wslay(frames);
    TROUPE_ASSERT(ours.failed == theirs.failed, "both refuse it or neither");
    TROUPE_ASSERT(ours.closed == theirs.closed, "both see the same end");
    TROUPE_ASSERT(ours.messages == theirs.messages, "both see the same messages");
    return 0;
}

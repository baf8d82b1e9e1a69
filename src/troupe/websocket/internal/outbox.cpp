#include <troupe/scheduler/engine.hpp>
#include <troupe/websocket/internal/outbox.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::websocket_internal {

namespace {

// A message up to here is one frame; a control frame waits for no more than this.
constexpr std::size_t kFragmentBytes = 1024 * 1024;

// Of a peer that takes nothing, control frames gather up to here.
constexpr std::size_t kControlsBytesMax = 4 * 1024;

}  // namespace

void Outbox::use_deflate(const DeflateTerms& terms) {
    if (!terms.on) return;
    const bool server = masks_ == nullptr;
    window_bits_ = server ? terms.server_window_bits : terms.client_window_bits;
    deflater_ = std::make_unique<Deflater>(window_bits_,
                                           server ? terms.server_forgets : terms.client_forgets);
}

// ---- what comes in ------------------------------------------------------------------------------

/// What most messages are: a server's, short, with nothing before them that is not bytes already.
/// False: this one is another.
bool Outbox::add_plainly(Opcode kind, std::string_view payload) {
    const bool plain = masks_ == nullptr && deflater_ == nullptr && queue_ == nullptr &&
                       controls_.empty() && payload.size() <= kControlBytesMax;
    const std::size_t waiting = bytes_.size() - written_;
    if (!plain || bytes_.size() >= kReadyBytesMax ||
        (waiting != 0 && waiting + payload.size() > options_.send_buffer_bytes_max())) {
        return false;
    }
    char frame[2 + kControlBytesMax];
    frame[0] = first_byte(kind, true, false);
    frame[1] = static_cast<char>(payload.size());
    if (!payload.empty()) std::memcpy(frame + 2, payload.data(), payload.size());
    bytes_.append(frame, 2 + payload.size());
    return true;
}

Outbox::Taken Outbox::add(Opcode kind, std::string_view payload) {
    if (add_plainly(kind, payload)) return Taken::yes;
    const Taken taken = make_room(payload.size());
    if (taken != Taken::yes) return taken;
    if (goes_at_once(payload.size(), kReadyBytesMax)) {
        append_control_frames();
        if (compresses(kind, payload.size())) {
            std::string small;
            deflater_->compress(payload, small);
            append_head(kind, true, true, small.size());
            append_payload(small);
        } else {
            append_head(kind, true, false, payload.size());
            append_payload(payload);
        }
        return taken;
    }
    Waiting message;
    message.kind = kind;
    message.payload = payload;
    push(std::move(message));
    return taken;
}

Outbox::Taken Outbox::add(SharedFrames frames) {
    if (masks_ != nullptr) {
        // A client's frames are masked, each for itself.
        Taken worst = Taken::yes;
        for (std::size_t i = 0; i < frames->messages(); ++i)
            worst = std::max(worst, add(frames->kind(i), frames->payload(i)));
        return worst;
    }
    const std::string_view small = frames->frames(window_bits_);
    const std::string_view chosen = small.empty() ? frames->frames() : small;
    const Taken taken = make_room(chosen.size());
    if (taken != Taken::yes) return taken;
    if (goes_at_once(chosen.size(), kCopiedBytesMax)) {
        append_control_frames();
        if (!small.empty()) forget_window();
        bytes_ += chosen;
        return taken;
    }
    Waiting message;
    message.frames = chosen;
    message.compressed = !small.empty();
    message.shared = std::move(frames);
    push(std::move(message));
    return taken;
}

void Outbox::add_rest(SharedFrames frames, std::string_view chosen, std::size_t written,
                      bool compressed) {
    Waiting message;
    message.frames = chosen;
    message.compressed = compressed;
    message.shared = std::move(frames);
    message.begun = true;
    message.done = written;
    push(std::move(message));
    queued_bytes_ -= written;
}

void Outbox::forget_window() noexcept {
    if (deflater_) deflater_->rest();
}

bool Outbox::goes_at_once(std::size_t bytes, std::size_t most) const noexcept {
    return queue_ == nullptr && bytes_.size() < kReadyBytesMax && bytes <= most;
}

void Outbox::add_close(std::string_view payload) {
    Waiting frame;
    frame.kind = Opcode::close;
    frame.payload = payload;
    push(std::move(frame));
}

/// Room for so many bytes, by the policy. A single message always has room.
Outbox::Taken Outbox::make_room(std::size_t bytes) {
    const std::size_t most = options_.send_buffer_bytes_max();
    const auto fits = [&] { return buffered() == 0 || buffered() + bytes <= most; };
    if (fits()) return Taken::yes;
    switch (options_.overflow()) {
        case websocket::Overflow::close:
            return Taken::overflow;
        case websocket::Overflow::drop_newest:
            break;
        case websocket::Overflow::drop_oldest:
            // The first may have begun, and then has to end.
            while (queue_ != nullptr && !fits()) {
                const auto oldest = queue_->begin() + (queue_->front().begun ? 1 : 0);
                if (oldest == queue_->end()) break;
                queued_bytes_ -= oldest->size();
                ++dropped_;
                queue_->erase(oldest);
                if (queue_->empty()) queue_.reset();
            }
            if (fits()) return Taken::yes;
            break;
    }
    ++dropped_;
    return Taken::dropped;
}

void Outbox::push(Waiting message) {
    if (queue_ == nullptr) queue_ = std::make_unique<Queue>();
    queued_bytes_ += message.size();
    queue_->push_back(std::move(message));
}

void Outbox::pop() {
    queue_->pop_front();
    if (queue_->empty()) queue_.reset();
}

bool Outbox::add_control(Opcode kind, std::string_view payload) {
    if (kind == Opcode::pong && controls_.size() > kControlsBytesMax / 2) {
        // Only pongs gather like this: the peer asks and does not listen.
        controls_.clear();
    }
    if (controls_.size() + payload.size() > kControlsBytesMax) return false;
    controls_.push_back(static_cast<char>(kind));
    controls_.push_back(static_cast<char>(payload.size()));
    controls_ += payload;
    return true;
}

void Outbox::drop_messages() noexcept {
    while (queue_ != nullptr && !queue_->back().begun) {
        queued_bytes_ -= queue_->back().size();
        queue_->pop_back();
        if (queue_->empty()) queue_.reset();
    }
}

// ---- what goes out ------------------------------------------------------------------------------

std::string_view Outbox::pending() {
    if (!controls_.empty() || queue_ != nullptr) encode_some();
    if (writes_from_shared()) return queue_->front().frames.substr(queue_->front().done);
    return std::string_view(bytes_).substr(written_);
}

/// All before it has left, and the next is one that is not copied.
bool Outbox::writes_from_shared() const noexcept {
    return bytes_.empty() && queue_ != nullptr && queue_->front().begun && queue_->front().shared &&
           queue_->front().size() > kCopiedBytesMax;
}

void Outbox::consume(std::size_t bytes) noexcept {
    if (writes_from_shared()) {
        Waiting& message = queue_->front();
        message.done += bytes;
        queued_bytes_ -= bytes;
        if (message.done == message.size()) pop();
        return;
    }
    written_ += bytes;
    if (written_ != bytes_.size()) return;
    written_ = 0;
    bytes_.clear();
}

bool Outbox::rest() noexcept {
    if (!empty()) return false;
    bytes_ = std::string();
    controls_ = std::string();
    if (deflater_) deflater_->rest();
    return dropped_ == 0;
}

bool Outbox::between_frames() const noexcept {
    // What has begun was offered to the stream, which may have to be offered the same again.
    const bool inside_shared = queue_ != nullptr && queue_->front().shared && queue_->front().begun;
    return frame_left_ == 0 && !inside_shared;
}

/// Makes bytes of what waits, until enough of them are ready.
void Outbox::encode_some() {
    if (written_ > kReadyBytesMax) bytes_.erase(0, std::exchange(written_, 0));
    while (bytes_.size() - written_ < kReadyBytesMax) {
        if (between_frames()) append_control_frames();
        if (queue_ == nullptr) return;
        Waiting& message = queue_->front();
        if (message.shared && message.size() > kCopiedBytesMax) {
            if (bytes_.empty() && !message.begun) begin(message);
            return;  // it is written from where it is, when all before it has left
        }
        if (!message.begun) begin(message);
        if (!message.shared && frame_left_ == 0) {
            const std::size_t rest = message.size() - message.done;
            frame_left_ = std::min(rest, kFragmentBytes);
            const bool first = message.done == 0;
            append_head(first ? message.kind : Opcode::continuation, frame_left_ == rest,
                        first && message.compressed, frame_left_);
        }
        const std::string_view all =
            message.shared ? message.frames : std::string_view(message.payload);
        std::size_t part = std::min(all.size() - message.done, kReadyBytesMax);
        if (!message.shared) part = std::min<std::size_t>(part, frame_left_);
        if (message.shared) {
            bytes_ += all.substr(message.done, part);
        } else {
            append_payload(all.substr(message.done, part));
            frame_left_ -= part;
        }
        message.done += part;
        queued_bytes_ -= part;
        if (message.done == all.size()) pop();
    }
}

void Outbox::begin(Waiting& message) {
    message.begun = true;
    if (message.shared) {
        if (message.compressed) forget_window();
        return;
    }
    if (!compresses(message.kind, message.payload.size())) return;
    std::string small;
    deflater_->compress(message.payload, small);
    queued_bytes_ -= message.payload.size();
    queued_bytes_ += small.size();
    message.payload = std::move(small);
    message.compressed = true;
}

void Outbox::append_control_frames() {
    for (std::string_view rest = controls_; !rest.empty();) {
        const auto kind = static_cast<Opcode>(rest[0]);
        const std::size_t size = static_cast<std::uint8_t>(rest[1]);
        append_head(kind, true, false, size);
        append_payload(rest.substr(2, size));
        rest.remove_prefix(2 + size);
    }
    controls_.clear();
}

void Outbox::append_head(Opcode kind, bool final, bool compressed, std::uint64_t bytes) {
    if (masks_ == nullptr && bytes <= kControlBytesMax) {
        // The head of most frames of a server is two bytes.
        const char out[2] = {first_byte(kind, final, compressed), static_cast<char>(bytes)};
        bytes_.append(out, sizeof out);
        return;
    }
    FrameHead head;
    head.opcode = kind;
    head.final = final;
    head.compressed = compressed;
    head.payload_bytes = bytes;
    if (masks_ != nullptr) {
        const std::uint64_t random = masks_->random();
        std::memcpy(mask_.data(), &random, mask_.size());
        mask_offset_ = 0;
    }
    char out[kFrameHeadBytesMax];
    bytes_.append(out, write_head(out, head, masks_ != nullptr ? &mask_ : nullptr));
}

void Outbox::append_payload(std::string_view piece) {
    const std::size_t before = bytes_.size();
    bytes_ += piece;
    if (masks_ == nullptr) return;
    apply_mask(bytes_.data() + before, piece.size(), mask_, mask_offset_);
    mask_offset_ += piece.size();
}

}  // namespace troupe::websocket_internal

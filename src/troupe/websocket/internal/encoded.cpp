#include <troupe/websocket/internal/deflate.hpp>
#include <troupe/websocket/internal/encoded.hpp>

namespace troupe::websocket_internal {

namespace {

void append_frame(std::string& out, Opcode kind, std::string_view payload, bool compressed) {
    FrameHead head;
    head.opcode = kind;
    head.compressed = compressed;
    head.payload_bytes = payload.size();
    char bytes[kFrameHeadBytesMax];
    out.append(bytes, write_head(bytes, head, nullptr));
    out += payload;
}

}  // namespace

void Encoded::add(Opcode kind, std::string_view payload, Windows windows,
                  std::size_t deflate_bytes_min) {
    const std::size_t before = frames_.size();
    append_frame(frames_, kind, payload, false);
    parts_.push_back({frames_.size() - payload.size(), payload.size(), kind});
    for (std::size_t i = 0; i < deflated_.size(); ++i) {
        const int bits = kBitsMin + static_cast<int>(i);
        std::string& deflated = deflated_[i];
        if ((windows & window(bits)) == 0) continue;
        if (payload.size() < deflate_bytes_min) {
            // As it is; the frames of one form stand together all the same.
            if (!deflated.empty()) deflated += std::string_view(frames_).substr(before);
            continue;
        }
        if (deflated.empty()) deflated = frames_.substr(0, before);
        std::string small;
        Deflater(bits, true).compress(payload, small);
        append_frame(deflated, kind, small, true);
    }
}

std::string_view Encoded::frames(int window_bits) const noexcept {
    if (window_bits < kBitsMin) return {};
    return deflated_[static_cast<std::size_t>(window_bits - kBitsMin)];
}

}  // namespace troupe::websocket_internal

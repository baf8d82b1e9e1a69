#pragma once

#include <troupe/websocket/internal/frame.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::websocket_internal {

/// Messages as a server's frames, made once and sent to many.
///
/// The compressed form refers to nothing that was sent before, so that everybody who has agreed to
/// a window of that size can read it, whatever else he has been sent.
class Encoded {
public:
    /// The sizes of window, from 9 to 15, for which there is a compressed form.
    using Windows = std::uint16_t;
    static constexpr Windows window(int bits) noexcept { return static_cast<Windows>(1U << bits); }

    void add(Opcode kind, std::string_view payload, Windows windows, std::size_t deflate_bytes_min);

    std::size_t messages() const noexcept { return parts_.size(); }
    Opcode kind(std::size_t message) const noexcept { return parts_[message].kind; }
    std::string_view payload(std::size_t message) const noexcept {
        return std::string_view(frames_).substr(parts_[message].at, parts_[message].size);
    }

    /// All frames, one behind the other.
    std::string_view frames() const noexcept { return frames_; }
    /// The same for a window of that size; empty, when nothing is gained by it.
    std::string_view frames(int window_bits) const noexcept;

private:
    struct Part {
        std::size_t at;
        std::size_t size;
        Opcode kind;
    };
    static constexpr int kBitsMin = 9;

    std::string frames_;
    std::array<std::string, 7> deflated_;  // by bits
    std::vector<Part> parts_;
};

/// Shared by the room and all members to whom it is not sent yet.
using SharedFrames = std::shared_ptr<const Encoded>;

}  // namespace troupe::websocket_internal

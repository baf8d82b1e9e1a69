#pragma once

#include <troupe/base/block_pool.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace troupe::http_internal {

/// Bytes that were received and not used yet, or that wait to be sent, in one piece. Holds no
/// memory while it is empty and told to let go, so an idle connection pays for none.
class ByteBuffer {
public:
    ByteBuffer() = default;
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;
    ~ByteBuffer() { free(); }

    std::string_view pending() const { return std::string_view(bytes_ + begin_, size()); }
    std::size_t size() const { return end_ - begin_; }
    bool empty() const { return begin_ == end_; }

    void consume(std::size_t count) {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Room behind what is pending for so many bytes, or some more.
    std::span<char> room(std::size_t bytes = 1) {
        if (capacity_ - end_ < bytes) make_room(bytes);
        return std::span<char>(bytes_ + end_, capacity_ - end_);
    }

    /// So many bytes were put into the room.
    void put(std::size_t count) { end_ += count; }

    void append(std::string_view bytes) {
        if (bytes.empty()) return;
        std::memcpy(room(bytes.size()).data(), bytes.data(), bytes.size());
        put(bytes.size());
    }

    /// Gives the memory back if nothing is pending.
    void release() {
        if (empty()) free();
    }

    /// The same for a buffer that has grown beyond its first size.
    void release_if_large() {
        if (capacity_ > kFirstBytes) release();
    }

private:
    // A request with a kilobyte of body, or sixteen small ones at once, fit without growing.
    static constexpr std::size_t kFirstBytes = 2048;

    void make_room(std::size_t bytes) {
        std::size_t pending = size();
        // Moving is only worth it when it makes room for more than was moved, or a peer that drips
        // would have everything moved again and again.
        if (capacity_ - pending >= bytes && begin_ >= pending) {
            if (pending > 0) std::memmove(bytes_, bytes_ + begin_, pending);
            begin_ = 0;
            end_ = pending;
            return;
        }
        std::size_t capacity = capacity_ == 0 ? kFirstBytes : capacity_ * 2;
        if (capacity < pending + bytes) capacity = pending + bytes;
        char* grown = static_cast<char*>(allocate_block(capacity));
        if (pending > 0) std::memcpy(grown, bytes_ + begin_, pending);
        free();
        bytes_ = grown;
        capacity_ = capacity;
        end_ = pending;
    }

    void free() {
        if (bytes_) free_block(bytes_, capacity_);
        bytes_ = nullptr;
        begin_ = end_ = capacity_ = 0;
    }

    char* bytes_ = nullptr;  // owned, from the block pool
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace troupe::http_internal

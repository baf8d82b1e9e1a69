#pragma once

#include <troupe/base/block_pool.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace troupe::http_internal {

/// The bytes received and not yet used, in one piece. Holds no memory while it is empty and told to
/// let go, so an idle connection pays for none.
class InputBuffer {
public:
    InputBuffer() = default;
    InputBuffer(const InputBuffer&) = delete;
    InputBuffer& operator=(const InputBuffer&) = delete;
    ~InputBuffer() { free(); }

    std::string_view pending() const { return std::string_view(bytes_ + begin_, end_ - begin_); }

    void consume(std::size_t count) {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Room to receive into: some always, and as much as makes `wanted` bytes in one piece with
    /// what is pending.
    std::span<char> room(std::size_t wanted) {
        if (begin_ > 0 && (end_ == capacity_ || capacity_ - begin_ < wanted)) {
            std::memmove(bytes_, bytes_ + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (end_ == capacity_ || capacity_ < wanted) grow(wanted);
        return std::span<char>(bytes_ + end_, capacity_ - end_);
    }

    /// So many bytes were received into the room.
    void received(std::size_t count) { end_ += count; }

    /// Gives the memory back if nothing is pending.
    void release() {
        if (begin_ == end_) free();
    }

    /// The same for a buffer that has grown beyond its first size.
    void release_if_large() {
        if (capacity_ > kFirstBytes) release();
    }

private:
    // A request with a kilobyte of body, or sixteen small ones at once, fit without growing.
    static constexpr std::size_t kFirstBytes = 2048;

    void grow(std::size_t wanted) {
        std::size_t capacity = capacity_ == 0 ? kFirstBytes : capacity_ * 2;
        if (capacity < wanted) capacity = wanted;
        char* bytes = static_cast<char*>(allocate_block(capacity));
        std::size_t size = end_ - begin_;
        if (size > 0) std::memcpy(bytes, bytes_ + begin_, size);
        free();
        bytes_ = bytes;
        capacity_ = capacity;
        end_ = size;
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

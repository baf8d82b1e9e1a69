#include <troupe/base/block_pool.hpp>
#include <troupe/base/shared_text.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace troupe {

/// The characters lie right behind it.
struct SharedText::Block {
    std::atomic<std::uint32_t> owners{1};  // written by whoever copies or drops a text
    std::size_t size = 0;

    char* characters() noexcept { return reinterpret_cast<char*>(this + 1); }
    static std::size_t bytes(std::size_t size) noexcept { return sizeof(Block) + size; }
};

SharedText::SharedText(std::string_view text) {
    if (text.empty()) return;
    block_ = ::new (allocate_block(Block::bytes(text.size()))) Block;
    block_->size = text.size();
    std::memcpy(block_->characters(), text.data(), text.size());
}

std::string_view SharedText::view() const noexcept {
    return block_ == nullptr ? std::string_view()
                             : std::string_view(block_->characters(), block_->size);
}

void SharedText::retain() const noexcept {
    block_->owners.fetch_add(1, std::memory_order_relaxed);
}

void SharedText::release() noexcept {
    // acq_rel: the last owner frees what all the others have read before they let go.
    if (block_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::size_t bytes = Block::bytes(block_->size);
    block_->~Block();
    free_block(block_, bytes);
}

}  // namespace troupe

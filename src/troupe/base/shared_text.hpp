#pragma once

// A text that is copied without being copied: the copies share it. For what is told to many at a
// moment when nothing may fail, such as why an actor has ended.

#include <string_view>
#include <utility>

namespace troupe {

/// Text that never changes, shared by its copies. Copying allocates nothing and cannot fail.
///
/// Threads: any; the copies are independent of each other.
class SharedText {
public:
    SharedText() noexcept = default;
    /// Allocates, unless the text is empty.
    explicit SharedText(std::string_view text);
    SharedText(const SharedText& other) noexcept : block_(other.block_) {
        if (block_ != nullptr) retain();
    }
    SharedText(SharedText&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    SharedText& operator=(SharedText other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~SharedText() {
        if (block_ != nullptr) release();
    }

    bool empty() const noexcept { return block_ == nullptr; }
    /// Lives as long as this text or a copy of it.
    std::string_view view() const noexcept;

    friend bool operator==(const SharedText& left, const SharedText& right) noexcept {
        return left.block_ == right.block_ || left.view() == right.view();
    }

private:
    struct Block;
    void retain() const noexcept;
    void release() noexcept;

    Block* block_ = nullptr;  // null for the empty text
};

}  // namespace troupe

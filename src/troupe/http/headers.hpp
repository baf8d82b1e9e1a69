#pragma once

#include <troupe/base/block_pool.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

namespace http_internal {

/// For the few vectors and strings that are made and given away with every request: their memory
/// comes from the thread's own blocks.
template <class T>
struct PoolAllocator {
    using value_type = T;

    PoolAllocator() = default;
    template <class U>
    PoolAllocator(const PoolAllocator<U>&) noexcept {}

    T* allocate(std::size_t count) { return static_cast<T*>(allocate_block(count * sizeof(T))); }
    void deallocate(T* block, std::size_t count) noexcept { free_block(block, count * sizeof(T)); }

    friend bool operator==(PoolAllocator, PoolAllocator) { return true; }
};

}  // namespace http_internal

namespace http {

/// One header line: a view, valid as long as the Headers it came from are neither changed nor
/// moved.
struct HeaderField {
    std::string_view name;
    std::string_view value;
};

/// Whether two header lines have the same name, in any letter case.
bool same_name(std::string_view a, std::string_view b);

/// Header lines, or trailer lines, in the order they came. Owns their text.
class Headers {
public:
    Headers() = default;

    /// The value of the first line of that name, in any letter case; nothing when there is none.
    std::optional<std::string_view> find(std::string_view name) const;

    std::size_t size() const { return lines_.size(); }
    bool empty() const { return lines_.empty(); }

    /// `index` is below size().
    HeaderField at(std::size_t index) const;

    /// Appends a line. Nothing is checked.
    void add(std::string_view name, std::string_view value);

    /// Forgets all lines of that name, in any letter case.
    void remove(std::string_view name) {
        std::erase_if(lines_, [&](const Line& line) {
            const std::string_view text(text_);
            return same_name(text.substr(line.name_at, line.name_size), name);
        });
    }

    /// Forgets all lines and keeps the memory.
    void clear() {
        text_.clear();
        lines_.clear();
        held_size_ = beside_size_ = 0;
    }

    // ---- for parsers: lines are copied once, all together, and are places in their text ----

    /// Appends a line whose text hold() brings: where its name and value begin in that text.
    void note(std::size_t name_at, std::size_t name_size, std::size_t value_at,
              std::size_t value_size) {
        lines_.push_back(
            Line{static_cast<std::uint32_t>(name_at), static_cast<std::uint32_t>(name_size),
                 static_cast<std::uint32_t>(value_at), static_cast<std::uint32_t>(value_size)});
    }

    /// The text of the lines that were noted since clear().
    void hold(std::string_view text) {
        text_.assign(text);
        held_size_ = text.size();
    }

    /// Keeps something else behind what hold() was given, in place of what it kept there before.
    void hold_beside(std::string_view more) {
        if (held_beside() == more) return;
        text_.resize(held_size_);
        text_.append(more);
        beside_size_ = more.size();
    }

    /// What hold() and hold_beside() were given. Nothing once it has been moved away.
    std::string_view held() const { return held_at(0, held_size_); }
    std::string_view held_beside() const { return held_at(held_size_, beside_size_); }

private:
    // Offsets rather than views, so that moving or copying the text leaves them right.
    struct Line {
        std::uint32_t name_at;
        std::uint32_t name_size;
        std::uint32_t value_at;
        std::uint32_t value_size;
    };

    std::string_view held_at(std::size_t at, std::size_t size) const {
        return text_.empty() ? std::string_view() : std::string_view(text_).substr(at, size);
    }

    template <class T>
    using Allocator = http_internal::PoolAllocator<T>;

    std::basic_string<char, std::char_traits<char>, Allocator<char>> text_;
    std::vector<Line, Allocator<Line>> lines_;
    std::size_t held_size_ = 0;    // at the front of the text
    std::size_t beside_size_ = 0;  // behind that
};

}  // namespace http
}  // namespace troupe

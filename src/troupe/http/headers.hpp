#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http {

/// One header line: a view, valid as long as the Headers it came from are neither changed nor
/// moved.
struct HeaderField {
    std::string_view name;
    std::string_view value;
};

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

    /// Forgets all lines and keeps the memory.
    void clear() {
        text_.clear();
        lines_.clear();
    }

    // ---- for parsers: a head is copied once, as a whole, and its lines are places in it ----

    /// Appends a line whose text hold() brings: where its name and value begin in that text.
    void note(std::size_t name_at, std::size_t name_size, std::size_t value_at,
              std::size_t value_size) {
        lines_.push_back(
            Line{static_cast<std::uint32_t>(name_at), static_cast<std::uint32_t>(name_size),
                 static_cast<std::uint32_t>(value_at), static_cast<std::uint32_t>(value_size)});
    }

    /// The text of the lines that were noted since clear().
    void hold(std::string_view text) { text_.assign(text); }

    /// What hold() was given.
    std::string_view text() const { return text_; }

private:
    // Offsets rather than views, so that moving or copying the text leaves them right.
    struct Line {
        std::uint32_t name_at;
        std::uint32_t name_size;
        std::uint32_t value_at;
        std::uint32_t value_size;
    };

    std::string text_;
    std::vector<Line> lines_;
};

}  // namespace troupe::http

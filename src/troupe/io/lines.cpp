#include <troupe/io/lines.hpp>

#include <utility>

namespace troupe::codec {

std::unexpected<Error> Lines::too_large() {
    failed_ = true;
    return error(CodecErrc::frame_too_large,
                 "the line that begins at byte " + std::to_string(line_begins_) +
                     " is longer than the limit of " + std::to_string(line_bytes_max_) + " bytes");
}

Result<std::optional<std::string>> Lines::decode(std::string_view& input) {
    if (failed_) return too_large();
    const std::size_t end = input.find('\n');
    const bool whole = end != std::string_view::npos;
    const std::string_view piece = input.substr(0, end);
    // A CR may be half of the line's end, so one byte over the limit is no verdict yet.
    const std::size_t bytes = line_.size() + piece.size();
    const char last = !piece.empty() ? piece.back() : line_.empty() ? '\0' : line_.back();
    if (bytes - (last == '\r' ? 1 : 0) > line_bytes_max_) return too_large();

    line_ += piece;
    input.remove_prefix(piece.size() + (whole ? 1 : 0));
    if (!whole) return std::nullopt;
    line_begins_ += line_.size() + 1;
    if (last == '\r') line_.pop_back();
    return std::exchange(line_, std::string());
}

Result<std::optional<std::string>> Lines::finish() {
    if (failed_ || line_.size() > line_bytes_max_) return too_large();
    if (line_.empty()) return std::nullopt;
    return std::exchange(line_, std::string());
}

Result<void> Lines::encode(const std::string& line, std::string& out) const {
    if (line.size() > line_bytes_max_) {
        return error(CodecErrc::frame_too_large, "a line of " + std::to_string(line.size()) +
                                                     " bytes is longer than the limit of " +
                                                     std::to_string(line_bytes_max_));
    }
    const std::size_t lf = line.find('\n');
    if (lf != std::string::npos) {
        return error(
            CodecErrc::not_encodable,
            "a line cannot hold a line end, as this one does at byte " + std::to_string(lf));
    }
    if (line.ends_with('\r')) {
        return error(CodecErrc::not_encodable,
                     "a line cannot end with a CR: it would be read as part of the line's end");
    }
    out += line;
    out += crlf_ ? "\r\n" : "\n";
    return {};
}

}  // namespace troupe::codec

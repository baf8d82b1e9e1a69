#pragma once

#include <troupe/io/codec.hpp>

namespace troupe::codec {

/// Lines of text, ended by LF or by CR LF. A frame is a line without its end; what follows the last
/// line end is a line too, unless it is empty.
class Lines {
public:
    using Frame = std::string;

    /// `line_bytes_max` does not count the line's end.
    explicit Lines(std::size_t line_bytes_max) noexcept : line_bytes_max_(line_bytes_max) {}

    /// Ends the lines that are sent with CR LF, as most Internet protocols want it, instead of LF.
    Lines& crlf() noexcept {
        crlf_ = true;
        return *this;
    }

    /// Errors: frame_too_large.
    Result<std::optional<std::string>> decode(std::string_view& input);
    Result<std::optional<std::string>> finish();

    /// Errors: frame_too_large; not_encodable, for a line that holds an LF or ends with a CR.
    Result<void> encode(const std::string& line, std::string& out) const;

    Lines fresh() const {
        Lines lines(line_bytes_max_);
        lines.crlf_ = crlf_;
        return lines;
    }

private:
    std::unexpected<Error> too_large();

    std::size_t line_bytes_max_;
    bool crlf_ = false;
    bool failed_ = false;
    std::uint64_t line_begins_ = 0;  // in the stream
    std::string line_;               // what has come of it
};

}  // namespace troupe::codec

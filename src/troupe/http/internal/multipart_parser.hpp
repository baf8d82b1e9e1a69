#pragma once

// Takes a multipart/form-data body apart: RFC 7578, RFC 2046 §5.1.
//
// As the parser of requests it copies nothing, looks at bytes that are given to it, and says how
// many it is done with; how the body was cut into pieces never shows. What two readers could see
// differently is refused: a bare line feed in a head, a folded line, a delimiter with something
// behind it.

#include <troupe/http/headers.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// The boundary in a Content-Type of multipart/form-data; nothing when it is no such type, or its
/// boundary is none.
std::optional<std::string> multipart_boundary(std::string_view content_type);

/// What one part says of itself.
struct PartHead {
    std::string name;
    std::optional<std::string> file_name;  // as it was sent
    http::Headers headers;
};

/// A name that can be shown and joined to a folder's path: what stands behind the last "/" and "\",
/// without control characters and leading dots, 255 bytes at most. "unnamed" when nothing is left.
std::string safe_file_name(std::string_view sent);

struct MultipartLimits {
    std::size_t parts_max = 1000;
    std::size_t head_bytes_max = std::size_t{8} * 1024;
};

class MultipartParser {
public:
    MultipartParser(std::string_view boundary, MultipartLimits limits);

    enum class Status : std::uint8_t {
        need_more,  // of the body: append to what was not consumed
        part,       // a part begins: `head` was filled
        data,       // `data` is the next piece of it
        part_end,
        end,  // that was the last one; what follows has no meaning
        malformed,
        too_large,
    };
    struct Step {
        Status status = Status::need_more;
        std::size_t consumed = 0;
        std::string_view data;  // into what was given
    };

    /// Looks at what is there of the body behind all that was consumed. After the last three
    /// statuses it gives the same again.
    Step step(std::string_view input, PartHead& head);

    /// For `malformed` and `too_large`: a sentence for whoever sent it. A literal.
    std::string_view problem() const { return problem_; }

private:
    enum class State : std::uint8_t { start, preamble, delimiter, head, body, finished };

    Step step_in_state(std::string_view input, PartHead& head);
    Step find_first(std::string_view input);
    Step read_delimiter(std::string_view input);
    Step read_head(std::string_view input, PartHead& head);
    Step read_body(std::string_view input);
    Step refuse(Status status, std::string_view problem);

    const std::string delimiter_;  // "\r\n--boundary"
    const MultipartLimits limits_;
    State state_ = State::start;
    Status verdict_ = Status::end;
    bool first_of_body_ = false;
    std::size_t parts_ = 0;
    std::size_t skipped_ = 0;       // before the first delimiter
    std::size_t skipped_here_ = 0;  // behind the present one
    std::string_view problem_;
};

}  // namespace troupe::http_internal

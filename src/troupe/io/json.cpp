/// The lexer is Boost.JSON's incremental parser without a tree behind it: it checks and counts, and
/// the text itself is the frame. It reads on over whitespace behind a document, and at the end of a
/// piece it cannot know whether a number goes on; both are dealt with here, so that how the bytes
/// were cut does not show.

#include <troupe/base/error.hpp>
#include <troupe/io/json.hpp>

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <utility>

namespace troupe::codec {

namespace {

namespace json = boost::json;

constexpr std::string_view kWhitespace = " \t\r\n";

bool is_whitespace(char c) noexcept {
    return kWhitespace.find(c) != std::string_view::npos;
}

bool goes_on_in_number(char c) noexcept {
    return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

bool ends_by_itself(std::string_view document) noexcept {
    return document.ends_with('}') || document.ends_with(']') || document.ends_with('"');
}

/// Takes note of nothing.
struct Checker {
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);

    using Text = json::string_view;
    using Code = json::error_code;
    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_array_begin(Code&) { return true; }
    bool on_array_end(std::size_t, Code&) { return true; }
    bool on_object_begin(Code&) { return true; }
    bool on_object_end(std::size_t, Code&) { return true; }
    bool on_string_part(Text, std::size_t, Code&) { return true; }
    bool on_string(Text, std::size_t, Code&) { return true; }
    bool on_key_part(Text, std::size_t, Code&) { return true; }
    bool on_key(Text, std::size_t, Code&) { return true; }
    bool on_number_part(Text, Code&) { return true; }
    bool on_int64(std::int64_t, Text, Code&) { return true; }
    bool on_uint64(std::uint64_t, Text, Code&) { return true; }
    bool on_double(double, Text, Code&) { return true; }
    bool on_bool(bool, Code&) { return true; }
    bool on_null(Code&) { return true; }
    bool on_comment_part(Text, Code&) { return true; }
    bool on_comment(Text, Code&) { return true; }
};

json::parse_options options(std::size_t depth_max) {
    json::parse_options options;
    options.max_depth = depth_max;
    return options;
}

}  // namespace

class Json::Parser {
public:
    explicit Parser(std::size_t depth_max) : parser_(options(depth_max)) {}

    enum class Verdict : std::uint8_t { whole, needs_more, wrong, too_deep };

    /// Shows it more of the document; `used` says how much of the text belongs to it.
    Verdict show(std::string_view text, std::size_t& used) { return write(true, text, used); }

    /// Nothing more comes of this document.
    Verdict end() {
        std::size_t used = 0;
        return write(false, {}, used);
    }

    void reset() { parser_.reset(); }

private:
    Verdict write(bool more, std::string_view text, std::size_t& used) {
        json::error_code failed;
        used = parser_.write_some(more, text.data(), text.size(), failed);
        if (failed == json::error::too_deep) return Verdict::too_deep;
        if (failed) return Verdict::wrong;
        return parser_.done() ? Verdict::whole : Verdict::needs_more;
    }

    json::basic_parser<Checker> parser_;
};

Json::Json(std::size_t document_bytes_max, std::size_t depth_max)
    : document_bytes_max_(document_bytes_max),
      depth_max_(depth_max),
      parser_(std::make_unique<Parser>(depth_max)) {}
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

std::unexpected<Error> Json::fail(CodecErrc code, std::string why) {
    failure_ = Error(code, std::move(why));
    return std::unexpected(*failure_);
}

/// The document has gone wrong within `piece`. The parser has looked at more than one byte at once,
/// so another one goes through all of it slowly: the place depends on the bytes alone.
std::unexpected<Error> Json::fail_at(std::string_view piece, bool too_deep) {
    document_ += piece;
    Parser slow(depth_max_);
    std::size_t good = 0;
    for (; good < document_.size(); ++good) {
        std::size_t used = 0;
        const Parser::Verdict verdict =
            slow.show(std::string_view(document_).substr(good, 1), used);
        if (verdict == Parser::Verdict::wrong || verdict == Parser::Verdict::too_deep) break;
    }
    const std::string place = std::to_string(document_begins_ + good);
    if (too_deep) {
        return fail(CodecErrc::too_deep, "the JSON document is nested deeper than the limit of " +
                                             std::to_string(depth_max_) + " at byte " + place);
    }
    return fail(CodecErrc::malformed, "this is no JSON at byte " + place);
}

Result<std::optional<std::string>> Json::take_document() {
    parser_->reset();
    const std::size_t shown = document_.size();
    document_begins_ += shown;
    document_.resize(document_.find_last_not_of(kWhitespace) + 1);
    needs_space_ = !ends_by_itself(document_) && document_.size() == shown;
    return std::exchange(document_, std::string());
}

Result<std::optional<std::string>> Json::decode(std::string_view& input) {
    if (failure_) return std::unexpected(*failure_);
    if (document_.empty()) {
        if (needs_space_ && !input.empty()) {
            if (!is_whitespace(input.front())) {
                return fail(CodecErrc::malformed,
                            "a JSON number, true, false or null needs whitespace behind it, at "
                            "byte " +
                                std::to_string(document_begins_));
            }
            needs_space_ = false;
        }
        const std::size_t space = std::min(input.find_first_not_of(kWhitespace), input.size());
        document_begins_ += space;
        input.remove_prefix(space);
    }
    if (input.empty()) return std::nullopt;

    const std::string_view piece = input.substr(0, document_bytes_max_ - document_.size());
    std::size_t used = 0;
    switch (parser_->show(piece, used)) {
        case Parser::Verdict::whole:
            document_ += piece.substr(0, used);
            input.remove_prefix(used);
            return take_document();
        case Parser::Verdict::wrong:
            return fail_at(piece, false);
        case Parser::Verdict::too_deep:
            return fail_at(piece, true);
        case Parser::Verdict::needs_more:
            break;
    }
    document_ += piece;
    input.remove_prefix(piece.size());
    if (input.empty()) return std::nullopt;
    // At the limit, and it goes on, unless it is a number that the next byte has ended.
    if (!document_.empty() && goes_on_in_number(document_.front()) &&
        !goes_on_in_number(input.front()) && parser_->end() == Parser::Verdict::whole) {
        return take_document();
    }
    return fail(CodecErrc::frame_too_large, "the JSON document that begins at byte " +
                                                std::to_string(document_begins_) +
                                                " is larger than the limit of " +
                                                std::to_string(document_bytes_max_) + " bytes");
}

Result<std::optional<std::string>> Json::finish() {
    if (failure_) return std::unexpected(*failure_);
    if (document_.empty()) return std::nullopt;
    if (parser_->end() == Parser::Verdict::whole) return take_document();
    return fail(CodecErrc::cut_short,
                "the JSON document that begins at byte " + std::to_string(document_begins_) +
                    " is cut short after " + std::to_string(document_.size()) + " bytes");
}

Result<void> Json::encode(const std::string& document, std::string& out) const {
    Json reader(document_bytes_max_, depth_max_);
    std::string_view rest = document;
    Result<std::optional<std::string>> frame = reader.decode(rest);
    if (frame && !*frame) frame = reader.finish();
    const bool large_or_deep = !frame && (frame.error() == CodecErrc::frame_too_large ||
                                          frame.error() == CodecErrc::too_deep);
    if (large_or_deep) return std::unexpected(std::move(frame).error());
    const bool one = frame && *frame && rest.find_first_not_of(kWhitespace) == std::string::npos;
    if (!one) {
        const Error not_one(CodecErrc::not_encodable, "the text is not exactly one JSON document");
        return std::unexpected(frame ? not_one : not_one.with_cause(std::move(frame).error()));
    }
    out += **frame;
    out += '\n';
    return {};
}

}  // namespace troupe::codec

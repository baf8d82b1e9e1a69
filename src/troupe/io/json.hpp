#pragma once

#include <troupe/io/codec.hpp>

#include <memory>

namespace troupe::codec {

/// JSON documents (RFC 8259), one behind the other, with any or no whitespace in between; numbers,
/// true, false and null need some behind them. A frame is the text of one whole document, checked
/// from its first byte to its last, UTF-8 included; what it means is the reader's affair.
class Json {
public:
    using Frame = std::string;

    /// How deep arrays and objects may be nested unless said otherwise: people nest a tenth of it.
    static constexpr std::size_t kDepthDefault = 64;

    /// Whoever reads the frames pays for their depth with stack.
    explicit Json(std::size_t document_bytes_max, std::size_t depth_max = kDepthDefault);
    Json(Json&&) noexcept;
    Json& operator=(Json&&) noexcept;
    ~Json();

    /// Errors: frame_too_large, malformed, too_deep.
    Result<std::optional<std::string>> decode(std::string_view& input);
    /// Errors: cut_short.
    Result<std::optional<std::string>> finish();

    /// Appends the document and a line end. Errors: not_encodable, for what is not exactly one
    /// document; frame_too_large; too_deep.
    Result<void> encode(const std::string& document, std::string& out) const;

    Json fresh() const { return Json(document_bytes_max_, depth_max_); }

private:
    class Parser;

    Result<std::optional<std::string>> take_document();
    std::unexpected<Error> fail(CodecErrc code, std::string why);
    std::unexpected<Error> fail_at(std::string_view piece, bool too_deep);

    std::size_t document_bytes_max_;
    std::size_t depth_max_;
    std::unique_ptr<Parser> parser_;
    std::string document_;               // what has come of it
    std::uint64_t document_begins_ = 0;  // in the stream
    bool needs_space_ = false;           // the last document has no end of its own
    std::optional<Error> failure_;
};

}  // namespace troupe::codec

#include <troupe/http/internal/character_set.hpp>
#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/internal/multipart_parser.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <utility>

namespace troupe::http_internal {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kLinesMax = 32;

// White space behind a delimiter, and text before the first one, have no use.
constexpr std::size_t kSkippedMax = 1024;

constexpr CharacterSet kBoundaryCharacters("'()+_,-./:=? ");

bool is_boundary(std::string_view text) {
    constexpr std::size_t kBoundaryBytesMax = 70;
    if (text.empty() || text.size() > kBoundaryBytesMax || text.ends_with(' ')) return false;
    return std::all_of(text.begin(), text.end(), [](char c) { return kBoundaryCharacters.has(c); });
}

/// One `name=value` behind a ";". The value is a token or a quoted string.
struct Parameter {
    std::string_view name;
    std::string value;
};

/// Cuts the next parameter off `rest`, which begins with ";". Nothing when it is malformed.
std::optional<Parameter> cut_parameter(std::string_view& rest) {
    Parameter parameter;
    if (!rest.starts_with(';')) return std::nullopt;
    rest = trimmed(rest.substr(1));
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    parameter.name = rest.substr(0, equals);
    if (!std::all_of(parameter.name.begin(), parameter.name.end(), is_token_character)) {
        return std::nullopt;
    }
    rest.remove_prefix(equals + 1);
    if (!rest.starts_with('"')) {
        const std::size_t end = std::min(rest.find_first_of("; \t"), rest.size());
        parameter.value.assign(rest.substr(0, end));
        rest = trimmed(rest.substr(end));
        return parameter;
    }
    for (std::size_t i = 1; i < rest.size(); ++i) {
        char c = rest[i];
        if (c == '"') {
            rest = trimmed(rest.substr(i + 1));
            return parameter;
        }
        // Browsers escape nothing but the quote, as %22; others escape as RFC 9110 does.
        const bool escapes = c == '\\' && i + 1 < rest.size();
        if (escapes && (rest[i + 1] == '"' || rest[i + 1] == '\\')) c = rest[++i];
        parameter.value += c;
    }
    return std::nullopt;
}

/// Undoes what browsers do to quotes and line ends in names.
std::string undo_browser_escapes(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string_view three = text.substr(i, 3);
        if (three == "%22") {
            out += '"';
        } else if (three == "%0D" || three == "%0A") {
            out += three == "%0D" ? '\r' : '\n';
        } else {
            out += text[i];
            continue;
        }
        i += 2;
    }
    return out;
}

/// Reads `form-data; name="x"; filename="y"`.
bool read_disposition(std::string_view value, PartHead& head) {
    const std::size_t end = std::min(value.find(';'), value.size());
    if (!equals_ignoring_case(trimmed(value.substr(0, end)), "form-data")) return false;
    bool named = false;
    for (std::string_view rest = value.substr(end); !rest.empty() && rest != ";";) {
        const std::optional<Parameter> parameter = cut_parameter(rest);
        if (!parameter) return false;
        if (equals_ignoring_case(parameter->name, "name")) {
            if (named) return false;
            named = true;
            head.name = undo_browser_escapes(parameter->value);
        } else if (equals_ignoring_case(parameter->name, "filename")) {
            if (head.file_name) return false;
            head.file_name = undo_browser_escapes(parameter->value);
        }
    }
    return named;
}

}  // namespace

std::optional<std::string> multipart_boundary(std::string_view content_type) {
    const std::size_t end = std::min(content_type.find(';'), content_type.size());
    if (!equals_ignoring_case(trimmed(content_type.substr(0, end)), "multipart/form-data")) {
        return std::nullopt;
    }
    std::optional<std::string> boundary;
    for (std::string_view rest = content_type.substr(end); !rest.empty() && rest != ";";) {
        std::optional<Parameter> parameter = cut_parameter(rest);
        if (!parameter) return std::nullopt;
        if (!equals_ignoring_case(parameter->name, "boundary")) continue;
        if (boundary || !is_boundary(parameter->value)) return std::nullopt;
        boundary = std::move(parameter->value);
    }
    return boundary;
}

std::string safe_file_name(std::string_view sent) {
    constexpr std::size_t kNameBytesMax = 255;
    const std::size_t separator = sent.find_last_of("/\\");
    if (separator != std::string_view::npos) sent.remove_prefix(separator + 1);
    std::string name;
    for (char c : sent) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || (c == '.' && name.empty())) continue;
        name += c;
    }
    if (name.size() > kNameBytesMax) {
        // Not in the middle of a character of UTF-8.
        std::size_t end = kNameBytesMax;
        while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80)
            --end;
        name.resize(end);
    }
    return name.empty() ? "unnamed" : name;
}

MultipartParser::MultipartParser(std::string_view boundary, MultipartLimits limits)
    : delimiter_("\r\n--" + std::string(boundary)), limits_(limits) {}

MultipartParser::Step MultipartParser::step(std::string_view input, PartHead& head) {
    std::size_t passed = 0;
    for (;;) {
        const State before = state_;
        Step step = step_in_state(input.substr(passed), head);
        step.consumed += passed;
        // Only a state that has changed can make more of what is there.
        if (step.status != Status::need_more || state_ == before) return step;
        passed = step.consumed;
    }
}

MultipartParser::Step MultipartParser::step_in_state(std::string_view input, PartHead& head) {
    switch (state_) {
        case State::start:
        case State::preamble:
            return find_first(input);
        case State::delimiter:
            return read_delimiter(input);
        case State::head:
            return read_head(input, head);
        case State::body:
            return read_body(input);
        case State::finished:
            break;
    }
    return Step{verdict_, input.size(), {}};
}

MultipartParser::Step MultipartParser::refuse(Status status, std::string_view problem) {
    state_ = State::finished;
    verdict_ = status;
    problem_ = problem;
    return Step{status, 0, {}};
}

MultipartParser::Step MultipartParser::find_first(std::string_view input) {
    // The first delimiter needs no line before it.
    const std::string_view first = std::string_view(delimiter_).substr(kLineEnd.size());
    if (state_ == State::start) {
        if (input.size() < first.size() && first.starts_with(input)) return Step{};
        if (input.starts_with(first)) {
            state_ = State::delimiter;
            return Step{Status::need_more, first.size(), {}};
        }
        state_ = State::preamble;
    }
    const std::size_t at = input.find(delimiter_);
    const bool found = at != std::string_view::npos;
    const std::size_t keep = delimiter_.size() - 1;
    const std::size_t passed = found ? at : input.size() - std::min(input.size(), keep);
    skipped_ += passed;
    if (skipped_ > kSkippedMax) {
        return refuse(Status::malformed, "The form does not begin with its boundary.");
    }
    if (!found) return Step{Status::need_more, passed, {}};
    state_ = State::delimiter;
    return Step{Status::need_more, at + delimiter_.size(), {}};
}

/// What follows a delimiter: "--" and the end, or the end of the line and a part.
MultipartParser::Step MultipartParser::read_delimiter(std::string_view input) {
    if (input.size() < 2 && skipped_here_ == 0 && (input.empty() || input[0] == '-')) return Step{};
    if (skipped_here_ == 0 && input.starts_with("--")) {
        state_ = State::finished;
        verdict_ = Status::end;
        return Step{Status::end, input.size(), {}};
    }
    const std::size_t blanks = std::min(input.find_first_not_of(" \t"), input.size());
    skipped_here_ += blanks;
    if (skipped_here_ > kSkippedMax) {
        return refuse(Status::malformed, "There is white space behind a boundary.");
    }
    input.remove_prefix(blanks);
    if (input.size() < kLineEnd.size() && kLineEnd.starts_with(input)) {
        return Step{Status::need_more, blanks, {}};
    }
    if (!input.starts_with(kLineEnd)) {
        return refuse(Status::malformed, "Something stands behind a boundary.");
    }
    if (parts_ == limits_.parts_max) {
        return refuse(Status::too_large, "The form has too many parts.");
    }
    ++parts_;
    skipped_here_ = 0;
    state_ = State::head;
    return Step{Status::need_more, blanks + kLineEnd.size(), {}};
}

MultipartParser::Step MultipartParser::read_head(std::string_view input, PartHead& head) {
    head = PartHead();
    // Nothing behind the limit is looked at, wherever the body was cut.
    input = input.substr(0, limits_.head_bytes_max + 1);
    std::size_t at = 0;
    for (std::size_t lines = 0;; ++lines) {
        FieldLine line;
        ParseRefusal refusal;
        const Lexed lexed = lex_field_line(input.substr(at), line, refusal);
        if (lexed != Lexed::bad && input.size() > limits_.head_bytes_max &&
            (lexed == Lexed::cut || at + line.size > limits_.head_bytes_max)) {
            return refuse(Status::too_large, "The header lines of a part are too long.");
        }
        if (lexed == Lexed::cut) return Step{};
        if (lexed == Lexed::bad) return refuse(Status::malformed, "A part's header line is none.");
        at += line.size;
        if (lexed == Lexed::empty_line) break;
        if (lines == kLinesMax) {
            return refuse(Status::too_large, "A part has too many header lines.");
        }
        if (equals_ignoring_case(line.name, "Content-Disposition") &&
            (head.headers.find(line.name) || !read_disposition(line.value, head))) {
            return refuse(Status::malformed, "A part does not say which field it is.");
        }
        head.headers.add(line.name, line.value);
    }
    if (!head.headers.find("Content-Disposition")) {
        return refuse(Status::malformed, "A part does not say which field it is.");
    }
    state_ = State::body;
    first_of_body_ = true;
    return Step{Status::part, at, {}};
}

MultipartParser::Step MultipartParser::read_body(std::string_view input) {
    // The line end that belongs to a delimiter may be the one that ends the head of an empty part.
    const std::string_view short_delimiter = std::string_view(delimiter_).substr(kLineEnd.size());
    if (first_of_body_) {
        if (input.size() < short_delimiter.size() && short_delimiter.starts_with(input)) {
            return Step{};
        }
        first_of_body_ = false;
        if (input.starts_with(short_delimiter)) {
            state_ = State::delimiter;
            return Step{Status::part_end, short_delimiter.size(), {}};
        }
    }
    const std::size_t at = input.find(delimiter_);
    if (at == 0) {
        state_ = State::delimiter;
        return Step{Status::part_end, delimiter_.size(), {}};
    }
    std::size_t end = at;
    if (at == std::string_view::npos) {
        // What may be the beginning of a delimiter waits for the rest.
        end = input.size();
        const std::size_t tail = input.size() - std::min(input.size(), delimiter_.size() - 1);
        for (std::size_t i = input.find('\r', tail); i < input.size();
             i = input.find('\r', i + 1)) {
            if (!std::string_view(delimiter_).starts_with(input.substr(i))) continue;
            end = i;
            break;
        }
    }
    if (end == 0) return Step{};
    return Step{Status::data, end, input.substr(0, end)};
}

}  // namespace troupe::http_internal

#include <troupe/http/internal/http_date.hpp>
#include <troupe/http/internal/response_writer.hpp>

#include <chrono>
#include <cstddef>

namespace troupe::http_internal {

namespace {

constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Takes a date apart from the left. Once something does not fit nothing does.
class DateReader {
public:
    explicit DateReader(std::string_view text) : rest_(text) {}

    void literal(std::string_view wanted) {
        if (!rest_.starts_with(wanted)) return fail();
        rest_.remove_prefix(wanted.size());
    }

    int number(std::size_t digits) {
        if (rest_.size() < digits) return fail(), 0;
        int value = 0;
        for (char c : rest_.substr(0, digits)) {
            if (c < '0' || c > '9') return fail(), 0;
            value = value * 10 + (c - '0');
        }
        rest_.remove_prefix(digits);
        return value;
    }

    /// A day as asctime writes it: " 6" or "16".
    int padded_day() {
        if (!rest_.starts_with(' ')) return number(2);
        literal(" ");
        return number(1);
    }

    unsigned month() {
        const std::size_t at = kMonths.find(rest_.substr(0, 3));
        if (rest_.size() < 3 || at == std::string_view::npos || at % 3 != 0) return fail(), 0;
        rest_.remove_prefix(3);
        return static_cast<unsigned>(at / 3) + 1;
    }

    void time() {
        hour_ = number(2);
        literal(":");
        minute_ = number(2);
        literal(":");
        second_ = number(2);
    }

    std::optional<std::int64_t> finish(int year, unsigned month, int day) const {
        using namespace std::chrono;
        const bool in_day = hour_ < 24 && minute_ < 60 && second_ <= 60;  // with a leap second
        const year_month_day date(std::chrono::year(year), std::chrono::month(month),
                                  std::chrono::day(static_cast<unsigned>(day)));
        if (!rest_.empty() || failed_ || !in_day || !date.ok()) return std::nullopt;
        const std::int64_t days = sys_days(date).time_since_epoch().count();
        return days * 86'400 + hour_ * 3'600 + minute_ * 60 + second_;
    }

private:
    void fail() {
        failed_ = true;
        rest_ = std::string_view();
    }

    std::string_view rest_;
    int hour_ = 0;
    int minute_ = 0;
    int second_ = 0;
    bool failed_ = false;
};

bool starts_with_weekday(std::string_view text) {
    constexpr std::string_view kWeekdays = "MonTueWedThuFriSatSun";
    const std::size_t at = kWeekdays.find(text.substr(0, 3));
    return text.size() > 3 && at != std::string_view::npos && at % 3 == 0;
}

/// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<std::int64_t> parse_fixed(std::string_view text) {
    DateReader reader(text.substr(3));
    reader.literal(", ");
    const int day = reader.number(2);
    reader.literal(" ");
    const unsigned month = reader.month();
    reader.literal(" ");
    const int year = reader.number(4);
    reader.literal(" ");
    reader.time();
    reader.literal(" GMT");
    return reader.finish(year, month, day);
}

/// Sunday, 06-Nov-94 08:49:37 GMT
std::optional<std::int64_t> parse_with_two_digits(std::string_view text) {
    DateReader reader(text.substr(text.find(',')));
    reader.literal(", ");
    const int day = reader.number(2);
    reader.literal("-");
    const unsigned month = reader.month();
    reader.literal("-");
    const int two_digits = reader.number(2);
    // "More than 50 years in the future" is the past. Nobody has written this form since 1995.
    const int year = two_digits < 70 ? 2000 + two_digits : 1900 + two_digits;
    reader.literal(" ");
    reader.time();
    reader.literal(" GMT");
    return reader.finish(year, month, day);
}

/// Sun Nov  6 08:49:37 1994
std::optional<std::int64_t> parse_of_asctime(std::string_view text) {
    DateReader reader(text.substr(3));
    reader.literal(" ");
    const unsigned month = reader.month();
    reader.literal(" ");
    const int day = reader.padded_day();
    reader.literal(" ");
    reader.time();
    reader.literal(" ");
    const int year = reader.number(4);
    return reader.finish(year, month, day);
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
    if (!starts_with_weekday(text)) return std::nullopt;
    if (text[3] == ',') return parse_fixed(text);
    if (text[3] == ' ') return parse_of_asctime(text);
    if (text.find(',') == std::string_view::npos) return std::nullopt;
    return parse_with_two_digits(text);
}

std::string http_date(std::int64_t seconds) {
    DateCache dates;
    const DateCache::Text& text = dates.at(std::chrono::seconds(seconds));
    return std::string(text.data(), text.size());
}

}  // namespace troupe::http_internal

#include <troupe/http/internal/response_writer.hpp>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <tuple>

namespace troupe::http_internal {

namespace {

constexpr std::string_view kWeekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kSecondsPerDay = 24 * 60 * 60;

struct Day {
    int year;
    int month;  // 0 to 11
    int day;    // 1 to 31
};

bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Counts years and months off. Done once a second, so it may be the obvious way.
Day day_of(std::int64_t days_since_1970) {
    Day day{1970, 0, 1};
    while (days_since_1970 >= (is_leap(day.year) ? 366 : 365)) {
        days_since_1970 -= is_leap(day.year) ? 366 : 365;
        ++day.year;
    }
    constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (;; ++day.month) {
        int length = kDays[day.month] + (day.month == 1 && is_leap(day.year) ? 1 : 0);
        if (days_since_1970 < length) break;
        days_since_1970 -= length;
    }
    day.day += static_cast<int>(days_since_1970);
    return day;
}

// Of a known size: copied in place.
template <std::size_t N>
char* put(char* at, const char (&literal)[N]) {
    std::memcpy(at, literal, N - 1);
    return at + N - 1;
}

char* put(char* at, const DateCache::Text& date) {
    std::memcpy(at, date.data(), date.size());
    return at + date.size();
}

char* put(char* at, std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return at + text.size();
}

char* put_number(char* at, int value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value /= 10) {
        at[i] = static_cast<char>('0' + value % 10);
    }
    return at + digits;
}

// RFC 9110: no body and no length at all.
bool has_no_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

}  // namespace

int status_on_wire(const http::Response& response) {
    return response.status() >= 100 && response.status() <= 999 ? response.status() : 500;
}

std::optional<std::uint64_t> length_on_wire(const http::Response& response) {
    int status = status_on_wire(response);
    if (has_no_body(status)) return std::nullopt;
    if (status == 205) return 0;
    return response.producer() ? response.length() : response.body().size();
}

const DateCache::Text& DateCache::at(Duration wall) {
    std::int64_t second = wall.count() < 0 ? 0 : wall.count() / kNanosecondsPerSecond;
    if (second != second_) {
        second_ = second;
        std::int64_t days = second / kSecondsPerDay;
        int rest = static_cast<int>(second % kSecondsPerDay);
        Day day = day_of(days);
        constexpr int kWeekdayOfFirst = 4;  // a Thursday
        char* at = put(text_.data(), kWeekdays[(days + kWeekdayOfFirst) % 7]);
        at = put_number(put(at, ", "), day.day, 2);
        at = put(put(at, " "), kMonths[day.month]);
        at = put_number(put(at, " "), day.year, 4);
        at = put_number(put(at, " "), rest / 3600, 2);
        at = put_number(put(at, ":"), rest / 60 % 60, 2);
        at = put_number(put(at, ":"), rest % 60, 2);
        put(at, " GMT");
    }
    return text_;
}

BodyEnd body_end(const http::Response& response, const Framing& framing) {
    // A 205 has a body, which is empty.
    int status = status_on_wire(response);
    if (has_no_body(status) || status == 205 || framing.head_only) return BodyEnd::nothing_follows;
    if (!response.producer() || response.length()) return BodyEnd::length;
    return framing.minor_version == 0 ? BodyEnd::close : BodyEnd::chunks;
}

namespace {

// More than all that write_head writes apart from what is counted beside it.
constexpr std::size_t kFixedLines = 256 + std::tuple_size_v<DateCache::Text>;

std::size_t head_bytes_max(const http::Response& response) {
    return kFixedLines + response.type().size() + response.header_lines().size();
}

/// Writes the head to where there is room for it. Returns where it ends.
char* write_head(char* at, const http::Response& response, const Framing& framing,
                 const DateCache::Text& date) {
    int status = status_on_wire(response);
    if (status == 200) {
        at = put(at, "HTTP/1.1 200 OK\r\nDate: ");
    } else {
        at = put_number(put(at, "HTTP/1.1 "), status, 3);
        at = put(put(at, " "), http::reason_phrase(status));
        at = put(at, "\r\nDate: ");
    }
    at = put(put(at, date), "\r\n");
    if (const auto length = length_on_wire(response)) {
        at = put(at, "Content-Length: ");
        at = std::to_chars(at, at + 20, *length).ptr;
        at = put(at, "\r\n");
    } else if (!has_no_body(status) && framing.minor_version == 1) {
        at = put(at, "Transfer-Encoding: chunked\r\n");
    }
    if (!response.type().empty()) {
        at = put(at, "Content-Type: ");
        at = put(put(at, response.type()), "\r\n");
    }
    at = put(at, response.header_lines());
    if (!framing.keep_alive) {
        at = put(at, "Connection: close\r\n");
    } else if (framing.minor_version == 0) {
        at = put(at, "Connection: keep-alive\r\n");
    }
    return put(at, "\r\n");
}

}  // namespace

void append_head(ByteBuffer& out, const http::Response& response, const Framing& framing,
                 const DateCache::Text& date) {
    char* begin = out.room(head_bytes_max(response)).data();
    out.put(static_cast<std::size_t>(write_head(begin, response, framing, date) - begin));
}

void append_response(ByteBuffer& out, const http::Response& response, const Framing& framing,
                     const DateCache::Text& date) {
    std::string_view body = response.body();
    if (body_end(response, framing) == BodyEnd::nothing_follows) body = std::string_view();
    char* begin = out.room(head_bytes_max(response) + body.size()).data();
    char* end = put(write_head(begin, response, framing, date), body);
    out.put(static_cast<std::size_t>(end - begin));
}

}  // namespace troupe::http_internal

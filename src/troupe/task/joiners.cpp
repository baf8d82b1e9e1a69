#include <troupe/task/joiners.hpp>

namespace troupe::task_internal {

namespace {

// A fan-out of thousands that all fail is named by its first few.
constexpr std::size_t kNamedMax = 10;

std::string sentence(const Error& error) {
    return error.text().empty() ? error.message() : error.text();
}

/// What went wrong of itself; those that were cancelled for it are only counted.
std::string list(const std::vector<const Error*>& failures) {
    std::string text;
    std::size_t named = 0;
    std::size_t cancelled = 0;
    for (const Error* const failure : failures) {
        if (*failure == Errc::cancelled) {
            ++cancelled;
        } else if (++named <= kNamedMax) {
            text += (named == 1 ? "" : "; ") + sentence(*failure);
        }
    }
    if (named > kNamedMax) text += "; and " + std::to_string(named - kNamedMax) + " more";
    if (cancelled != 0) {
        text += (named == 0 ? "" : "; ") + std::to_string(cancelled) + " cancelled";
    }
    return text;
}

}  // namespace

Error all_failures(const std::vector<const Error*>& failures, std::size_t children,
                   const Error& first) {
    std::size_t failed = 0;
    for (const Error* const failure : failures)
        failed += *failure == Errc::cancelled ? 0 : 1;
    if (failed <= 1) return first;
    return first.with_text(std::to_string(failed) + " of " + std::to_string(children) +
                           " failed: " + list(failures));
}

Error none_succeeded(const std::vector<const Error*>& failures, const std::string& wanted) {
    return Error(Errc::unreachable, failures.empty() ? wanted : wanted + ": " + list(failures));
}

}  // namespace troupe::task_internal

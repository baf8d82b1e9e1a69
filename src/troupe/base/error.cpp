#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>

#include <array>
#include <atomic>
#include <exception>
#include <iterator>
#include <new>
#include <optional>

namespace troupe {

namespace base_internal {

struct ErrorDetail {
    std::atomic<std::uint32_t> owners{1};  // written by whoever copies or drops an Error
    std::string text;
    std::source_location location;
    std::optional<Error> cause;

    ErrorDetail(std::string&& the_text, std::source_location the_location)
        : text(std::move(the_text)), location(the_location) {}
};

namespace {

struct DomainName {
    std::uint32_t domain;
    std::string_view type_name;
    DomainName* next;
};

// Grows before main and when a library is loaded, never shrinks: readers need no lock.
constinit std::atomic<DomainName*> g_domains{nullptr};

const DomainName* find_domain(std::uint32_t domain) noexcept {
    // acquire: reads the entries behind the head; pairs with register_error_domain.
    for (DomainName* it = g_domains.load(std::memory_order_acquire); it != nullptr; it = it->next) {
        if (it->domain == domain) return it;
    }
    return nullptr;
}

}  // namespace

void register_error_domain(std::uint32_t domain, std::string_view type_name) noexcept {
    if (const DomainName* known = find_domain(domain)) {
        TROUPE_ASSERT(known->type_name == type_name,
                      "two error enums have names with the same hash: rename one of them");
        return;
    }
    auto* entry = new DomainName{domain, type_name, g_domains.load(std::memory_order_relaxed)};
    // release: publishes the entry; pairs with find_domain.
    while (!g_domains.compare_exchange_weak(entry->next, entry, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
}

}  // namespace base_internal

namespace {

struct ErrcText {
    std::string_view name;
    const char* sentence;
};

constexpr ErrcText kErrcTexts[] = {
    {"timed_out", "no answer came before the deadline"},
    {"actor_gone", "the actor has ended"},
    {"no_reply", "the request was dropped without a reply"},
    {"mailbox_full", "the mailbox is full"},
    {"call_cycle", "the call would wait for itself through a chain of calls"},
    {"cancelled", "the work was cancelled"},
    {"not_found", "there is nothing under this name"},
    {"already_registered", "the name is taken"},
    {"wrong_type", "the name belongs to an actor of another type"},
    {"failed", "the handler failed"},
    {"start_failed", "the actor could not start"},
    {"unreachable", "nobody could be reached"},
    {"closed", "the other side has closed"},
};

const ErrcText* find_errc(std::int32_t value) noexcept {
    constexpr int kCount = std::size(kErrcTexts);
    return value >= 1 && value <= kCount ? &kErrcTexts[value - 1] : nullptr;
}

// Built at first use and never destroyed: errors are looked at while the process ends, too.
const std::string& errc_sentence(std::int32_t value) {
    constexpr std::size_t kCount = std::size(kErrcTexts);
    static const auto& sentences = *new std::array<std::string, kCount + 1>([] {
        std::array<std::string, kCount + 1> all;
        for (std::size_t i = 0; i < kCount; ++i)
            all[i] = kErrcTexts[i].sentence;
        return all;
    }());
    return sentences[find_errc(value) != nullptr ? static_cast<std::size_t>(value - 1) : kCount];
}

// The last two parts of a path: enough to find the file, short enough for a log line.
std::string_view short_path(std::string_view path) noexcept {
    std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos || slash == 0) return path;
    slash = path.rfind('/', slash - 1);
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

void append_message(std::string& out, const Error& error) {
    if (!error.text().empty()) {
        out += error.text();
        out += " (";
    }
    if (error.domain() == base_internal::kErrorDomain<Errc> &&
        find_errc(error.value()) != nullptr) {
        out += "Errc::";
        out += find_errc(error.value())->name;
    } else {
        const base_internal::DomainName* domain = base_internal::find_domain(error.domain());
        out += domain != nullptr ? domain->type_name : std::string_view("unknown enum");
        out += ' ';
        out += std::to_string(error.value());
    }
    std::source_location where = error.where();
    if (where.line() != 0) {
        out += " at ";
        out += short_path(where.file_name());
        out += ':';
        out += std::to_string(where.line());
    }
    if (!error.text().empty()) out += ')';
}

}  // namespace

std::string_view name(Errc code) noexcept {
    const ErrcText* found = find_errc(static_cast<std::int32_t>(code));
    return found != nullptr ? found->name : std::string_view();
}

void Error::attach(std::string&& text) {
    TROUPE_ASSERT(!has_detail(), "a source_location's pointer is even, and a detail comes once");
    void* block = allocate_block(sizeof(base_internal::ErrorDetail));
    auto* detail = new (block) base_internal::ErrorDetail(std::move(text), where());
    place_ = reinterpret_cast<std::uintptr_t>(detail) | kDetailTag;
}

base_internal::ErrorDetail* Error::detail() const noexcept {
    return reinterpret_cast<base_internal::ErrorDetail*>(place_ & ~kDetailTag);
}

void Error::retain() const noexcept {
    detail()->owners.fetch_add(1, std::memory_order_relaxed);
}

void Error::release() noexcept {
    base_internal::ErrorDetail* detail = this->detail();
    // acq_rel: the last owner sees what the others did with the detail; pairs with itself.
    if (detail->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    detail->~ErrorDetail();
    free_block(detail, sizeof(base_internal::ErrorDetail));
}

const std::string& Error::text() const noexcept {
    if (has_detail() && !detail()->text.empty()) return detail()->text;
    static const std::string& empty = *new std::string();
    return domain_ == base_internal::kErrorDomain<Errc> ? errc_sentence(value_) : empty;
}

std::source_location Error::where() const noexcept {
    return has_detail() ? detail()->location : std::bit_cast<std::source_location>(place_);
}

const Error* Error::cause() const noexcept {
    return has_detail() && detail()->cause ? &*detail()->cause : nullptr;
}

/// Copies share a detail, so it never changes once it is visible: this is a new one.
Error Error::with_detail(std::string text, const Error* cause) const {
    void* block = allocate_block(sizeof(base_internal::ErrorDetail));
    auto* detail = new (block) base_internal::ErrorDetail(std::move(text), where());
    if (cause != nullptr) detail->cause.emplace(*cause);
    Error result(Errc::failed);
    result.domain_ = domain_;
    result.value_ = value_;
    result.place_ = reinterpret_cast<std::uintptr_t>(detail) | kDetailTag;
    return result;
}

Error Error::with_cause(Error cause) const {
    return with_detail(has_detail() ? detail()->text : std::string(), &cause);
}

Error Error::with_text(std::string text) const {
    return with_detail(std::move(text), cause());
}

std::string Error::message() const {
    std::string out;
    append_message(out, *this);
    for (const Error* next = cause(); next != nullptr; next = next->cause()) {
        out += "; caused by: ";
        append_message(out, *next);
    }
    return out;
}

std::string text_of_current_exception() {
    try {
        throw;
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

}  // namespace troupe

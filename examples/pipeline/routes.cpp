#include "routes.hpp"

#include <troupe/http/json.hpp>

#include "page.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kItemMax = 64;
constexpr std::int64_t kPatienceMax = 5000;  // ms

http::Response refuse(int status, std::string_view sentence, std::string_view code) {
    std::string document = "{\"error\":" + http::json_string(sentence);
    document += ",\"code\":" + http::json_string(code) + "}\n";
    return http::json(std::move(document)).status(status);
}

std::string field(std::string_view name, std::int64_t value) {
    return http::json_string(name) + ":" + std::to_string(value);
}
std::string field(std::string_view name, std::string_view value) {
    return http::json_string(name) + ":" + http::json_string(value);
}
std::int64_t in_ms(troupe::Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// The number from 0 to `largest` that a query parameter holds, `by_default` without one; what
/// is none goes to `problem`.
std::int64_t number(const http::Request& request, std::string_view name, std::int64_t by_default,
                    std::int64_t largest, std::string& problem) {
    const std::optional<std::string> text = request.query_parameter(name);
    if (!text) return by_default;
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = failed == std::errc() && end == text->data() + text->size();
    if (whole && value >= 0 && value <= largest) return value;
    problem =
        std::string(name) + " must be a whole number from 0 to " + std::to_string(largest) + ".";
    return by_default;
}

std::optional<std::size_t> number_of_backend(std::string_view name) {
    const auto* const at = std::ranges::find(kBackends, name);
    if (at == kBackends.end()) return std::nullopt;
    return static_cast<std::size_t>(at - kBackends.begin());
}

constexpr std::string_view kNoBackend = "The backends are price, stock, reviews and delivery.";

/// The backend that a query parameter names; empty without one, and a problem when there is none.
std::string backend_in(const http::Request& request, std::string_view name, std::string& problem) {
    const std::optional<std::string> text = request.query_parameter(name);
    if (!text) return {};
    if (!number_of_backend(*text)) problem = kNoBackend;
    return *text;
}

// ---- offers -------------------------------------------------------------------------------------

/// `0.59.1`: a Pid without its brackets, which JSON would not leave alone.
std::string digits_of(const troupe::Pid& pid) {
    const std::string text = to_string(pid);
    return text.substr(1, text.size() - 2);
}

std::string written(const Asked& asked, const Offer& offer) {
    std::string parts;
    std::string missing;
    for (const Share& share : offer.shares) {
        std::string& list = share.part ? parts : missing;
        if (!list.empty()) list += ",";
        list += http::json_string(share.backend) + ":{";
        list += share.part
                    ? field("text", share.part->text) + "," + field("by", digits_of(share.part->by))
                    : field("why", share.part.error().text());
        list += "," + field("took_ms", in_ms(share.took)) + "}";
    }
    std::string document = "{" + field("item", asked.item);
    document += ",\"degraded\":" + std::string(offer.missing() == 0 ? "false" : "true");
    document += "," + field("took_ms", in_ms(offer.took));
    document += ",\"parts\":{" + parts + "},\"missing\":{" + missing + "}}\n";
    return document;
}

troupe::Task<http::Response> make(troupe::System system, Kitchen kitchen, http::Request request) {
    Asked asked;
    asked.item = request.parameter("item");
    std::string problem;
    if (asked.item.size() > kItemMax) problem = "An item's name has 64 letters at most.";
    asked.deadline = 1ms * number(request, "deadline", 200, kPatienceMax, problem);
    asked.hedge_after = 1ms * number(request, "hedge", 30, kPatienceMax, problem);
    asked.slow = backend_in(request, "slow", problem);
    asked.failing = backend_in(request, "fail", problem);
    if (!problem.empty()) co_return refuse(400, problem, "bad_request");

    const auto offer = co_await make_offer(system, std::move(kitchen), asked);
    if (!offer) co_return http::from(offer.error());
    http::Response response = http::json(written(asked, *offer));
    // Something is better than nothing; nothing is an error.
    if (offer->missing() == offer->shares.size()) response.status(503);
    co_return response;
}

// ---- backends -----------------------------------------------------------------------------------

troupe::Task<http::Response> list(Kitchen kitchen) {
    std::string text;
    for (const auto& backend : kitchen.backends) {
        const auto info = co_await backend.info();
        text += info ? to_string(*info) : info.error().text();
        text += "\n";
    }
    co_return http::ok(text);
}

troupe::Task<http::Response> show_readiness(Kitchen kitchen) {
    std::string missing;
    for (std::size_t i = 0; i < kBackends.size(); ++i) {
        const auto readiness = co_await kitchen.backends[i].readiness();
        if (!readiness) missing += std::string(kBackends[i]) + ": does not run\n";
        if (!readiness) continue;
        for (const std::string& what : readiness->missing)
            missing += what + "\n";
    }
    if (missing.empty()) co_return http::ok("ready\n");
    co_return http::text(503, missing);
}

troupe::Task<http::Response> show_tally(Kitchen kitchen) {
    const auto tally = co_await kitchen.desk.ask<&Desk::tally>();
    if (!tally) co_return http::from(tally.error());
    co_return http::json("{" + field("asked", static_cast<std::int64_t>(tally->asked)) + "," +
                         field("whole", static_cast<std::int64_t>(tally->whole)) + "," +
                         field("degraded", static_cast<std::int64_t>(tally->degraded)) + "," +
                         field("empty", static_cast<std::int64_t>(tally->empty)) + "}\n");
}

http::Response behave(const Kitchen& kitchen, const http::Request& request) {
    const auto backend = number_of_backend(request.parameter("name"));
    if (!backend) return refuse(404, kNoBackend, "not_found");
    std::string problem;
    Behaviour behaviour;
    behaviour.usual = 1ms * number(request, "usual", 10, kPatienceMax, problem);
    behaviour.slow = 1ms * number(request, "slow", 400, kPatienceMax, problem);
    behaviour.slow_in_a_hundred =
        static_cast<unsigned>(number(request, "slow_in_a_hundred", 5, 100, problem));
    behaviour.failing_in_a_hundred =
        static_cast<unsigned>(number(request, "failing_in_a_hundred", 0, 100, problem));
    if (!problem.empty()) return refuse(400, problem, "bad_number");
    if (kitchen.desk.tell<&Desk::behave>(*backend, behaviour) != troupe::SendStatus::sent) {
        return refuse(503, "The desk has too much to do.", "mailbox_full");
    }
    return http::json("{" + field("backend", kBackends[*backend]) + "," +
                      field("usual_ms", in_ms(behaviour.usual)) + "," +
                      field("slow_ms", in_ms(behaviour.slow)) + "," +
                      field("slow_in_a_hundred", behaviour.slow_in_a_hundred) + "," +
                      field("failing_in_a_hundred", behaviour.failing_in_a_hundred) + "}\n");
}

http::Response crash(const Kitchen& kitchen, const http::Request& request) {
    const auto backend = number_of_backend(request.parameter("name"));
    if (!backend) return refuse(404, kNoBackend, "not_found");
    if (kitchen.backends[*backend].tell<&Replica::crash>() != troupe::SendStatus::sent) {
        return refuse(503, "This backend has nobody who could crash just now.", "no_member");
    }
    return http::json("{" + field("crashed", kBackends[*backend]) + "}\n");
}

}  // namespace

http::Router routes(troupe::System system, Kitchen kitchen) {
    http::Router router;
    router.get("/", [](const http::Request&) { return http::ok(std::string(kPage)); });
    router.get("/offers/:item",
               [=](http::Request request) { return make(system, kitchen, std::move(request)); });
    router.get("/backends", [=](http::Request) { return list(kitchen); });
    router.get("/ready", [=](http::Request) { return show_readiness(kitchen); });
    router.get("/tally", [=](http::Request) { return show_tally(kitchen); });
    router.post("/backends/:name",
                [=](const http::Request& request) { return behave(kitchen, request); });
    router.post("/backends/:name/crash",
                [=](const http::Request& request) { return crash(kitchen, request); });
    return router;
}

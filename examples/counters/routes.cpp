#include "routes.hpp"

#include <troupe/http/json.hpp>

#include "page.hpp"

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

http::Response refuse(int status, std::string_view sentence, std::string_view code) {
    std::string document = "{\"error\":" + http::json_string(sentence);
    document += ",\"code\":" + http::json_string(code) + "}";
    return http::json(std::move(document)).status(status);
}

/// What this program knows better than http::from: which of its own errors is whose fault.
http::Response failure(const troupe::Error& error) {
    if (error == CounterErrc::bad_name) return refuse(400, error.text(), "bad_name");
    if (error == CounterErrc::out_of_range) return refuse(400, error.text(), "out_of_range");
    if (error == CounterErrc::too_many) return refuse(503, error.text(), "too_many");
    return http::from(error);
}

http::Response answer(std::string_view name, std::int64_t value) {
    std::string document = "{\"name\":" + http::json_string(name);
    document += ",\"value\":" + std::to_string(value) + "}";
    return http::json(std::move(document));
}

/// The whole number in `text`, if that is what it is.
std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t number = 0;
    if (text.starts_with('+')) text.remove_prefix(1);
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

troupe::Task<http::Response> add(troupe::Ref<Counters> counters, http::Request request) {
    std::string name(request.parameter("name"));
    std::string text = request.query_parameter("n").value_or("1");
    std::optional<std::int64_t> amount = whole_number(text);
    if (!amount) {
        co_return refuse(400, "n must be a whole number, not \"" + text + "\".", "bad_number");
    }
    auto counter = co_await counters.ask<&Counters::find>(name);
    if (!counter) co_return failure(counter.error());
    auto value = co_await counter->ask<&Counter::add>(*amount);
    if (!value) co_return failure(value.error());
    co_return answer(name, *value);
}

troupe::Task<http::Response> read(troupe::Ref<Counters> counters, http::Request request) {
    std::string name(request.parameter("name"));
    auto counter = co_await counters.ask<&Counters::find>(name);
    if (!counter) co_return failure(counter.error());
    auto value = co_await counter->ask<&Counter::value>();
    if (!value) co_return failure(value.error());
    co_return answer(name, *value);
}

troupe::Task<http::Response> crash(troupe::Ref<Counters> counters, http::Request request) {
    auto counter = co_await counters.ask<&Counters::find>(request.parameter("name"));
    if (!counter) co_return failure(counter.error());
    auto crashed = co_await counter->ask<&Counter::crash>();
    if (crashed) co_return refuse(500, "The counter did not crash.", "failed");

    // So that the next request finds a fresh one even if it comes at once.
    auto forgotten = co_await counters.ask<&Counters::forget>(*counter);
    troupe::ignore(forgotten, "the counters hear of the end in any case");
    co_return failure(crashed.error());
}

troupe::Task<http::Response> list(troupe::System system, troupe::Ref<Counters> counters) {
    auto all = co_await counters.ask<&Counters::all>();
    if (!all) co_return failure(all.error());
    std::string document = "[";
    for (const NamedCounter& entry : *all) {
        auto info = system.info(entry.counter.pid());
        if (!info) continue;  // ended a moment ago
        // A counter that is busy must not hold up the list: its value is null.
        auto value = co_await entry.counter.ask<&Counter::value>().within(100ms);
        if (document.size() > 1) document += ",";
        document += "{\"name\":" + http::json_string(entry.name);
        document += ",\"value\":" + (value ? std::to_string(*value) : std::string("null"));
        document += ",\"mailbox\":" + std::to_string(info->mailbox_depth);
        document += ",\"messages\":" + std::to_string(info->handled) + "}";
    }
    co_return http::json(document + "]");
}

}  // namespace

http::Router routes(troupe::System system, troupe::Ref<Counters> counters) {
    http::Router router;
    router.get("/", [](const http::Request&) {
        // The page needs nothing from anywhere else, so nothing else may be brought into it.
        http::Response page = http::html(kPage);
        page.header("Content-Security-Policy",
                    "default-src 'none'; connect-src 'self'; img-src data:; "
                    "style-src 'unsafe-inline'; script-src 'unsafe-inline'");
        return page;
    });
    router.get("/health", [](const http::Request&) { return http::ok("ok\n"); });
    router.get("/counters", [=](http::Request) { return list(system, counters); });
    router.get("/counters/:name",
               [=](http::Request request) { return read(counters, std::move(request)); });
    router.post("/counters/:name/add",
                [=](http::Request request) { return add(counters, std::move(request)); });
    router.post("/counters/:name/crash",
                [=](http::Request request) { return crash(counters, std::move(request)); });
    return router;
}

#include "routes.hpp"

#include <troupe/http/json.hpp>

#include "page.hpp"

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace http = troupe::http;

namespace {

constexpr std::int64_t kLargest = 1'000'000'000;  // its sum fits 64 bits with room to spare

http::Response refuse(int status, std::string_view sentence, std::string_view code) {
    std::string document = "{\"error\":" + http::json_string(sentence);
    document += ",\"code\":" + http::json_string(code) + "}";
    return http::json(std::move(document)).status(status);
}

std::string field(std::string_view name, std::int64_t value) {
    return http::json_string(name) + ":" + std::to_string(value);
}
std::string field(std::string_view name, std::string_view value) {
    return http::json_string(name) + ":" + http::json_string(value);
}

/// The whole number between 0 and `largest` that a query parameter holds, if it does.
std::optional<std::int64_t> number(const http::Request& request, std::string_view name,
                                   std::int64_t by_default, std::int64_t largest) {
    const std::optional<std::string> text = request.query_parameter(name);
    if (!text) return by_default;
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (problem != std::errc() || end != text->data() + text->size()) return std::nullopt;
    if (value < 0 || value > largest) return std::nullopt;
    return value;
}

troupe::Task<http::Response> do_sum(troupe::Ref<Desk> desk, http::Request request) {
    const auto n = number(request, "n", 100, kLargest);
    if (!n) co_return refuse(400, "n must be a whole number from 0 to 1000000000.", "bad_number");
    const auto sum = co_await desk.ask<&Desk::sum_up_to>(*n);
    if (!sum) co_return http::from(sum.error());
    co_return http::json("{" + field("n", *n) + "," + field("sum", *sum) + "}");
}

troupe::Task<http::Response> show_tree(troupe::SupervisorRef tree) {
    const auto children = co_await tree.children();
    if (!children) co_return http::from(children.error());
    std::string document = "[";
    for (const troupe::ChildInfo& child : *children) {
        if (document.size() > 1) document += ",";
        document += "{" + field("path", child.path);
        document += "," + field("pid", to_string(child.pid));
        document += "," + field("state", name(child.state));
        document += "," + field("restarts", static_cast<std::int64_t>(child.restarts));
        document += "," + field("restarts_left", static_cast<std::int64_t>(child.restarts_left));
        document += "," + field("last_end", child.last_end) + "}";
    }
    co_return http::json(document + "]");
}

troupe::Task<http::Response> show_readiness(troupe::SupervisorRef tree) {
    const auto readiness = co_await tree.readiness();
    if (!readiness) co_return refuse(503, "The workshop has closed.", "closed");
    if (readiness->ready) co_return http::ok("ready\n");
    std::string text;
    for (const std::string& missing : readiness->missing)
        text += missing + "\n";
    http::Response response = http::ok(text);
    response.status(503);
    co_return response;
}

troupe::Task<http::Response> show_tally(troupe::Ref<Desk> desk) {
    const auto tally = co_await desk.ask<&Desk::tally>();
    if (!tally) co_return http::from(tally.error());
    co_return http::json("{" + field("asked", tally->asked) + "," + field("done", tally->done) +
                         "," + field("tried_again", tally->tried_again) + "," +
                         field("given_up", tally->given_up) + "}");
}

/// The worker of that number in the request's path, or nobody.
std::optional<troupe::Ref<Helper>> worker_of(const OpenWorkshop& workshop,
                                             const http::Request& request) {
    constexpr std::string_view kNames[kWorkers] = {"ann", "bob", "eve"};
    for (std::size_t i = 0; i < kWorkers; ++i) {
        if (request.parameter("name") == kNames[i]) return workshop.workers[i];
    }
    return std::nullopt;
}

http::Response crash(const OpenWorkshop& workshop, const http::Request& request) {
    const auto worker = worker_of(workshop, request);
    if (!worker) return refuse(404, "The workers are ann, bob and eve.", "not_found");
    if (worker->tell<&Helper::crash>() != troupe::SendStatus::sent) {
        return refuse(503, "This worker has too much to do to crash.", "mailbox_full");
    }
    return http::json("{" + field("crashed", request.parameter("name")) + "}");
}

http::Response set_failures(const OpenWorkshop& workshop, const http::Request& request) {
    const auto times = number(request, "in_a_hundred", 10, 100);
    if (!times) return refuse(400, "in_a_hundred must be from 0 to 100.", "bad_number");
    for (const troupe::Ref<Helper>& worker : workshop.workers)
        worker.tell<&Helper::fail_in_a_hundred>(static_cast<unsigned>(*times));
    return http::json("{" + field("failures_in_a_hundred", *times) + "}");
}

}  // namespace

http::Router routes(OpenWorkshop workshop) {
    http::Router router;
    router.get("/", [](const http::Request&) {
        // The page needs nothing from anywhere else, so nothing else may be brought into it.
        http::Response page = http::html(kPage);
        page.header("Content-Security-Policy",
                    "default-src 'none'; connect-src 'self'; img-src data:; "
                    "style-src 'unsafe-inline'; script-src 'unsafe-inline'");
        return page;
    });
    router.get("/ready", [=](http::Request) { return show_readiness(workshop.tree); });
    router.get("/tree", [=](http::Request) { return show_tree(workshop.tree); });
    router.get("/tally", [=](http::Request) { return show_tally(workshop.desk); });
    router.post("/sum",
                [=](http::Request request) { return do_sum(workshop.desk, std::move(request)); });
    router.post("/workers/:name/crash",
                [=](const http::Request& request) { return crash(workshop, request); });
    router.post("/failures",
                [=](const http::Request& request) { return set_failures(workshop, request); });
    return router;
}

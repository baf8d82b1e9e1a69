#include "service.hpp"

#include <troupe/actor/actor.hpp>
#include <troupe/actor/ask.hpp>
#include <troupe/http/client.hpp>
#include <troupe/http/server.hpp>

#include <set>
#include <sstream>
#include <utility>

namespace shop {

namespace http = troupe::http;
using troupe::Actor;
using troupe::ignore;
using troupe::Ref;
using troupe::Result;
using troupe::System;
using troupe::Task;

namespace {

Task<void> serve_until_stopped(System system, http::Router router) {
    http::ServerOptions options;
    options.host("0.0.0.0").port(kPort);
    auto server = co_await http::serve(system, std::move(router), options);
    if (!server) co_return;
    co_await system.stop_requested();
    ignore(co_await server->stop(kPatience), "the program ends either way");
}

// ---- the stock ----------------------------------------------------------------------------------

/// Knows which orders have been served. An order has a number, so that one that comes again is not
/// served twice.
class Stock : public Actor {
public:
    explicit Stock(Files files) : files_(std::move(files)) {
        std::istringstream log(files_.read());
        for (std::string order; std::getline(log, order);)
            served_.insert(order);
    }

    Result<int> take(std::string order) {
        if (!served_.contains(order)) {
            TROUPE_TRY(files_.append(order + "\n"));
            served_.insert(std::move(order));
        }
        return left();
    }
    int left() const { return kItemsAtFirst - static_cast<int>(served_.size()); }

private:
    Files files_;
    std::set<std::string> served_;
};

Task<http::Response> left(Ref<Stock> stock) {
    const auto count = co_await stock.ask<&Stock::left>();
    if (!count) co_return http::from(count.error());
    co_return http::ok(std::to_string(*count));
}

Task<http::Response> take(Ref<Stock> stock, http::Request request) {
    const auto count = co_await stock.ask<&Stock::take>(std::string(request.parameter("order")));
    if (!count) co_return http::from(count.error());
    co_return http::ok(std::to_string(*count));
}

// ---- the front ----------------------------------------------------------------------------------

Task<Result<std::string>> answer_of(http::Client client, http::ClientRequest request) {
    auto response = co_await client.send(std::move(request));
    if (!response) co_return std::unexpected(std::move(response).error());
    if (response->status != 200) {
        co_return troupe::error(troupe::Errc::failed, "it answered " + response->body);
    }
    co_return std::move(response->body);
}

http::Response unavailable(const troupe::Error& error) {
    return http::ok(error.message()).status(503);
}

Task<http::Response> offer(http::Client client) {
    auto price = co_await answer_of(client, http::ClientRequest("GET", "http://prices/price"));
    if (!price) co_return unavailable(price.error());
    auto items = co_await answer_of(client, http::ClientRequest("GET", "http://stock/left"));
    if (!items) co_return unavailable(items.error());
    co_return http::ok(*items + " at " + *price);
}

Task<http::Response> buy(http::Client client, http::Request request) {
    const std::string order(request.parameter("order"));
    auto taken =
        co_await answer_of(client, http::ClientRequest("POST", "http://stock/take/" + order));
    if (!taken) co_return unavailable(taken.error());
    co_return http::ok("sold");
}

}  // namespace

Task<void> stock(System system, Files files) {
    auto items = system.spawn<Stock>(std::move(files));
    http::Router router;
    router.get("/left", [=](http::Request) { return left(items); });
    router.post("/take/:order",
                [=](http::Request request) { return take(items, std::move(request)); });
    co_await serve_until_stopped(system, std::move(router));
}

Task<void> prices(System system) {
    http::Router router;
    router.get("/price", [](const http::Request&) { return http::ok("9.99"); });
    co_await serve_until_stopped(system, std::move(router));
}

Task<void> front(System system) {
    const http::Client client(system, http::ClientOptions().timeout(kPatience));
    http::Router router;
    router.get("/offer", [=](http::Request) { return offer(client); });
    router.post("/buy/:order",
                [=](http::Request request) { return buy(client, std::move(request)); });
    co_await serve_until_stopped(system, std::move(router));
}

}  // namespace shop

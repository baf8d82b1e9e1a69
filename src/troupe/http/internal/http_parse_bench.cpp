// What a request costs before and after its handler: parsing, finding the route, writing.

#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/internal/route_tree.hpp>

#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

constexpr std::string_view kSmall = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

constexpr std::string_view kBrowser =
    "GET /counters/ann?n=5 HTTP/1.1\r\n"
    "Host: 127.0.0.1:8080\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "\r\n";

void parse(benchmark::State& state, std::string_view bytes) {
    RequestParser parser((RequestLimits()));
    http::Request request;
    for (auto _ : state) {
        std::string_view rest = bytes;
        rest.remove_prefix(parser.read_head(rest, request).consumed);
        while (parser.body_follows())
            rest.remove_prefix(parser.read_body(rest, request).consumed);
        benchmark::DoNotOptimize(rest.data());
    }
}

void small_request(benchmark::State& state) {
    parse(state, kSmall);
}
BENCHMARK(small_request);

void browser_request(benchmark::State& state) {
    parse(state, kBrowser);
}
BENCHMARK(browser_request);

void post_1_kib(benchmark::State& state) {
    std::string bytes = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n";
    bytes.append(1024, 'x');
    parse(state, bytes);
}
BENCHMARK(post_1_kib);

void post_1_kib_in_chunks(benchmark::State& state) {
    std::string bytes = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 4; ++i)
        bytes += "100\r\n" + std::string(256, 'x') + "\r\n";
    bytes += "0\r\n\r\n";
    parse(state, bytes);
}
BENCHMARK(post_1_kib_in_chunks);

void find_route(benchmark::State& state) {
    RouteTree tree;
    for (const char* pattern : {"/", "/health", "/counters", "/counters/:name", "/static/*"}) {
        tree.add("GET", pattern);
    }
    tree.add("POST", "/counters/:name/add");
    RouteTree::Match match;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tree.find("POST", "/counters/ann/add", match));
    }
}
BENCHMARK(find_route);

void write_response(benchmark::State& state) {
    DateCache date;
    ByteBuffer out;
    for (auto _ : state) {
        out.consume(out.size());
        append_response(out, http::ok("Hello, World!"), Framing(), date.at(Duration(0)));
        benchmark::DoNotOptimize(out.pending().data());
    }
}
BENCHMARK(write_response);

}  // namespace
}  // namespace troupe::http_internal

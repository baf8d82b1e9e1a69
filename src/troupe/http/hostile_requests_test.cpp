// What strangers send, and exactly what they get: the statuses, and whether the connection goes on.
//
// Method: each row goes to a server on the deterministic engine's network, which cuts the bytes at
// other places for every seed. A row that is to leave the connection open is followed by a good
// request, which must be answered; one that is to close it is read to its end, and a good request
// that follows must not be answered. Some rows are sent cut once at every place.

#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::Reply;
using http_internal::serve_on_transport;
using net_internal::in_virtual_time;

/// The answers are statuses in their order, and "open" or "closed" behind them.
struct Row {
    std::string_view why;
    std::string_view answers;
    std::string bytes;
};

const std::string kGet = "GET /ok HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST /echo HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

std::string line(std::string_view request_line) {
    return std::string(request_line) + "\r\nHost: a\r\n\r\n";
}

std::string field(std::string_view header_line) {
    return kGet + std::string(header_line) + "\r\n\r\n";
}

std::string posted(std::string_view header_lines, std::string_view body) {
    return kPost + std::string(header_lines) + "\r\n\r\n" + std::string(body);
}

std::string bytes(const char* text, std::size_t size) {
    return std::string(text, size);
}

std::vector<Row> request_lines() {
    return {
        {"the plainest request", "200 open", line("GET /ok HTTP/1.1")},
        {"a method nobody knows", "501 open", line("BREW /ok HTTP/1.1")},
        {"a lower-case method is another method", "501 open", line("get /ok HTTP/1.1")},
        {"a method of symbols", "501 open", line("!#$%&'*+-.^_`|~ /ok HTTP/1.1")},
        {"an endless method", "501 closed", std::string(5000, 'A')},
        {"a method with a bracket", "400 closed", line("GE[T /ok HTTP/1.1")},
        {"a method with a colon", "400 closed", line("GET: /ok HTTP/1.1")},
        {"a method with a NUL", "400 closed", bytes("GE\0T /ok HTTP/1.1\r\nHost: a\r\n\r\n", 31)},
        {"a method beyond ASCII", "400 closed", line("G\xc3\x89T /ok HTTP/1.1")},
        {"no method", "400 closed", line(" /ok HTTP/1.1")},
        {"nothing but a method", "400 closed", "GET\r\n\r\n"},
        {"a tab behind the method", "400 closed", line("GET\t/ok HTTP/1.1")},
        {"two spaces behind the method", "400 closed", line("GET  /ok HTTP/1.1")},
        {"two spaces behind the target", "400 closed", line("GET /ok  HTTP/1.1")},
        {"a space behind the version", "400 closed", line("GET /ok HTTP/1.1 ")},
        {"a space in the target", "400 closed", line("GET /o k HTTP/1.1")},
        {"a tab in the target", "400 closed", line("GET /o\tk HTTP/1.1")},
        {"a vertical tab for a space", "400 closed", line("GET\v/ok HTTP/1.1")},
        {"a form feed in the target", "400 closed", line("GET /o\fk HTTP/1.1")},
        {"a NUL in the target", "400 closed", bytes("GET /o\0k HTTP/1.1\r\nHost: a\r\n\r\n", 31)},
        {"a DEL in the target", "400 closed", line("GET /o\x7fk HTTP/1.1")},
        {"a carriage return in the target", "400 closed", line("GET /o\rk HTTP/1.1")},
        {"no target", "400 closed", line("GET HTTP/1.1")},
        {"no version", "400 closed", line("GET /ok")},
        {"HTTP/0.9", "505 closed", line("GET /ok HTTP/0.9")},
        {"HTTP/1.2", "505 closed", line("GET /ok HTTP/1.2")},
        {"HTTP/2.0", "505 closed", line("GET /ok HTTP/2.0")},
        {"HTTP/3.0", "505 closed", line("GET /ok HTTP/3.0")},
        {"HTTP/9.9", "505 closed", line("GET /ok HTTP/9.9")},
        {"HTTP/1", "400 closed", line("GET /ok HTTP/1")},
        {"HTTP/1.", "400 closed", line("GET /ok HTTP/1.")},
        {"HTTP/1.11", "400 closed", line("GET /ok HTTP/1.11")},
        {"HTTP/11.1", "400 closed", line("GET /ok HTTP/11.1")},
        {"HTTP/01.1", "400 closed", line("GET /ok HTTP/01.1")},
        {"HTTP/1.1 in hexadecimal", "400 closed", line("GET /ok HTTP/0x1.1")},
        {"HTTP 1.1", "400 closed", line("GET /ok HTTP 1.1")},
        {"http/1.1", "400 closed", line("GET /ok http/1.1")},
        {"Http/1.1", "400 closed", line("GET /ok Http/1.1")},
        {"HTTPS/1.1", "400 closed", line("GET /ok HTTPS/1.1")},
        {"HTCPCP/1.0", "400 closed", line("GET /ok HTCPCP/1.0")},
        {"ICY/1.0", "400 closed", line("GET /ok ICY/1.0")},
        {"the preface of HTTP/2, to a path", "505 closed", "PRI /ok HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"a TLS hello", "400 closed", bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
        {"an SSH client", "400 closed", "SSH-2.0-OpenSSH_9.2p1\r\n"},
        {"an SMTP client", "400 closed", "EHLO example.org\r\n"},
        {"a Redis client", "400 closed", "*1\r\n$4\r\nPING\r\n"},
        {"a PROXY line", "400 closed", "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"},
        {"rubbish", "400 closed", bytes("\x00\xff\xfe\x01\x02\x03", 6)},
        {"a response", "400 closed", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    };
}

std::vector<Row> targets() {
    return {
        {"a query", "200 open", line("GET /ok?a=b&c HTTP/1.1")},
        {"an empty query", "200 open", line("GET /ok? HTTP/1.1")},
        {"two question marks", "200 open", line("GET /ok?a?b HTTP/1.1")},
        {"an encoded letter", "200 open", line("GET /%6fk HTTP/1.1")},
        {"an encoded slash is no slash", "404 open", line("GET %2fok HTTP/1.1").insert(4, "/")},
        {"a doubled slash is another path", "404 open", line("GET //ok HTTP/1.1")},
        {"a path that climbs is another path", "404 open", line("GET /a/../ok HTTP/1.1")},
        {"an encoded climb", "404 open", line("GET /%2e%2e/ok HTTP/1.1")},
        {"bytes beyond ASCII", "404 open", line("GET /\xc3\xa9 HTTP/1.1")},
        {"bytes that are no UTF-8", "404 open", line("GET /\xff\xfe HTTP/1.1")},
        {"a backslash", "404 open", line("GET /ok\\ HTTP/1.1")},
        {"half an escape", "400 closed", line("GET /ok%4 HTTP/1.1")},
        {"a percent sign at the end", "400 closed", line("GET /ok% HTTP/1.1")},
        {"an escape of no digits", "400 closed", line("GET /%zz HTTP/1.1")},
        {"an escape with a sign", "400 closed", line("GET /%-1 HTTP/1.1")},
        {"an encoded NUL", "400 closed", line("GET /ok%00 HTTP/1.1")},
        {"a bad escape in the query is the handler's", "200 open", line("GET /ok?%zz HTTP/1.1")},
        {"a fragment", "400 closed", line("GET /ok#a HTTP/1.1")},
        {"a fragment in the query", "400 closed", line("GET /ok?a#b HTTP/1.1")},
        {"a relative path", "400 closed", line("GET ok HTTP/1.1")},
        {"a question mark alone", "400 closed", line("GET ?a HTTP/1.1")},
        {"an asterisk for GET", "400 closed", line("GET * HTTP/1.1")},
        {"an asterisk for OPTIONS", "204 open", line("OPTIONS * HTTP/1.1")},
        {"two asterisks", "400 closed", line("OPTIONS ** HTTP/1.1")},
        {"an address", "200 open", line("GET http://a/ok HTTP/1.1")},
        {"an address in capitals", "200 open", line("GET HTTP://A/ok HTTP/1.1")},
        {"an https address", "200 open", line("GET https://a/ok HTTP/1.1")},
        {"an address with a port", "200 open", line("GET http://a:80/ok HTTP/1.1")},
        {"an address without a path", "404 open", line("GET http://a HTTP/1.1")},
        {"OPTIONS of an address without a path", "204 open", line("OPTIONS http://a HTTP/1.1")},
        {"an address with a user", "400 closed", line("GET http://u:p@a/ok HTTP/1.1")},
        {"an address without a host", "400 closed", line("GET http:///ok HTTP/1.1")},
        {"a bad host in an address", "400 closed", line("GET http://a,b/ok HTTP/1.1")},
        {"another scheme", "400 closed", line("GET ftp://a/ok HTTP/1.1")},
        {"a file", "400 closed", line("GET file:///etc/passwd HTTP/1.1")},
        {"CONNECT to a host", "501 closed", line("CONNECT a:443 HTTP/1.1")},
        {"CONNECT to a path", "501 closed", line("CONNECT /ok HTTP/1.1")},
        {"a target at its limit", "404 open", line("GET /" + std::string(399, 'a') + " HTTP/1.1")},
        {"a target beyond", "414 closed", line("GET /" + std::string(400, 'a') + " HTTP/1.1")},
        {"an endless target", "414 closed", "GET /" + std::string(3000, 'a')},
        {"an endless query", "414 closed", "GET /ok?" + std::string(3000, 'a')},
    };
}

std::vector<Row> header_lines() {
    return {
        {"no value", "200 open", field("A:")},
        {"nothing but white space", "200 open", field("A: \t ")},
        {"tabs within a value", "200 open", field("A: b\tc")},
        {"bytes beyond ASCII in a value", "200 open", field("A: \xe2\x82\xac \xff")},
        {"a colon in a value", "200 open", field("A: b: c")},
        {"a name of symbols", "200 open", field("!#$%&'*+-.^_`|~: b")},
        {"a line feed ends a line", "400 closed", "GET /ok HTTP/1.1\nHost: a\n\n"},
        {"a line feed ends a header line", "400 closed", kGet + "A: b\nC: d\r\n\r\n"},
        {"a line feed ends the head", "400 closed", kGet + "\n"},
        {"a line feed and a return", "400 closed", kGet + "A: b\n\rC: d\r\n\r\n"},
        {"a return alone", "400 closed", kGet + "A: b\rC: d\r\n\r\n"},
        {"a return alone ends the head", "400 closed", kGet + "\rA: b\r\n\r\n"},
        {"two returns", "400 closed", kGet + "A: b\r\r\n\r\n"},
        {"a folded line", "400 closed", field("A: b\r\n c")},
        {"a line folded with a tab", "400 closed", field("A: b\r\n\tc")},
        {"a folded Host", "400 closed", "GET /ok HTTP/1.1\r\nHost:\r\n a\r\n\r\n"},
        {"a folded first line", "400 closed", "GET /ok HTTP/1.1\r\n A: b\r\nHost: a\r\n\r\n"},
        {"a line of white space", "400 closed", field(" ")},
        {"a space before the colon", "400 closed", field("A : b")},
        {"a tab before the colon", "400 closed", field("A\t: b")},
        {"a space before a length's colon", "400 closed", posted("Content-Length : 1", "x")},
        {"a space in a name", "400 closed", field("A B: c")},
        {"a bracket in a name", "400 closed", field("A(: b")},
        {"a quote in a name", "400 closed", field("\"A\": b")},
        {"a slash in a name", "400 closed", field("A/B: c")},
        {"a name beyond ASCII", "400 closed", field("\xc3\x84: b")},
        {"a NUL in a name", "400 closed", kGet + bytes("A\0: b\r\n\r\n", 9)},
        {"no colon", "400 closed", field("A")},
        {"no name", "400 closed", field(": b")},
        {"an equals sign for the colon", "400 closed", field("A=b")},
        {"a NUL in a value", "400 closed", kGet + bytes("A: b\0c\r\n\r\n", 10)},
        {"a bell in a value", "400 closed", field("A: \a")},
        {"an escape in a value", "400 closed", field("A: \x1b[31m")},
        {"a DEL in a value", "400 closed", field("A: \x7f")},
        {"a form feed in a value", "400 closed", field("A: \f")},
        {"as many lines as there may be", "200 open",
         kGet +
             [] {
                 std::string lines;
                 for (int i = 0; i < 99; ++i)
                     lines += "A:\r\n";
                 return lines + "\r\n";
             }()},
        {"one line more", "431 closed",
         kGet +
             [] {
                 std::string lines;
                 for (int i = 0; i < 100; ++i)
                     lines += "A:\r\n";
                 return lines + "\r\n";
             }()},
        {"a long value", "431 closed", field("A: " + std::string(2000, 'b'))},
        {"a long name", "431 closed", field(std::string(2000, 'a') + ": b")},
        {"an endless value", "431 closed", kGet + "A: " + std::string(2000, 'b')},
        {"many long lines", "431 closed",
         kGet + "A: " + std::string(900, 'b') + "\r\nB: " + std::string(900, 'b') +
             "\r\nC: " + std::string(900, 'b') + "\r\n\r\n"},
        {"no Host", "400 closed", "GET /ok HTTP/1.1\r\n\r\n"},
        {"no Host, but an address", "400 closed", "GET http://a/ok HTTP/1.1\r\n\r\n"},
        {"an empty Host", "200 open", "GET /ok HTTP/1.1\r\nHost:\r\n\r\n"},
        {"a Host in capitals", "200 open", "GET /ok HTTP/1.1\r\nHOST: A\r\n\r\n"},
        {"a numeric Host", "200 open", "GET /ok HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
        {"two Hosts", "400 closed", field("Host: b")},
        {"the same Host twice", "400 closed", field("Host: a")},
        {"the same Host in another case", "400 closed", field("hOsT: a")},
        {"Hosts in a list", "400 closed", "GET /ok HTTP/1.1\r\nHost: a, b\r\n\r\n"},
        {"a Host with a path", "400 closed", "GET /ok HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {"a Host with a user", "400 closed", "GET /ok HTTP/1.1\r\nHost: u@a\r\n\r\n"},
        {"a Host with a space", "400 closed", "GET /ok HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {"a Host beyond ASCII", "400 closed", "GET /ok HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n"},
        {"an expectation nobody knows", "417 closed", field("Expect: more")},
        {"an empty expectation", "417 closed", field("Expect:")},
        {"two expectations", "417 closed", field("Expect: 100-continue\r\nExpect: more")},
        {"a continue without a body", "200 open", field("Expect: 100-continue")},
        {"an upgrade nobody knows", "200 open", field("Upgrade: warp\r\nConnection: upgrade")},
        {"an upgrade to HTTP/2", "200 open",
         field("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings")},
        {"close", "200 closed", field("Connection: close")},
        {"close in a list", "200 closed", field("Connection: x, CLOSE ,y")},
        {"nearly close", "200 open", field("Connection: closed")},
        {"keep-alive and close", "200 closed", field("Connection: keep-alive, close")},
        {"a range", "200 open", field("Range: bytes=0-0, 1-1, 2-2")},
    };
}

std::vector<Row> lengths() {
    return {
        {"a body", "200 open", posted("Content-Length: 3", "abc")},
        {"an empty body", "200 open", posted("Content-Length: 0", "")},
        {"a length with zeros before it", "200 open", posted("Content-Length: 0003", "abc")},
        {"a body for GET", "200 open", kGet + "Content-Length: 3\r\n\r\nabc"},
        {"a body for a path there is not", "404 open",
         "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"a request as a body", "200 open",
         posted("Content-Length: 31", "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n..")},
        {"a length of no digits", "400 closed", posted("Content-Length:", "")},
        {"a negative length", "400 closed", posted("Content-Length: -1", "")},
        {"a length with a sign", "400 closed", posted("Content-Length: +3", "abc")},
        {"a hexadecimal length", "400 closed", posted("Content-Length: 0x3", "abc")},
        {"a broken length", "400 closed", posted("Content-Length: 3.0", "abc")},
        {"a length in words", "400 closed", posted("Content-Length: three", "abc")},
        {"a length in two parts", "400 closed", posted("Content-Length: 3 3", "abc")},
        {"a length in quotes", "400 closed", posted("Content-Length: \"3\"", "abc")},
        {"digits beyond ASCII", "400 closed", posted("Content-Length: \xd9\xa3", "abc")},
        {"equal lengths in a list", "400 closed", posted("Content-Length: 3, 3", "abc")},
        {"a list that ends early", "400 closed", posted("Content-Length: 3,", "abc")},
        {"equal lengths twice", "400 closed",
         posted("Content-Length: 3\r\nContent-Length: 3", "abc")},
        {"different lengths", "400 closed",
         posted("Content-Length: 3\r\nContent-Length: 0", "abc")},
        {"a length and an empty one", "400 closed",
         posted("Content-Length: 3\r\nContent-Length:", "abc")},
        {"a length of 2^64", "400 closed", posted("Content-Length: 18446744073709551616", "")},
        {"a length of 2^64 - 1", "413 closed", posted("Content-Length: 18446744073709551615", "")},
        {"a length of 2^63 - 1", "413 closed", posted("Content-Length: 9223372036854775807", "")},
        {"a length of a thousand digits", "400 closed",
         posted("Content-Length: " + std::string(1000, '9'), "")},
        {"a body at its limit", "200 open", posted("Content-Length: 1000", std::string(1000, 'x'))},
        {"a body beyond", "413 closed", posted("Content-Length: 1001", std::string(1001, 'x'))},
        {"a body beyond, expected", "413 closed",
         posted("Content-Length: 1001\r\nExpect: 100-continue", "")},
        {"a body on HTTP/1.0", "200 closed", "POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"},
        {"HTTP/1.0 kept alive", "200 open", "GET /ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
        {"HTTP/1.0", "200 closed", "GET /ok HTTP/1.0\r\n\r\n"},
    };
}

std::vector<Row> codings() {
    auto coded = [](std::string_view coding) {
        return posted("Transfer-Encoding: " + std::string(coding), "0\r\n\r\n");
    };
    return {
        {"chunked", "200 open", coded("chunked")},
        {"chunked in capitals", "200 open", coded("CHUNKED")},
        {"chunked in white space", "200 open", coded(" \tchunked\t ")},
        {"identity", "501 closed", coded("identity")},
        {"gzip", "501 closed", coded("gzip")},
        {"gzip within chunked", "501 closed", coded("gzip, chunked")},
        {"chunked and then identity", "501 closed", coded("chunked, identity")},
        {"chunked twice in a list", "501 closed", coded("chunked, chunked")},
        {"chunked with a comma", "501 closed", coded("chunked,")},
        {"nearly chunked", "501 closed", coded("xchunked")},
        {"chunked with a parameter", "501 closed", coded("chunked;q=1")},
        {"chunked in quotes", "501 closed", coded("\"chunked\"")},
        {"chunked behind a control character", "400 closed",
         coded("\x0b"
               "chunked")},
        {"no coding", "501 closed", coded("")},
        {"a length and a coding", "400 closed",
         posted("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")},
        {"a coding and a length", "400 closed",
         posted("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n")},
        {"a coding and a bad length", "400 closed",
         posted("Transfer-Encoding: chunked\r\nContent-Length: x", "0\r\n\r\n")},
        {"an unknown coding and a length", "400 closed",
         posted("Transfer-Encoding: x\r\nContent-Length: 5", "abcde")},
        {"chunked twice", "400 closed",
         posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")},
        {"chunked and identity", "400 closed",
         posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n")},
        {"a coding's name with an underscore is another name", "200 open",
         posted("Transfer_Encoding: chunked\r\nContent-Length: 0", "")},
        {"a coding on HTTP/1.0", "400 closed",
         "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    };
}

std::vector<Row> chunks() {
    auto chunked = [](std::string_view body) { return kChunked + std::string(body); };
    return {
        {"chunks", "200 open", chunked("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n")},
        {"a size with zeros before it", "200 open", chunked("003\r\nabc\r\n000\r\n\r\n")},
        {"an extension", "200 open", chunked("3;a\r\nabc\r\n0;b=c\r\n\r\n")},
        {"a quoted extension", "200 open", chunked("3;a=\"b;\\\"c\"\r\nabc\r\n0\r\n\r\n")},
        {"trailers", "200 open", chunked("0\r\nA: b\r\nC: d\r\n\r\n")},
        {"a chunk that looks like an end", "200 open", chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n")},
        {"no size", "400 closed", chunked("\r\nabc\r\n0\r\n\r\n")},
        {"a size in words", "400 closed", chunked("three\r\nabc\r\n")},
        {"a negative size", "400 closed", chunked("-3\r\nabc\r\n0\r\n\r\n")},
        {"a size with a sign", "400 closed", chunked("+3\r\nabc\r\n0\r\n\r\n")},
        {"a size with a prefix", "400 closed", chunked("0x3\r\nabc\r\n0\r\n\r\n")},
        {"a size with an underscore", "400 closed", chunked("0_3\r\nabc\r\n0\r\n\r\n")},
        {"a space before a size", "400 closed", chunked(" 3\r\nabc\r\n0\r\n\r\n")},
        {"a space behind a size", "400 closed", chunked("3 \r\nabc\r\n0\r\n\r\n")},
        {"a tab behind a size", "400 closed", chunked("3\t\r\nabc\r\n0\r\n\r\n")},
        {"a size of seventeen digits", "400 closed", chunked("00000000000000003\r\nabc\r\n")},
        {"a size of 2^64 - 1", "413 closed", chunked("ffffffffffffffff\r\nabc")},
        {"a size of 2^64", "400 closed", chunked("10000000000000000\r\nabc")},
        {"sizes that sum up to 2^64", "413 closed", chunked("3\r\nabc\r\nfffffffffffffffd\r\n")},
        {"a size ended by a line feed", "400 closed", chunked("3\nabc\r\n0\r\n\r\n")},
        {"a size ended by a return", "400 closed", chunked("3\rabc\r\n0\r\n\r\n")},
        {"a line feed in an extension", "400 closed", chunked("3;\nabc\r\n0\r\n\r\n")},
        {"a line feed in a quoted extension", "400 closed", chunked("3;a=\"\n\"\r\nabc\r\n")},
        {"a line end in a quoted extension", "400 closed", chunked("3;a=\"\r\n\"\r\nabc\r\n")},
        {"an empty extension", "400 closed", chunked("3;\r\nabc\r\n0\r\n\r\n")},
        {"a NUL in an extension", "400 closed", kChunked + bytes("3;a\0\r\nabc\r\n", 11)},
        {"data longer than its size", "400 closed", chunked("3\r\nabcd\r\n0\r\n\r\n")},
        {"data shorter than its size", "400 closed", chunked("4\r\nabc\r\n0\r\n\r\n")},
        {"data ended by a line feed", "400 closed", chunked("3\r\nabc\n0\r\n\r\n")},
        {"a body beyond in one chunk", "413 closed", chunked("3e9\r\n")},
        {"a body beyond in two", "413 closed",
         chunked("3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\nx")},
        {"a folded trailer", "400 closed", chunked("0\r\nA: b\r\n c\r\n\r\n")},
        {"a malformed trailer", "400 closed", chunked("0\r\nA b\r\n\r\n")},
        {"a trailer ended by a line feed", "400 closed", chunked("0\r\nA: b\n\r\n")},
        {"a length as a trailer", "400 closed", chunked("0\r\nContent-Length: 5\r\n\r\n")},
        {"a coding as a trailer", "400 closed", chunked("0\r\nTransfer-Encoding: x\r\n\r\n")},
        {"a Host as a trailer", "400 closed", chunked("0\r\nHost: b\r\n\r\n")},
        {"endless framing", "400 closed", chunked("3;" + std::string(40'000, 'e'))},
        {"endless trailers", "400 closed", chunked("0\r\nA: " + std::string(40'000, 'b'))},
    };
}

std::vector<Row> sequences() {
    const std::string ok = kGet + "\r\n";
    return {
        {"nothing", "closed", ""},
        {"an empty line first", "200 open", "\r\n" + ok},
        {"four empty lines first", "200 open", "\r\n\r\n\r\n\r\n" + ok},
        {"empty lines for ever", "400 closed", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"},
        {"a line feed first", "400 closed", "\n" + ok},
        {"a return first", "400 closed", "\r" + ok},
        {"half a request line", "408 closed", "GET /o"},
        {"half a line end", "408 closed", "GET /ok HTTP/1.1\r"},
        {"half a head", "408 closed", kGet},
        {"half a line end behind the head", "408 closed", kGet + "\r"},
        {"half a body", "408 closed", posted("Content-Length: 3", "ab")},
        {"half a chunk", "408 closed", kChunked + "3\r\nab"},
        {"half a trailer", "408 closed", kChunked + "0\r\nA: "},
        {"three requests at once", "200 200 200 open", ok + ok + ok},
        {"requests of every kind at once", "200 200 404 405 200 open",
         ok + posted("Content-Length: 3", "abc") + get("/none") + line("DELETE /ok HTTP/1.1") +
             kChunked + "1\r\na\r\n0\r\n\r\n"},
        {"a line end behind a body", "200 200 open",
         posted("Content-Length: 3", "abc") + "\r\n" + ok},
        {"what comes behind a close", "200 closed", field("Connection: close") + ok},
        {"what comes behind a bad one", "200 400 closed", ok + "GET\r\n\r\n" + ok},
        {"a second request hidden by two lengths", "400 closed",
         posted("Content-Length: 0\r\nContent-Length: 30", "") + ok},
        {"a second request hidden in chunks", "400 closed",
         posted("Content-Length: 4\r\nTransfer-Encoding: chunked", "1c\r\n") + ok},
        {"a body longer than it says is the next request", "200 400 closed",
         posted("Content-Length: 3", "abc(def)")},
        {"a continue", "100 200 open", posted("Content-Length: 3\r\nExpect: 100-continue", "")},
        {"a crash", "500 closed", line("GET /crash HTTP/1.1")},
        {"what comes behind a crash", "500 closed", line("GET /crash HTTP/1.1") + ok},
        {"HEAD", "200h open", line("HEAD /ok HTTP/1.1")},
        {"HEAD of what there is not", "404h open", line("HEAD /none HTTP/1.1")},
        {"PATCH where there is no PATCH", "405 open", line("PATCH /ok HTTP/1.1")},
        {"TRACE", "405 open", line("TRACE /ok HTTP/1.1")},
        {"OPTIONS of a path", "204 open", line("OPTIONS /ok HTTP/1.1")},
        {"OPTIONS of what there is not", "404 open", line("OPTIONS /none HTTP/1.1")},
    };
}

std::vector<Row> all_rows() {
    std::vector<Row> rows;
    for (auto& part : {request_lines(), targets(), header_lines(), lengths(), codings(), chunks(),
                       sequences()}) {
        rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
}

Router routes() {
    Router router;
    router.get("/ok", [](const Request&) { return ok("ok"); });
    router.get("/last", [](const Request&) { return ok("last"); });
    router.post("/echo", [](Request request) { return ok(std::move(request.body)); });
    router.get("/crash", [](const Request&) -> Response { throw 1; });
    return router;
}

Task<Server> start(System system) {
    ServerOptions options;
    options.target_bytes_max(400).head_bytes_max(2000).body_bytes_max(1000);
    options.request_timeout(2s).idle_timeout(3s);
    return serve_on_transport(system, routes(), options);
}

/// The answers to what was sent, as rows write them.
Task<std::string> answers(Client& client, bool open, bool head_only) {
    std::string out;
    for (;;) {
        Reply reply = co_await client.receive(head_only);
        if (reply.status == 0) co_return out + "closed";
        if (open && reply.body == "last") co_return out + "open";
        out += std::to_string(reply.status) + (head_only ? "h " : " ");
        head_only = false;
    }
}

Task<void> check(System system, Server server, const Row& row, std::size_t cut) {
    Client client = co_await Client::connect(system, server.port());
    bool open = row.answers.ends_with("open");
    bool waits = row.answers.starts_with("408") || row.bytes.empty();
    std::string sent = row.bytes;
    if (!waits && !row.answers.starts_with("100")) sent += get("/last");
    if (cut > 0) {
        ignore(co_await client.send(sent.substr(0, cut)), "a refusal may have come first");
        ignore(co_await sleep(10ms), "a test that nobody cancels");
    }
    ignore(co_await client.send(sent.substr(cut)), "a refusal may have come first");
    if (row.answers.starts_with("100")) {
        Reply reply = co_await client.receive(true);
        EXPECT_EQ(reply.status, 100);
        EXPECT_TRUE(co_await client.send("abc" + get("/last")));
        std::string rest = co_await answers(client, open, false);
        EXPECT_EQ("100 " + rest, row.answers) << row.why;
        co_return;
    }
    bool head_only = row.answers.find('h') != std::string_view::npos;
    std::string got = co_await answers(client, open, head_only);
    EXPECT_EQ(got, row.answers) << row.why << ", cut at " << cut << "\n" << row.bytes;
}

Task<void> every_row(System system) {
    Server server = co_await start(system);
    for (const Row& row : all_rows())
        co_await check(system, server, row, 0);
    EXPECT_TRUE((co_await server.stop(1s)).has_value());
}

TEST(HostileRequests, AreEachAnsweredAsTheTableSays) {
    EXPECT_GE(all_rows().size(), 200U);
    in_virtual_time(20, every_row);
}

Task<void> every_cut(System system) {
    Server server = co_await start(system);
    std::vector<Row> rows = all_rows();
    for (std::size_t i = 0; i < rows.size(); i += 6) {
        if (rows[i].bytes.size() > 200) continue;
        for (std::size_t cut = 1; cut < rows[i].bytes.size(); ++cut)
            co_await check(system, server, rows[i], cut);
    }
    EXPECT_TRUE((co_await server.stop(1s)).has_value());
}

TEST(HostileRequests, AreAnsweredTheSameWhereverTheyAreCut) {
    in_virtual_time(2, every_cut);
}

}  // namespace
}  // namespace troupe::http

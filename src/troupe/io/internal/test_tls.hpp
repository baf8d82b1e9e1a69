#pragma once

/// For tests: certificates that never change, so that a seed replays to the byte, and both ends of
/// TLS over one connection.

#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/tls_session.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/scheduler/engine.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace troupe::io_internal {

// Made once with openssl for a hundred years; an authority, those it has issued, and one of its
// own.
inline constexpr const char* kTestAuthority = R"(-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIUdxB091Mq5zodGfSLQnLyAMYLpwIwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MTEyNzIwWhgPMjEy
NjExMDIxMTI3MjBaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEfl/YbQIPHvvmVjx3OfAf4Ll0eCAzUlEZlCPljLXu
yq8TogPZ3vE9j9j9TC8KDEYqW1ys2pqTBh+KvCbJd0gMrqNjMGEwHQYDVR0OBBYE
FHH//FYe2Nw6C7amvhfVDcskpA2OMB8GA1UdIwQYMBaAFHH//FYe2Nw6C7amvhfV
DcskpA2OMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49
BAMCA0gAMEUCIQC7frYAQIlQvG3P3tDsrb/dAChlJ1J24qKsCs/tv81gUQIgCHuY
AR7a5Val7bf6/rh12xoWm/pbntB/yyEobiZdpEM=
-----END CERTIFICATE-----
)";

/// For localhost and 127.0.0.1.
inline TlsCertificate test_certificate_of_localhost() {
    TlsCertificate certificate;
    certificate.chain = R"(-----BEGIN CERTIFICATE-----
MIIBvjCCAWSgAwIBAgIUNJJMwsLvqLpG8JtzQyj75gdiJg0wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MTEyNzIwWhgPMjEy
NjExMDIxMTI3MjBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABB3fLp6foomfIajBeERsBLrrjwW/r7pLHs/OFpSueSKnvePs
JtY2fQ3LM1Fd0BFku+s7WtX9420q9rw9vT0hCnWjgYwwgYkwGgYDVR0RBBMwEYIJ
bG9jYWxob3N0hwR/AAABMAwGA1UdEwEB/wQCMAAwHQYDVR0lBBYwFAYIKwYBBQUH
AwEGCCsGAQUFBwMCMB0GA1UdDgQWBBRkILsiKrJgLcTBt/QQfsp4HEiDuTAfBgNV
HSMEGDAWgBRx//xWHtjcOgu2pr4X1Q3LJKQNjjAKBggqhkjOPQQDAgNIADBFAiEA
te3XCEYAKwGg56p30khrp+xr0BrSEbjL56Ym5B0k4zgCIEOOHUeIj0FiKBvZit1G
oMteSKhFW/3bcaJtQJrforR/
-----END CERTIFICATE-----
)";
    certificate.key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1rt65h+KGknssbSo
x9OwMustTQu+k9C0b7NJ+3klGgyhRANCAAQd3y6en6KJnyGowXhEbAS6648Fv6+6
Sx7PzhaUrnkip73j7CbWNn0NyzNRXdARZLvrO1rV/eNtKva8Pb09IQp1
-----END PRIVATE KEY-----
)";
    return certificate;
}

/// For other.example and *.wild.example.
inline TlsCertificate test_certificate_of_other_example() {
    TlsCertificate certificate;
    certificate.chain = R"(-----BEGIN CERTIFICATE-----
MIIBzzCCAXagAwIBAgIUNJJMwsLvqLpG8JtzQyj75gdiJg4wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MTEyNzIwWhgPMjEy
NjExMDIxMTI3MjBaMBgxFjAUBgNVBAMMDW90aGVyLmV4YW1wbGUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATZo2WsEyMRylHANK6Axii2XJfeOHIMvMmM/6cakppf
llDbesdHHg/SoAtHeAs2wA/8LXXfFuq2FMz5pa5fattPo4GaMIGXMCgGA1UdEQQh
MB+CDW90aGVyLmV4YW1wbGWCDioud2lsZC5leGFtcGxlMAwGA1UdEwEB/wQCMAAw
HQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMB0GA1UdDgQWBBQGu2lFXy4S
EiJetjgejlTN+kK+ZjAfBgNVHSMEGDAWgBRx//xWHtjcOgu2pr4X1Q3LJKQNjjAK
BggqhkjOPQQDAgNHADBEAiBKCjy8oOFmhup/7/G3ndU32ugFBVkgcgyVUi/xHaHo
uQIgVQkKCpiPubvZ0daCkrVihSIYSchZ4C9VtQW+FEWW5TE=
-----END CERTIFICATE-----
)";
    certificate.key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbN7pt8vA3sKpw5Bs
IiBsdJMuaNs6I+SWMmf+eqX6de+hRANCAATZo2WsEyMRylHANK6Axii2XJfeOHIM
vMmM/6cakppfllDbesdHHg/SoAtHeAs2wA/8LXXfFuq2FMz5pa5fattP
-----END PRIVATE KEY-----
)";
    return certificate;
}

/// A client's: CN=ann.
inline TlsCertificate test_certificate_of_ann() {
    TlsCertificate certificate;
    certificate.chain = R"(-----BEGIN CERTIFICATE-----
MIIBqjCCAVCgAwIBAgIUNJJMwsLvqLpG8JtzQyj75gdiJg8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MTEyNzIwWhgPMjEy
NjExMDIxMTI3MjBaMA4xDDAKBgNVBAMMA2FubjBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABEwLDtAwAQ610M/fe5sEU1lHxrKPIAVM7TqSPn6gaUkTQ9Qikg7kTTja
xB5p2xDFp4e55y57ETEAP2/3jqvRxDGjfzB9MA4GA1UdEQQHMAWCA2FubjAMBgNV
HRMBAf8EAjAAMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcDAjAdBgNVHQ4E
FgQULSZxUx/u0MltZNR6P5til7lehHcwHwYDVR0jBBgwFoAUcf/8Vh7Y3DoLtqa+
F9UNyySkDY4wCgYIKoZIzj0EAwIDSAAwRQIgDYFfobMiNexibCzrmPaMjGWSm0AH
veYmm8jP1aiTuyoCIQC4j+tPso0NyhOD+zN8QmnOXvhYOuGuJpQip6M04POdeA==
-----END CERTIFICATE-----
)";
    certificate.key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9sPOYPt8sCNGB0eX
jyrGn8aW/yF8YGkZIk6IzjAgsU6hRANCAARMCw7QMAEOtdDP33ubBFNZR8ayjyAF
TO06kj5+oGlJE0PUIpIO5E042sQeadsQxaeHuecuexExAD9v946r0cQx
-----END PRIVATE KEY-----
)";
    return certificate;
}

/// Nobody vouches for it.
inline TlsCertificate test_certificate_of_stranger() {
    TlsCertificate certificate;
    certificate.chain = R"(-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUUONqVXl5hBfQRLLLTL9plXT2eKkwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTI2MTEyNzIwWhgPMjEyNjExMDIx
MTI3MjBaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEcvFf5vIQXkuvkfObCe4E5mib6InOoDk1YDKZgAu9UV9XAZ40hKpNLYSs
a20FQYIZTzcOU6ioUCRI9G23Sbwdb6NTMFEwHQYDVR0OBBYEFJPFKot4XYhHjqS8
df4YVq/oB1+/MB8GA1UdIwQYMBaAFJPFKot4XYhHjqS8df4YVq/oB1+/MA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPaCo9400J1DjcLgwB1li4vf
fDieKt1Ulbua69l0SQF0AiAO+QON9FxiebbsjmR9gfIFEQYJ46EbGe4v6FO9BX3d
VQ==
-----END CERTIFICATE-----
)";
    certificate.key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFo/Vrc/idljOJsZR
5C5Mt84LeubfF8LoIUzxH7mSy26hRANCAARy8V/m8hBeS6+R85sJ7gTmaJvoic6g
OTVgMpmAC71RX1cBnjSEqk0thKxrbQVBghlPNw5TqKhQJEj0bbdJvB1v
-----END PRIVATE KEY-----
)";
    return certificate;
}

inline TlsServer test_tls_server(TlsServerOptions options = TlsServerOptions()) {
    if (options.certificates().empty()) options.certificate(test_certificate_of_localhost());
    Result<TlsServer> server = TlsServer::make(options);
    EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().message());
    return *std::move(server);
}

inline TlsClient test_tls_client(TlsClientOptions options = TlsClientOptions()) {
    if (options.authorities().empty()) options.authorities(kTestAuthority);
    Result<TlsClient> client = TlsClient::make(options);
    EXPECT_TRUE(client.has_value()) << (client ? "" : client.error().message());
    return *std::move(client);
}

/// What a client says first.
inline std::string test_client_hello(Engine& engine) {
    TlsSession session(test_tls_client().state(), "localhost", "nobody");
    if (engine.deterministic()) session.draw_from(engine);
    std::string hello;
    std::string_view nothing;
    session.handshake(nothing, hello);
    return hello;
}

}  // namespace troupe::io_internal

#include "serve_arguments.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <utility>

namespace http = troupe::http;

namespace {

troupe::Result<troupe::TlsServer> tls_of(const std::string& certificate, const std::string& key) {
    if (certificate.empty()) return troupe::TlsServer::for_development();
    TROUPE_TRY(auto both, troupe::TlsCertificate::read_blocking(certificate, key));
    return troupe::TlsServer::make(troupe::TlsServerOptions().certificate(std::move(both)));
}

}  // namespace

std::optional<int> ServeArguments::parse(int argc, char** argv) {
    CLI::App line(about_);
    for (const Own& own : own_)
        line.add_option(own.name, *own.value, own.help)->capture_default_str();
    auto* const port = line.add_option("--port", port_, "the port to listen on, 0 for a free one");
    port->capture_default_str();
    auto* const address =
        line.add_option("--address", address_, "the address to listen on, 0.0.0.0 or :: for all");
    address->capture_default_str();
    line.add_option("--unix", unix_path_, "listen at a Unix socket of this path instead")
        ->excludes(port)
        ->excludes(address);
    line.add_flag("--share-port", shares_port_, "share the port with others that say so, too");
    line.add_flag("--tls", tls_, "serve https, with a certificate made for the occasion");
    auto* const certificate =
        line.add_option("--certificate", certificate_, "serve https with this one, a PEM file");
    auto* const key = line.add_option("--key", key_, "the key of the certificate, a PEM file");
    certificate->needs(key);
    key->needs(certificate);
    auto* const trusted = line.add_option(
        "--trust", trusted_,
        "proxies whose X-Forwarded lines are believed: addresses, networks, or \"unix\"");
    line.add_flag("--proxy-protocol", proxy_protocol_,
                  "those proxies begin connections with a PROXY header")
        ->needs(trusted);
    try {
        line.parse(argc, argv);
    } catch (const CLI::ParseError& asked) {
        return line.exit(asked);
    }
    return std::nullopt;
}

troupe::Result<http::ServerOptions> ServeArguments::options() const {
    http::ServerOptions options;
    options.host(address_).port(port_).reuse_port(shares_port_);
    if (!unix_path_.empty()) options.unix_socket(unix_path_);
    if (tls()) {
        TROUPE_TRY(auto identity, tls_of(certificate_, key_));
        options.tls(std::move(identity));
    }
    std::string trusted;
    for (const std::string& one : trusted_)
        trusted += one + " ";
    TROUPE_TRY(auto proxies, troupe::IpNetworks::parse(trusted));
    if (proxy_protocol_) options.proxy_protocol(troupe::ProxyProtocol(proxies));
    options.trusted_proxies(std::move(proxies));
    return options;
}

void ServeArguments::announce(const http::Server& server) const {
    std::cout << program_ << ": listening on ";
    if (!unix_path_.empty()) {
        std::cout << "unix:" << unix_path_;
    } else {
        std::cout << (tls() ? "https" : "http") << "://"
                  << to_string(troupe::Endpoint(address_, server.port()));
    }
    std::cout << "\n" << std::flush;
}

int ServeArguments::failed(const troupe::Error& why) const {
    std::cerr << program_ << ": " << why.text() << "\n";
    return 1;
}

#pragma once

// What every example that serves HTTP can be told on its command line: where to listen, and
// whether it speaks TLS or stands behind a proxy. See README.md beside this. CLI11 is known to one
// source only: it takes longer to compile than a whole example.

#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/server.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

class ServeArguments {
public:
    /// `program` is whose words they are: "lobby: listening on http://127.0.0.1:8080". `about` is
    /// said for --help.
    ServeArguments(std::string program, std::string about)
        : program_(std::move(program)), about_(std::move(about)) {}

    /// An option of the example's own. The value, which is also the default, outlives the parsing.
    void add(std::string name, std::string& value, std::string help) {
        own_.push_back({std::move(name), &value, std::move(help)});
    }

    /// Reads the command line. Gives what the program ends with at once: 0 when it was asked for
    /// help, more when it was asked for what it does not know.
    std::optional<int> parse(int argc, char** argv);

    /// What has been said, for http::serve. May read files, which blocks.
    ///
    /// Errors: what is wrong with an address, or with a certificate.
    troupe::Result<troupe::http::ServerOptions> options() const;

    /// Says where the server listens.
    void announce(const troupe::http::Server& server) const;

    /// Says why there is none. Gives what the program ends with: 1.
    int failed(const troupe::Error& why) const;

private:
    bool tls() const { return tls_ || !certificate_.empty(); }

    struct Own {
        std::string name;
        std::string* value;
        std::string help;
    };

    std::string program_;
    std::string about_;
    std::vector<Own> own_;
    std::string address_ = "127.0.0.1";
    std::uint16_t port_ = 8080;
    std::string unix_path_;
    bool shares_port_ = false;
    bool tls_ = false;
    std::string certificate_;
    std::string key_;
    bool proxy_protocol_ = false;
    std::vector<std::string> trusted_;
};

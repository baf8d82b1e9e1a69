#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

/// Which pages of other origins a browser lets read our responses, and what they may ask for. None
/// unless said.
class CorsOptions {
public:
    CorsOptions() = default;

    /// "https://app.example", as browsers write it: no path, and a port only if it is unusual.
    CorsOptions& origin(std::string origin) {
        origins_.push_back(std::move(origin));
        return *this;
    }
    /// Those for which this is true, besides. Called by several workers at once; throws nothing.
    CorsOptions& origins(std::function<bool(std::string_view origin)> allowed) {
        allowed_ = std::move(allowed);
        return *this;
    }
    /// Every page there is. Never with credentials().
    CorsOptions& any_origin() {
        any_origin_ = true;
        return *this;
    }
    /// What may be asked for; GET, HEAD and POST unless said.
    CorsOptions& methods(std::vector<std::string> methods) {
        methods_ = std::move(methods);
        return *this;
    }
    /// Which header lines pages may send, besides those that any page may.
    CorsOptions& headers(std::vector<std::string> names) {
        headers_ = std::move(names);
        return *this;
    }
    /// Which header lines of a response pages may read, besides those that any page may.
    CorsOptions& expose(std::vector<std::string> names) {
        exposed_ = std::move(names);
        return *this;
    }
    /// Cookies come along.
    CorsOptions& credentials() {
        credentials_ = true;
        return *this;
    }
    /// For how long a browser need not ask again before it sends such a request. Ten minutes
    /// unless said. Units: whole seconds.
    CorsOptions& max_age(Duration age) {
        max_age_ = age;
        return *this;
    }

private:
    friend class Cors;

    std::vector<std::string> origins_;
    std::function<bool(std::string_view)> allowed_;
    bool any_origin_ = false;
    std::vector<std::string> methods_ = {"GET", "HEAD", "POST"};
    std::vector<std::string> headers_;
    std::vector<std::string> exposed_;
    bool credentials_ = false;
    Duration max_age_ = std::chrono::minutes(10);
};

/// The middleware: see cors().
class Cors {
public:
    explicit Cors(CorsOptions options);

    Task<Response> operator()(Request request, Next next) const;

private:
    struct Texts;

    bool allows(std::string_view origin) const;
    Response answer_preflight(std::string_view origin) const;
    void allow(Response& response, std::string_view origin) const;

    std::shared_ptr<const Texts> texts_;  // shared by copies of the middleware
};

/// `router.use(cors(options))`: says to browsers which pages of other origins may read responses,
/// and answers when they ask beforehand. It refuses no request that was made: a page that may not
/// read the response may have sent a form all the same, and whoever is no browser sends anything.
/// Whether a page of the internet may reach a private network is never allowed.
///
/// any_origin() with credentials() ends the program: every page could act for whoever looks at it.
inline Cors cors(CorsOptions options) {
    return Cors(std::move(options));
}

}  // namespace troupe::http

#include <troupe/base/assert.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/http/internal/route_tree.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace troupe::http_internal {

namespace {

constexpr std::string_view kAnyMethod = "*";

struct MethodRoute {
    std::string method;
    std::size_t route;
};

/// The routes that end at one place, at most one for each method.
struct Endpoint {
    std::vector<MethodRoute> routes;

    const MethodRoute* find(std::string_view method) const {
        for (const MethodRoute& candidate : routes) {
            if (candidate.method == method) return &candidate;
        }
        return nullptr;
    }

    // GET answers HEAD where that has no route of its own, and "*" whatever has none.
    const MethodRoute* best(std::string_view method) const {
        const MethodRoute* route = find(method);
        if (!route && method == "HEAD") route = find("GET");
        if (!route) route = find(kAnyMethod);
        return route;
    }
};

// Cuts the first segment off a path that begins with "/".
std::string_view cut_segment(std::string_view& path) {
    std::size_t end = std::min(path.find('/', 1), path.size());
    std::string_view segment = path.substr(1, end - 1);
    path.remove_prefix(end);
    return segment;
}

void insert_sorted(std::vector<std::string>& methods, std::string_view method) {
    auto at = std::lower_bound(methods.begin(), methods.end(), method);
    if (at == methods.end() || *at != method) methods.insert(at, std::string(method));
}

// GET brings HEAD along, OPTIONS is always answered, and "*" stands for what people use.
std::string listed(std::vector<std::string> methods) {
    if (!methods.empty() && methods.front() == kAnyMethod) {
        methods.erase(methods.begin());
        for (std::string_view method : {"DELETE", "GET", "PATCH", "POST", "PUT"})
            insert_sorted(methods, method);
    }
    if (std::binary_search(methods.begin(), methods.end(), "GET")) insert_sorted(methods, "HEAD");
    insert_sorted(methods, "OPTIONS");
    std::string out;
    for (const std::string& method : methods) {
        if (!out.empty()) out += ", ";
        out += method;
    }
    return out;
}

}  // namespace

struct RouteTree::Node {
    std::string segment;
    std::vector<std::unique_ptr<Node>> exact;  // sorted by segment
    std::unique_ptr<Node> parameter;
    Endpoint here;  // the path ends at this node
    Endpoint rest;  // a trailing "*" stands below this node

    const Node* child(std::string_view wanted) const {
        auto at = std::lower_bound(exact.begin(), exact.end(), wanted,
                                   [](const std::unique_ptr<Node>& node, std::string_view text) {
                                       return node->segment < text;
                                   });
        return at != exact.end() && (*at)->segment == wanted ? at->get() : nullptr;
    }

    Node& child_or_new(std::string_view wanted) {
        auto at = std::lower_bound(exact.begin(), exact.end(), wanted,
                                   [](const std::unique_ptr<Node>& node, std::string_view text) {
                                       return node->segment < text;
                                   });
        if (at == exact.end() || (*at)->segment != wanted) {
            at = exact.insert(at, std::make_unique<Node>());
            (*at)->segment = wanted;
        }
        return **at;
    }
};

/// The endpoints of the patterns without parameters, by their whole path. Open addressing; whoever
/// chooses the paths that are looked up does not choose the ones that are in it.
class RouteTree::ExactPaths {
public:
    const Endpoint* find(std::string_view path) const {
        for (std::size_t at = hash(path) & mask();; at = (at + 1) & mask()) {
            if (!slots_[at].endpoint) return nullptr;
            if (slots_[at].path == path) return slots_[at].endpoint;
        }
    }

    void add(std::string_view path, const Endpoint* endpoint) {
        if (find(path)) return;
        std::vector<Slot> before(slots_.size());
        before.swap(slots_);
        if (++count_ * 2 > slots_.size()) slots_.resize(slots_.size() * 2);
        for (Slot& slot : before) {
            if (slot.endpoint) place(std::move(slot));
        }
        place(Slot{std::string(path), endpoint});
    }

private:
    struct Slot {
        std::string path;
        const Endpoint* endpoint = nullptr;
    };

    // Length, beginning and end tell paths apart well enough to begin with.
    static std::size_t hash(std::string_view path) {
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        std::size_t part = std::min(path.size(), sizeof first);
        if (part == sizeof first) {
            std::memcpy(&first, path.data(), sizeof first);
            std::memcpy(&last, path.data() + path.size() - sizeof last, sizeof last);
        } else {
            for (char c : path)
                first = first << 8 | static_cast<unsigned char>(c);
        }
        return static_cast<std::size_t>(mix_64(first + last * 31 + path.size()));
    }

    std::size_t mask() const { return slots_.size() - 1; }

    void place(Slot slot) {
        std::size_t at = hash(slot.path) & mask();
        while (slots_[at].endpoint)
            at = (at + 1) & mask();
        slots_[at] = std::move(slot);
    }

    std::vector<Slot> slots_{std::vector<Slot>(8)};  // a power of two, half of it empty at least
    std::size_t count_ = 0;
};

/// One walk down the tree. Visits the endpoints a path leads to, the most specific first, until
/// one is taken.
struct RouteTree::Search {
    std::string_view method;  // empty: none is taken, all are collected
    Match* match = nullptr;
    std::vector<std::string>* collected = nullptr;
    bool saw_endpoint = false;

    bool take(const Endpoint& endpoint, std::size_t parameter_count) {
        if (endpoint.routes.empty()) return false;
        saw_endpoint = true;
        if (collected) {
            for (const MethodRoute& route : endpoint.routes) {
                insert_sorted(*collected, route.method);
            }
            return false;
        }
        const MethodRoute* route = endpoint.best(method);
        if (!route) return false;
        match->route = route->route;
        match->parameter_count = parameter_count;
        return true;
    }

    bool walk(const Node& node, std::string_view rest, std::size_t parameter_count) {
        if (rest.empty()) return take(node.here, parameter_count);

        std::string_view after = rest;
        std::string_view segment = cut_segment(after);
        const Node* exact = node.child(segment);
        if (exact && walk(*exact, after, parameter_count)) return true;

        // An empty segment is no value: "/users/" is not a user without a name.
        if (node.parameter && !segment.empty()) {
            if (match) match->parameters[parameter_count] = segment;
            if (walk(*node.parameter, after, parameter_count + 1)) return true;
        }
        if (node.rest.routes.empty()) return false;
        if (match) match->parameters[parameter_count] = rest.substr(1);
        return take(node.rest, parameter_count + 1);
    }
};

RouteTree::RouteTree() : root_(std::make_unique<Node>()), exact_(std::make_unique<ExactPaths>()) {}
RouteTree::~RouteTree() = default;
RouteTree::RouteTree(RouteTree&&) noexcept = default;
RouteTree& RouteTree::operator=(RouteTree&&) noexcept = default;

void RouteTree::add(std::string_view method, std::string_view pattern) {
    TROUPE_ASSERT(!method.empty(), "a route has a method");
    TROUPE_ASSERT(pattern.starts_with('/'), "a route's pattern begins with \"/\"");
    Node* node = root_.get();
    std::vector<std::string> names;
    Endpoint* endpoint = nullptr;
    std::string_view rest = pattern;
    while (!rest.empty()) {
        std::string_view segment = cut_segment(rest);
        if (segment == "*") {
            TROUPE_ASSERT(rest.empty(), "\"*\" stands at the end of a route's pattern");
            names.emplace_back("*");
            endpoint = &node->rest;
        } else if (segment.starts_with(':')) {
            TROUPE_ASSERT(segment.size() > 1, "a route's parameter has a name, as in \"/:id\"");
            names.emplace_back(segment.substr(1));
            if (!node->parameter) node->parameter = std::make_unique<Node>();
            node = node->parameter.get();
        } else {
            node = &node->child_or_new(segment);
        }
    }
    TROUPE_ASSERT(names.size() <= kParametersMax, "a route has at most 16 parameters");
    if (!endpoint) endpoint = &node->here;
    TROUPE_ASSERT(!endpoint->find(method), "a route is given once for each method");
    endpoint->routes.push_back(MethodRoute{std::string(method), names_.size()});
    if (names.empty()) exact_->add(pattern, endpoint);
    names_.push_back(std::move(names));
    insert_sorted(methods_, method);
}

std::optional<std::size_t> RouteTree::find_exact(std::string_view method,
                                                 std::string_view path) const {
    const Endpoint* endpoint = exact_->find(path);
    const MethodRoute* route = endpoint ? endpoint->best(method) : nullptr;
    return route ? std::optional(route->route) : std::nullopt;
}

RouteTree::Found RouteTree::find(std::string_view method, std::string_view path,
                                 Match& match) const {
    if (!path.starts_with('/')) return Found::nothing;
    Search search;
    search.method = method;
    search.match = &match;
    if (search.walk(*root_, path, 0)) return Found::route;
    return search.saw_endpoint ? Found::other_methods : Found::nothing;
}

std::string RouteTree::allowed_methods(std::string_view path) const {
    std::vector<std::string> methods;
    Search search;
    search.collected = &methods;
    if (path.starts_with('/')) search.walk(*root_, path, 0);
    return listed(std::move(methods));
}

std::string RouteTree::all_methods() const {
    return listed(methods_);
}

}  // namespace troupe::http_internal

#pragma once

// Which route answers a path.
//
// The patterns form a tree with one level per segment. At each level an exact segment is tried
// before a parameter and a parameter before the rest of the path, and a branch that leads nowhere
// is left again, so "/users/me" and "/users/:id/posts" can stand beside each other. A segment's
// depth fixes the node it is compared at, so no node is looked at twice: a lookup costs at most the
// size of the tree, and nothing is allocated.
//
// Most routes have no parameters. The walk would find these first in any case, so they can be
// looked up in a hash table before, by their whole path.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {

class RouteTree {
public:
    /// More parameters than any pattern has had a use for; a bound so that a match needs no memory.
    static constexpr std::size_t kParametersMax = 16;

    enum class Found { route, other_methods, nothing };

    /// What a path's segments stood for, in the order of the pattern. Views into the path.
    struct Match {
        std::size_t route = 0;
        std::size_t parameter_count = 0;
        std::array<std::string_view, kParametersMax> parameters;
    };

    RouteTree();
    ~RouteTree();
    RouteTree(RouteTree&&) noexcept;
    RouteTree& operator=(RouteTree&&) noexcept;

    /// Adds a pattern and gives it the next number. A malformed pattern, or one that is there
    /// already for this method, is a mistake in the program and ends it.
    void add(std::string_view method, std::string_view pattern);

    /// The route of a pattern without parameters, or nothing: then find() may know one.
    std::optional<std::size_t> find_exact(std::string_view method, std::string_view path) const;

    /// Looks for the route of this method and path. At each place in the tree HEAD is answered by
    /// GET where it has no route of its own, and any method by "*".
    Found find(std::string_view method, std::string_view path, Match& match) const;

    /// The methods that have a route for this path, as an Allow line lists them.
    std::string allowed_methods(std::string_view path) const;

    /// All methods there are routes for.
    std::string all_methods() const;

    /// The names of a route's parameters, "*" for the rest of the path.
    const std::vector<std::string>& parameter_names(std::size_t route) const {
        return names_[route];
    }

private:
    struct Node;
    struct Search;
    class ExactPaths;

    std::unique_ptr<Node> root_;
    std::unique_ptr<ExactPaths> exact_;
    std::vector<std::vector<std::string>> names_;
    std::vector<std::string> methods_;  // each once, sorted
};

}  // namespace troupe::http_internal

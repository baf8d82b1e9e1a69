#include <troupe/io/endpoint.hpp>

namespace troupe {

std::string to_string(const Endpoint& endpoint) {
    if (endpoint.is_unix()) return endpoint.host;
    const bool brackets = endpoint.host.find(':') != std::string::npos;
    std::string text = brackets ? "[" + endpoint.host + "]" : endpoint.host;
    text += ':';
    text += std::to_string(endpoint.port);
    return text;
}

}  // namespace troupe

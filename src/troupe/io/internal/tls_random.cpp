// The functions to replace the source of chance are called deprecated: a provider is wanted in
// their place, which would bring a library context of its own for every engine, and with it a
// second way to make everything else.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <troupe/io/internal/tls_random.hpp>
#include <troupe/scheduler/engine.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace troupe::io_internal {

namespace {

thread_local Engine* chance = nullptr;

int draw(unsigned char* out, int bytes) {
    if (chance == nullptr) return RAND_OpenSSL()->bytes(out, bytes);
    for (std::size_t left = static_cast<std::size_t>(bytes); left != 0;) {
        const std::uint64_t random = chance->random();
        const std::size_t part = std::min(left, sizeof random);
        std::memcpy(out, &random, part);
        out += part;
        left -= part;
    }
    return 1;
}

int always_ready() {
    return 1;
}

int add_nothing(const void*, int, double) {
    return 1;
}

int seed_nothing(const void*, int) {
    return 1;
}

const RAND_METHOD kMethod{&seed_nothing, &draw, nullptr, &add_nothing, &draw, &always_ready};

bool take_its_place() {
    return RAND_set_rand_method(&kMethod) == 1;
}

}  // namespace

Engine* simulating_engine() noexcept {
    Engine* const engine = current_engine();
    return engine != nullptr && engine->deterministic() ? engine : nullptr;
}

ChanceOf::ChanceOf(Engine* engine) noexcept : before_(chance) {
    if (engine == nullptr) return;
    static const bool ours = take_its_place();
    static_cast<void>(ours);
    chance = engine;
}

ChanceOf::~ChanceOf() {
    chance = before_;
}

}  // namespace troupe::io_internal

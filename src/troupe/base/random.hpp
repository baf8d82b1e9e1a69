#pragma once

// Pseudo-random numbers that are the same for a seed on every machine and compiler, so that a run
// can be replayed. The standard's engines would do, its distributions differ between libraries.
// The generator is xoshiro256** (Blackman and Vigna), seeded through splitmix64. Not for secrets.

#include <troupe/base/assert.hpp>
#include <troupe/base/hash.hpp>

#include <bit>
#include <cstdint>

namespace troupe {

class Random {
public:
    explicit constexpr Random(std::uint64_t seed) noexcept {
        // splitmix64: even neighbouring seeds give unrelated states, and never the all-zero one.
        for (std::uint64_t& word : state_) {
            seed += 0x9e3779b97f4a7c15;
            word = mix_64(seed);
        }
    }

    /// 64 random bits.
    constexpr std::uint64_t next() noexcept {
        std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// A number from 0 to n - 1, each equally likely. n is not 0.
    constexpr std::uint64_t below(std::uint64_t n) noexcept {
        TROUPE_ASSERT(n != 0, "there is no number below 0");
        // Lemire's way: the high half of a product, and a new try in the rare case that would
        // favour some numbers. No division unless that case is near.
        Wide product = Wide(next()) * n;
        auto low = static_cast<std::uint64_t>(product);
        if (low < n) {
            std::uint64_t unfair = (0 - n) % n;
            while (low < unfair) {
                product = Wide(next()) * n;
                low = static_cast<std::uint64_t>(product);
            }
        }
        return static_cast<std::uint64_t>(product >> 64);
    }

    /// A number from `least` to `most`, both included, each equally likely.
    constexpr std::int64_t between(std::int64_t least, std::int64_t most) noexcept {
        TROUPE_ASSERT(least <= most, "a range goes from the least to the most");
        std::uint64_t span = static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least);
        std::uint64_t offset = span == ~std::uint64_t{0} ? next() : below(span + 1);
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(least) + offset);
    }

    /// A number from 0 up to but not including 1, in steps of 2^-53.
    constexpr double real() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

    /// True with this probability: never for 0 and less, always for 1 and more.
    constexpr bool chance(double probability) noexcept { return real() < probability; }

    /// Another generator, unrelated to this one from here on; both follow from this one's seed.
    constexpr Random fork() noexcept { return Random(next()); }

private:
    __extension__ using Wide = unsigned __int128;

    std::uint64_t state_[4] = {};
};

/// A seed nobody can guess, from the machine. Only base and scheduler may ask for it.
///
/// Threads: any.
std::uint64_t machine_seed() noexcept;

}  // namespace troupe

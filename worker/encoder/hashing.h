// 64-bit hashes that are the same on every machine: feature hashing and the lexical index use them.
//
// Runs in: worker. FNV-1a (Fowler, Noll, Vo) with the finaliser of splitmix64 (Steele et al. 2014).
// Not keyed: a table whose slots come from text must add a secret of its own (see
// router/lexical_segment).
#pragma once

#include <cstdint>
#include <string_view>

namespace tenantd {

[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebULL;
  x ^= x >> 31U;
  return x;
}

[[nodiscard]] constexpr std::uint64_t hash_text(std::string_view text,
                                                std::uint64_t seed = 0) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return mix_bits(hash);
}

}  // namespace tenantd

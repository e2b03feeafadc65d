#include "worker/cache/keyed_hash.h"

#include <sys/auxv.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

using Secret = std::array<std::uint64_t, 2>;

// What is not 0 in a key's place, so that a product never loses all of the other factor; the words
// of the lexical index use the same bytes, mixed in another way.
Secret read_secret() noexcept {
  Secret secret{0x2d358dccaa6c78a5ULL, 0x8bb84b93962eacc9ULL};
  const unsigned long address = ::getauxval(AT_RANDOM);
  if (address != 0) {
    Secret random;
    std::memcpy(random.data(), reinterpret_cast<const void*>(address), sizeof random);  // NOLINT
    secret[0] ^= mix_bits(random[0] + 1);
    secret[1] ^= mix_bits(random[1] + 2);
  }
  return secret;
}

std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t load(const char* bytes, std::size_t size) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);
  return value;
}

}  // namespace

std::uint64_t keyed_hash(std::string_view bytes) noexcept {
  static const Secret secret = read_secret();
  constexpr std::size_t word = sizeof(std::uint64_t);
  std::uint64_t hash = secret[0] ^ bytes.size();
  // Vectors are long: four products at a time need not wait for each other.
  constexpr std::size_t lanes = 4;
  if (bytes.size() > 2 * word * lanes) {
    std::array<std::uint64_t, lanes> sums{hash, mix_bits(hash + 1), mix_bits(hash + 2),
                                          mix_bits(hash + 3)};
    while (bytes.size() > 2 * word * lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const char* const from = bytes.data() + 2 * word * lane;
        sums[lane] = fold(load(from, word) ^ secret[1], load(from + word, word) ^ sums[lane]);
      }
      bytes.remove_prefix(2 * word * lanes);
    }
    for (const std::uint64_t sum : sums) hash = fold(hash ^ secret[1], sum ^ secret[0]);
  }
  while (bytes.size() > 2 * word) {
    hash = fold(load(bytes.data(), word) ^ secret[1], load(bytes.data() + word, word) ^ hash);
    bytes.remove_prefix(2 * word);
  }
  const std::size_t first = bytes.size() < word ? bytes.size() : word;
  const std::uint64_t low = load(bytes.data(), first);
  const std::uint64_t high = load(bytes.data() + first, bytes.size() - first);
  return fold(fold(low ^ secret[1], high ^ hash), secret[0] ^ secret[1]);
}

}  // namespace tenantd

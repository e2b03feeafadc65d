// A hash with a secret of this process, so that nobody outside can choose keys that share a slot.
//
// Runs in: worker. Folded 128-bit products, as in wyhash (Wang Yi, 2019), with the constants
// replaced by 16 random bytes that the kernel gave this process at exec. For tables in memory only:
// another process has another secret.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace tenantd {

[[nodiscard]] std::uint64_t keyed_hash(std::string_view bytes) noexcept;

// A key that is looked up more than once is hashed once.
struct HashedKey {
  std::string_view bytes;
  std::uint64_t hash;

  template <std::convertible_to<std::string_view> Text>
  HashedKey(const Text& text) noexcept  // NOLINT(google-explicit-constructor): a key is one
      : bytes(text), hash(keyed_hash(bytes)) {}
};

}  // namespace tenantd

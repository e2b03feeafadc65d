// Where a pooled tenant's rows are: a fixed number of shards, each a directory with one database.
//
// Used by the supervisor, which gives shards to pooled workers and attachments to the worker that
// has the tenant's, and by that worker. A tenant's home shard depends on its id and the number of
// shards only, so that number never changes while data exists. A tenant that was accused of a
// worker's death has an own shard instead, with a number behind those of the home shards.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenantd {

inline constexpr std::uint32_t max_shards = 256;
inline constexpr std::uint32_t default_shards = 64;
inline constexpr std::uint32_t max_own_shards = 64;

// 64-bit FNV-1a; http://www.isthe.com/chongo/tech/comp/fnv/. Written to disk by its effect: it must
// not change.
[[nodiscard]] constexpr std::uint64_t shard_hash(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3U;
  }
  // Finalised, because the low bits of FNV of short texts are poor (MurmurHash3's fmix64).
  hash ^= hash >> 33U;
  hash *= 0xff51afd7ed558ccdU;
  hash ^= hash >> 33U;
  hash *= 0xc4ceb9fe1a85ec53U;
  return hash ^ (hash >> 33U);
}

// `shard_count` ≥ 1.
[[nodiscard]] constexpr std::uint32_t shard_of(std::string_view tenant_id,
                                               std::uint32_t shard_count) noexcept {
  return static_cast<std::uint32_t>(shard_hash(tenant_id) % shard_count);
}

// Shards of either kind have numbers below this. `shard_count` ≤ max_shards.
[[nodiscard]] constexpr std::uint32_t shard_limit(std::uint32_t shard_count) noexcept {
  return shard_count + max_own_shards < max_shards ? shard_count + max_own_shards : max_shards;
}

// "007": the shard's directory below the pooled worker's.
[[nodiscard]] inline std::string shard_directory_name(std::uint32_t shard) {
  std::string name = "000";
  for (std::size_t i = 3; i > 0; --i, shard /= 10) {
    name[i - 1] = static_cast<char>('0' + shard % 10);
  }
  return name;
}

// Which of the shards a pooled worker has.
class ShardSet {
 public:
  [[nodiscard]] constexpr bool has(std::uint32_t shard) const noexcept {
    return shard < max_shards && (words_[shard / 64] >> (shard % 64) & 1U) != 0;
  }
  // `shard` < max_shards.
  constexpr void add(std::uint32_t shard) noexcept { words_[shard / 64] |= 1ULL << (shard % 64); }
  [[nodiscard]] constexpr bool empty() const noexcept { return count() == 0; }
  [[nodiscard]] constexpr std::uint32_t count() const noexcept {
    std::uint32_t sum = 0;
    for (const std::uint64_t word : words_) sum += static_cast<std::uint32_t>(std::popcount(word));
    return sum;
  }
  friend constexpr bool operator==(const ShardSet&, const ShardSet&) noexcept = default;

 private:
  std::array<std::uint64_t, max_shards / 64> words_{};
};

// What a pooled worker leaves in `running_file_name` of its directory, for the supervisor to read
// once it is dead: whose request it ran last, and who holds the most memory. The worker's word
// only: it costs the named tenant a place in the pool, nothing else.
struct RunningRecord {
  std::array<char, 64> tenant_id{};   // empty: it ran no request
  std::array<char, 64> editing_id{};  // the same of its editor thread
  std::array<char, 64> largest_id{};  // the tenant that holds the most memory
  std::uint64_t largest_bytes = 0;
};
inline constexpr std::string_view running_file_name = "running";

}  // namespace tenantd

// A tenant's cache: what clients keep in their worker's memory, and how well that works. No message
// names a tenant, and no key carries one: the worker puts the attachment's tenant before it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/protocol/messages.h"

namespace tenantd {

inline constexpr std::uint32_t max_cache_key_bytes = 256;
inline constexpr std::uint32_t max_cache_value_bytes = 64U << 10U;  // with its key it fits a frame
inline constexpr std::uint64_t max_cache_ttl_ms = 366ULL * 86'400'000;

// What the writer says that a value is. The worker keeps it and looks at nothing.
enum class CacheValueKind : std::uint8_t { bytes = 0, text = 1, json = 2 };
[[nodiscard]] constexpr bool is_valid(CacheValueKind value) noexcept {
  return value <= CacheValueKind::json;
}

struct CacheGet {
  static constexpr MessageType type = MessageType::cache_get;
  std::string_view key;  // 1 to 256 bytes, printable UTF-8

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("key", self.key, Bound{max_cache_key_bytes});
  }
};

// Text is std::string where it is read, and a view where it is written.
template <class Text>
struct BasicCacheValue {
  static constexpr MessageType type = MessageType::cache_value;
  bool found = false;
  CacheValueKind kind = CacheValueKind::bytes;
  Text value{};
  std::uint64_t ttl_left_ms = 0;  // 0: stays until there is no room

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("found", self.found);
    visit("kind", self.kind);
    visit("value", self.value, Bound{max_cache_value_bytes});
    visit("ttl_left_ms", self.ttl_left_ms);
  }
};
using CacheValue = BasicCacheValue<std::string>;
using CacheValueView = BasicCacheValue<std::string_view>;

struct CacheSet {
  static constexpr MessageType type = MessageType::cache_set;
  std::string_view key;
  std::string_view value;
  CacheValueKind kind = CacheValueKind::bytes;
  std::uint64_t ttl_ms = 0;  // 0: none; ≤ max_cache_ttl_ms

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("key", self.key, Bound{max_cache_key_bytes});
    visit("value", self.value, Bound{max_cache_value_bytes});
    visit("kind", self.kind);
    visit("ttl_ms", self.ttl_ms);
  }
};

struct CacheDelete {
  static constexpr MessageType type = MessageType::cache_delete;
  std::string_view key;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("key", self.key, Bound{max_cache_key_bytes});
  }
};

// Values only: what the router remembers goes with its routes.
struct CacheClear {
  static constexpr MessageType type = MessageType::cache_clear;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};

// The answer to set, delete and clear.
struct CacheChanged {
  static constexpr MessageType type = MessageType::cache_changed;
  std::uint64_t removed = 0;  // delete: 0 or 1; clear: all; set: what had to make room
  std::uint64_t entries = 0;  // afterwards

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("removed", self.removed);
    visit("entries", self.entries);
  }
};

struct CacheStatsRequest {
  static constexpr MessageType type = MessageType::cache_stats_request;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};

// Since the worker's start. What has expired counts as an entry until somebody meets it.
struct CacheUsage {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // keys, values and what they need beside
  std::uint64_t evictions = 0;
  std::uint64_t expirations = 0;
  std::uint64_t max_entries = 0;
  std::uint64_t max_bytes = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("hits", self.hits);
    visit("misses", self.misses);
    visit("entries", self.entries);
    visit("bytes", self.bytes);
    visit("evictions", self.evictions);
    visit("expirations", self.expirations);
    visit("max_entries", self.max_entries);
    visit("max_bytes", self.max_bytes);
  }
};

struct CacheStats {
  static constexpr MessageType type = MessageType::cache_stats;
  CacheUsage values;
  bool routing_enabled = false;  // cache_enabled; the rest is of the routing cache
  CacheUsage routing;            // hits of the same query; the bytes of similar ones included
  std::uint64_t similar_hits = 0;
  std::uint64_t similar_entries = 0;
  std::uint64_t dropped = 0;  // times that other routes or settings made it begin anew

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("values", self.values);
    visit("routing_enabled", self.routing_enabled);
    visit("routing", self.routing);
    visit("similar_hits", self.similar_hits);
    visit("similar_entries", self.similar_entries);
    visit("dropped", self.dropped);
  }
};

}  // namespace tenantd

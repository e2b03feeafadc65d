// Bytes under keys within a bound of bytes and of entries: what was not used longest goes first.
//
// Runs in: worker, loop thread. One store belongs to one tenant; who calls has checked that
// (tenant_cache.h, routing_cache.h). Keys and values are a client's bytes and mean nothing here.
// Time is the caller's, in nanoseconds of one monotonic clock; nothing runs by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/cache/keyed_hash.h"

namespace tenantd {

struct CacheBounds {
  std::uint64_t max_bytes = 0;
  std::uint64_t max_entries = 0;
};

struct CacheCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;    // for want of room, before their time
  std::uint64_t expirations = 0;  // met after their time
};

class LruStore {
 public:
  // `value` is valid until the store's next call that is not const.
  struct Found {
    std::string_view value;
    std::uint64_t expires_ns = 0;  // 0: never
    std::uint8_t tag = 0;          // as it was put
  };

  explicit LruStore(CacheBounds bounds) noexcept : bounds_(bounds) {}
  ~LruStore();
  LruStore(const LruStore&) = delete;
  LruStore& operator=(const LruStore&) = delete;

  // Nothing if it is not there or its time has come. What is found is the newest then.
  [[nodiscard]] std::optional<Found> find(const HashedKey& key, std::uint64_t now_ns) noexcept;
  // Replaces what is there. expires_ns 0: never. False, with nothing changed: even alone it is over
  // the bounds. Throws std::bad_alloc, with nothing lost.
  [[nodiscard]] bool put(const HashedKey& key, std::string_view value, std::uint8_t tag,
                         std::uint64_t expires_ns, std::uint64_t now_ns);
  // True: it was there, and its time had not come.
  [[nodiscard]] bool remove(const HashedKey& key, std::uint64_t now_ns) noexcept;
  // Whether a new entry of this size would push out others.
  [[nodiscard]] bool is_full_for(std::size_t key_bytes, std::size_t value_bytes) const noexcept;
  // How many there were, expired ones included. Memory is given back.
  std::uint64_t clear() noexcept;
  // Lower bounds hold at once.
  void set_bounds(CacheBounds bounds, std::uint64_t now_ns) noexcept;

  [[nodiscard]] CacheBounds bounds() const noexcept { return bounds_; }
  [[nodiscard]] CacheCounts counts() const noexcept { return counts_; }
  // Expired ones that nobody has met included.
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
  // Of the heap: every entry with its header and the allocator's, the table, the order of expiry.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return entry_bytes_ + (buckets_.capacity() + by_expiry_.capacity()) * sizeof(Entry*);
  }

 private:
  struct Entry;  // with its key and value behind it, in one piece
  [[nodiscard]] static std::uint64_t cost(const Entry& entry) noexcept;
  [[nodiscard]] Entry** place_of(const HashedKey& key) noexcept;
  [[nodiscard]] bool is_over() const noexcept;
  void append(Entry* entry);                // to the table
  void link_newest(Entry* entry) noexcept;  // into the order of use
  void unlink(Entry* entry) noexcept;       // out of it
  void drop(Entry* entry) noexcept;         // out of everything
  void drop_expired(std::uint64_t now_ns, std::size_t at_most) noexcept;
  void make_room(std::uint64_t now_ns, const Entry* keep) noexcept;
  void set_buckets(std::size_t count);
  void shrink_tables() noexcept;
  // The order of expiry is a heap whose entries know their places in it.
  void expire_later(Entry* entry, std::uint64_t expires_ns);
  void leave_heap(Entry* entry) noexcept;
  void sift(std::size_t at) noexcept;

  CacheBounds bounds_;
  CacheCounts counts_;
  std::vector<Entry*> buckets_;  // a power of two of them, or none; ≥ entries_
  std::vector<Entry*> by_expiry_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  std::uint64_t entries_ = 0;
  std::uint64_t entry_bytes_ = 0;
};

}  // namespace tenantd

#include "worker/cache/lru_store.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace tenantd {
namespace {

constexpr std::uint32_t not_in_heap = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t least_buckets = 16;
// What the tables of a store with one entry take at most.
constexpr std::uint64_t least_table_bytes = 256;
// Expired ones that each put takes away beside its own work, so that they go without a timer.
constexpr std::size_t expired_per_put = 4;

}  // namespace

struct LruStore::Entry {
  Entry* newer;
  Entry* older;
  Entry* next;  // in its bucket
  std::uint64_t hash;
  std::uint64_t expires_ns;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
  std::uint32_t heap_place;
  std::uint8_t tag;

  [[nodiscard]] char* key_data() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view key() noexcept { return {key_data(), key_bytes}; }
  [[nodiscard]] std::string_view value() noexcept { return {key_data() + key_bytes, value_bytes}; }

  // glibc's malloc: a header of 8 bytes, the whole in steps of 16.
  [[nodiscard]] static std::uint64_t cost_of(std::size_t key_and_value) noexcept {
    constexpr std::uint64_t header = 8;
    constexpr std::uint64_t step = 16;
    return (sizeof(Entry) + key_and_value + header + step - 1) / step * step;
  }
};

LruStore::~LruStore() { clear(); }

std::uint64_t LruStore::cost(const Entry& entry) noexcept {
  return Entry::cost_of(std::size_t{entry.key_bytes} + entry.value_bytes);
}

// The pointer that points to the key's entry, or would; null without a table.
LruStore::Entry** LruStore::place_of(const HashedKey& key) noexcept {
  if (buckets_.empty()) return nullptr;
  Entry** place = &buckets_[key.hash & (buckets_.size() - 1)];
  while (*place != nullptr && ((*place)->hash != key.hash || (*place)->key() != key.bytes)) {
    place = &(*place)->next;
  }
  return place;
}

std::optional<LruStore::Found> LruStore::find(const HashedKey& key, std::uint64_t now_ns) noexcept {
  Entry** const place = place_of(key);
  Entry* const entry = place == nullptr ? nullptr : *place;
  if (entry == nullptr || (entry->expires_ns != 0 && entry->expires_ns <= now_ns)) {
    ++counts_.misses;
    if (entry != nullptr) {
      ++counts_.expirations;
      drop(entry);
      shrink_tables();
    }
    return std::nullopt;
  }
  ++counts_.hits;
  if (entry != newest_) {
    unlink(entry);
    link_newest(entry);
  }
  return Found{entry->value(), entry->expires_ns, entry->tag};
}

bool LruStore::put(const HashedKey& key, std::string_view value, std::uint8_t tag,
                   std::uint64_t expires_ns, std::uint64_t now_ns) {
  const std::uint64_t needed = Entry::cost_of(key.bytes.size() + value.size());
  if (bounds_.max_entries == 0 || needed + least_table_bytes > bounds_.max_bytes) return false;
  drop_expired(now_ns, expired_per_put);
  Entry** const place = place_of(key);
  Entry* entry = place == nullptr ? nullptr : *place;
  const bool fits = entry != nullptr && entry->value_bytes == value.size();
  if (!fits) {
    void* const memory = ::operator new(sizeof(Entry) + key.bytes.size() + value.size());
    Entry* const fresh = ::new (memory) Entry{nullptr,
                                              nullptr,
                                              nullptr,
                                              key.hash,
                                              0,
                                              static_cast<std::uint32_t>(key.bytes.size()),
                                              static_cast<std::uint32_t>(value.size()),
                                              not_in_heap,
                                              tag};
    std::memcpy(fresh->key_data(), key.bytes.data(), key.bytes.size());
    if (entry != nullptr) drop(entry);
    entry = fresh;
    append(entry);
  } else if (entry != newest_) {
    unlink(entry);
    link_newest(entry);
  }
  if (!value.empty()) std::memcpy(entry->key_data() + key.bytes.size(), value.data(), value.size());
  entry->tag = tag;
  expire_later(entry, expires_ns);
  make_room(now_ns, entry);
  return true;
}

bool LruStore::remove(const HashedKey& key, std::uint64_t now_ns) noexcept {
  Entry** const place = place_of(key);
  Entry* const entry = place == nullptr ? nullptr : *place;
  if (entry == nullptr) return false;
  const bool is_live = entry->expires_ns == 0 || entry->expires_ns > now_ns;
  if (!is_live) ++counts_.expirations;
  drop(entry);
  shrink_tables();
  return is_live;
}

std::uint64_t LruStore::clear() noexcept {
  const std::uint64_t had = entries_;
  for (Entry* entry = newest_; entry != nullptr;) {
    ::operator delete(std::exchange(entry, entry->older));
  }
  newest_ = oldest_ = nullptr;
  entries_ = entry_bytes_ = 0;
  std::vector<Entry*>().swap(buckets_);  // an assignment would keep the memory
  std::vector<Entry*>().swap(by_expiry_);
  return had;
}

void LruStore::set_bounds(CacheBounds bounds, std::uint64_t now_ns) noexcept {
  bounds_ = bounds;
  make_room(now_ns, nullptr);
}

bool LruStore::is_full_for(std::size_t key_bytes, std::size_t value_bytes) const noexcept {
  return entries_ >= bounds_.max_entries ||
         bytes() + Entry::cost_of(key_bytes + value_bytes) > bounds_.max_bytes;
}

bool LruStore::is_over() const noexcept {
  return entries_ > bounds_.max_entries || bytes() > bounds_.max_bytes;
}

// What has expired goes before what has not, whoever was used last.
void LruStore::make_room(std::uint64_t now_ns, const Entry* keep) noexcept {
  while (oldest_ != nullptr && is_over()) {
    Entry* victim = oldest_ == keep ? nullptr : oldest_;
    const bool has_expired = !by_expiry_.empty() && by_expiry_.front()->expires_ns <= now_ns;
    if (has_expired && by_expiry_.front() != keep) victim = by_expiry_.front();
    if (victim == nullptr) break;
    ++(has_expired && victim == by_expiry_.front() ? counts_.expirations : counts_.evictions);
    drop(victim);
    shrink_tables();
  }
}

void LruStore::drop_expired(std::uint64_t now_ns, std::size_t at_most) noexcept {
  for (std::size_t i = 0; i < at_most; ++i) {
    if (by_expiry_.empty() || by_expiry_.front()->expires_ns > now_ns) return;
    ++counts_.expirations;
    drop(by_expiry_.front());
    shrink_tables();
  }
}

void LruStore::append(Entry* entry) {
  try {
    if (entries_ >= buckets_.size()) set_buckets(std::max(least_buckets, buckets_.size() * 2));
  } catch (...) {
    ::operator delete(entry);
    throw;
  }
  Entry** const place = &buckets_[entry->hash & (buckets_.size() - 1)];
  entry->next = *place;
  *place = entry;
  ++entries_;
  entry_bytes_ += cost(*entry);
  link_newest(entry);
}

void LruStore::link_newest(Entry* entry) noexcept {
  entry->newer = nullptr;
  entry->older = newest_;
  if (newest_ != nullptr) newest_->newer = entry;
  newest_ = entry;
  if (oldest_ == nullptr) oldest_ = entry;
}

void LruStore::unlink(Entry* entry) noexcept {
  (entry->newer != nullptr ? entry->newer->older : newest_) = entry->older;
  (entry->older != nullptr ? entry->older->newer : oldest_) = entry->newer;
}

void LruStore::drop(Entry* entry) noexcept {
  Entry** place = &buckets_[entry->hash & (buckets_.size() - 1)];
  while (*place != entry) place = &(*place)->next;
  *place = entry->next;
  unlink(entry);
  leave_heap(entry);
  --entries_;
  entry_bytes_ -= cost(*entry);
  ::operator delete(entry);
}

void LruStore::set_buckets(std::size_t count) {
  std::vector<Entry*> buckets(count, nullptr);
  for (Entry* entry = oldest_; entry != nullptr; entry = entry->newer) {
    Entry*& first = buckets[entry->hash & (count - 1)];
    entry->next = std::exchange(first, entry);
  }
  buckets_.swap(buckets);
}

// Tables that are mostly empty are made smaller; where there is no memory for that they stay.
void LruStore::shrink_tables() noexcept {
  try {
    if (entries_ == 0) {
      clear();
    } else if (buckets_.size() > least_buckets && entries_ * 4 < buckets_.size()) {
      set_buckets(buckets_.size() / 2);
    }
    if (by_expiry_.capacity() > least_buckets && by_expiry_.size() * 4 < by_expiry_.capacity()) {
      std::vector<Entry*> smaller;
      smaller.reserve(by_expiry_.capacity() / 2);
      smaller.assign(by_expiry_.begin(), by_expiry_.end());
      by_expiry_.swap(smaller);
    }
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
  }
}

void LruStore::expire_later(Entry* entry, std::uint64_t expires_ns) {
  if (expires_ns == 0) {
    entry->expires_ns = 0;
    return leave_heap(entry);
  }
  if (entry->heap_place == not_in_heap) {
    entry->expires_ns = 0;  // never, if there is no memory for the next line
    by_expiry_.push_back(entry);
    entry->heap_place = static_cast<std::uint32_t>(by_expiry_.size() - 1);
  }
  entry->expires_ns = expires_ns;
  sift(entry->heap_place);
}

void LruStore::leave_heap(Entry* entry) noexcept {
  const std::size_t place = std::exchange(entry->heap_place, not_in_heap);
  if (place == not_in_heap) return;
  Entry* const last = by_expiry_.back();
  by_expiry_.pop_back();
  if (last == entry) return;
  by_expiry_[place] = last;
  last->heap_place = static_cast<std::uint32_t>(place);
  sift(place);
}

// Moves the entry at `at` to where it belongs, up or down.
void LruStore::sift(std::size_t at) noexcept {
  Entry* const entry = by_expiry_[at];
  const auto settle = [&](std::size_t place, Entry* settled) {
    by_expiry_[place] = settled;
    settled->heap_place = static_cast<std::uint32_t>(place);
  };
  while (at > 0 && entry->expires_ns < by_expiry_[(at - 1) / 2]->expires_ns) {
    settle(at, by_expiry_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= by_expiry_.size()) break;
    if (child + 1 < by_expiry_.size() &&
        by_expiry_[child + 1]->expires_ns < by_expiry_[child]->expires_ns) {
      ++child;
    }
    if (by_expiry_[child]->expires_ns >= entry->expires_ns) break;
    settle(at, by_expiry_[child]);
    at = child;
  }
  settle(at, entry);
}

}  // namespace tenantd

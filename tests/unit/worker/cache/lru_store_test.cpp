#include "worker/cache/lru_store.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>

#include "worker/cache/keyed_hash.h"

using namespace tenantd;

namespace lru_store_test {
namespace {

constexpr CacheBounds roomy{1U << 20U, 1000};

// What a store is to do, in a list that is searched from its front.
struct Model {
  struct Entry {
    std::string key;
    std::string value;
    std::uint64_t expires_ns;
  };
  std::uint64_t max_entries;
  std::list<Entry> entries{};  // newest first

  auto at(const std::string& key) {
    return std::find_if(entries.begin(), entries.end(),
                        [&](const Entry& entry) { return entry.key == key; });
  }
  void put(const std::string& key, const std::string& value, std::uint64_t expires_ns) {
    if (const auto old = at(key); old != entries.end()) entries.erase(old);
    entries.push_front({key, value, expires_ns});
    if (entries.size() > max_entries) entries.pop_back();
  }
  void forget_expired(std::uint64_t now_ns) {
    entries.remove_if(
        [&](const Entry& entry) { return entry.expires_ns != 0 && entry.expires_ns <= now_ns; });
  }
};

bool is_there(LruStore& store, std::string_view key, std::uint64_t now_ns = 1) {
  return store.find(key, now_ns).has_value();
}

}  // namespace

TEST_CASE("a store finds what was put, replaces it and counts") {
  LruStore store(roomy);
  CHECK(store.bytes() == 0);
  CHECK_FALSE(is_there(store, "a"));
  REQUIRE(store.put("a", "one", 7, 0, 1));
  auto found = store.find("a", 1);
  REQUIRE(found);
  CHECK(found->value == "one");
  CHECK(found->tag == 7);
  CHECK(found->expires_ns == 0);
  REQUIRE(store.put("a", "two", 8, 0, 1));    // in place
  REQUIRE(store.put("a", "three", 9, 0, 1));  // of another size
  CHECK(store.find("a", 1)->value == "three");
  CHECK(store.find("a", 1)->tag == 9);
  REQUIRE(store.put("", "", 0, 0, 1));
  CHECK(store.find("", 1)->value.empty());
  CHECK(store.entries() == 2);
  CHECK(store.remove("a", 1));
  CHECK_FALSE(store.remove("a", 1));
  CHECK(store.counts().hits == 4);
  CHECK(store.counts().misses == 1);
  CHECK(store.counts().evictions == 0);
  CHECK(store.clear() == 1);
  CHECK(store.bytes() == 0);
}

TEST_CASE("what was not used longest makes room, by number and by bytes") {
  LruStore few({1U << 20U, 3});
  for (const char* key : {"a", "b", "c"}) REQUIRE(few.put(key, "v", 0, 0, 1));
  CHECK(is_there(few, "a"));
  REQUIRE(few.put("d", "v", 0, 0, 1));
  CHECK_FALSE(is_there(few, "b"));
  for (const char* key : {"a", "c", "d"}) CHECK(is_there(few, key));
  CHECK(few.counts().evictions == 1);

  LruStore small({8192, 1000});
  const std::string value(1000, 'v');
  for (int i = 0; i < 100; ++i) {
    REQUIRE(small.put(std::to_string(i), value, 0, 0, 1));
    CHECK(small.bytes() <= 8192);
    CHECK(is_there(small, std::to_string(i)));
  }
  CHECK(small.entries() >= 6);
  CHECK(is_there(small, "99"));
  CHECK_FALSE(is_there(small, "1"));
  // Too large for itself: nothing is lost for it.
  const std::uint64_t before = small.entries();
  CHECK_FALSE(small.put("99", std::string(8192, 'x'), 0, 0, 1));
  CHECK(small.find("99", 1)->value == value);
  CHECK(small.entries() == before);
  small.set_bounds({4096, 1000}, 1);
  CHECK(small.bytes() <= 4096);
  CHECK(is_there(small, "99"));
  small.set_bounds({0, 0}, 1);
  CHECK(small.entries() == 0);
  CHECK_FALSE(small.put("a", "", 0, 0, 1));
}

TEST_CASE("what has expired is not found, and goes before what has not") {
  LruStore store({1U << 20U, 3});
  REQUIRE(store.put("short", "v", 0, 10, 1));
  REQUIRE(store.put("long", "v", 0, 1000, 1));
  CHECK(is_there(store, "short", 9));
  CHECK(store.entries() == 2);
  CHECK_FALSE(is_there(store, "short", 10));  // met, and gone
  CHECK(store.entries() == 1);
  CHECK(store.counts().expirations == 1);
  // Used last, but expired: the entry that nobody has used since stays.
  REQUIRE(store.put("stays", "v", 0, 0, 10));
  REQUIRE(store.put("brief", "v", 0, 20, 10));
  CHECK(is_there(store, "brief", 19));
  REQUIRE(store.put("next", "v", 0, 0, 20));
  CHECK(store.counts().evictions == 0);
  for (const char* key : {"long", "stays", "next"}) CHECK(is_there(store, key, 20));
  // A value set again has its new time, also none.
  REQUIRE(store.put("long", "v", 0, 0, 20));
  CHECK(is_there(store, "long", 5000));
  REQUIRE(store.put("long", "v", 0, 6000, 5000));
  CHECK_FALSE(store.remove("long", 6000));
  CHECK(store.counts().expirations == 3);
}

TEST_CASE("lower bounds take what has expired first, whenever it was used") {
  LruStore store(roomy);
  for (int i = 0; i < 10; ++i) REQUIRE(store.put("stays" + std::to_string(i), "v", 0, 0, 1));
  for (int i = 0; i < 20; ++i) REQUIRE(store.put("brief" + std::to_string(i), "v", 0, 5, 1));
  store.set_bounds({1U << 20U, 12}, 10);
  CHECK(store.entries() == 12);
  CHECK(store.counts().expirations == 18);
  CHECK(store.counts().evictions == 0);
  store.set_bounds({1U << 20U, 9}, 10);
  CHECK(store.counts().expirations == 20);
  CHECK(store.counts().evictions == 1);
  CHECK_FALSE(is_there(store, "stays0", 10));
  for (int i = 1; i < 10; ++i) CHECK(is_there(store, "stays" + std::to_string(i), 10));
}

TEST_CASE("sets take away what has expired, though nobody asks for it") {
  LruStore store({1U << 20U, 100'000});
  for (int i = 0; i < 1000; ++i) REQUIRE(store.put("s" + std::to_string(i), "v", 0, 5, 1));
  for (int i = 0; i < 300; ++i) REQUIRE(store.put("one", "v", 0, 0, 10));
  CHECK(store.entries() == 1);
  CHECK(store.counts().expirations == 1000);
  CHECK(store.bytes() < 1024);  // tables too
}

TEST_CASE("the bytes are those of the heap") {
  const auto in_use = [] { return static_cast<std::uint64_t>(::mallinfo2().uordblks); };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: the sanitizer's allocator has no mallinfo2");
  return;
#endif
  LruStore store({64U << 20U, 1'000'000});
  std::mt19937 random(7);
  std::string key;
  const std::string value(5000, 'v');
  const std::uint64_t before = in_use();
  for (int i = 0; i < 5000; ++i) {
    key = std::to_string(i);
    REQUIRE(store.put(key, std::string_view(value).substr(0, random() % 5000), 0,
                      i % 2 == 0 ? 0 : 100 + random() % 1000, 1));
  }
  const auto used = static_cast<double>(in_use() - before);
  const auto counted = static_cast<double>(store.bytes());
  CHECK(counted > 0.98 * used);
  CHECK(counted < 1.02 * used);
}

TEST_CASE("a store behaves as its model over random calls") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    const std::uint64_t max_entries = 1 + random() % 60;
    LruStore store({1U << 30U, max_entries});
    Model model{max_entries};
    std::uint64_t now_ns = 1;
    for (int step = 0; step < 2000; ++step) {
      CAPTURE(step);
      now_ns += random() % 3;
      model.forget_expired(now_ns);
      const std::string key = "k" + std::to_string(random() % 80);
      switch (random() % 5) {
        case 0:
        case 1: {
          const std::string value(random() % 40, static_cast<char>('a' + random() % 26));
          const std::uint64_t expires_ns = random() % 2 == 0 ? 0 : now_ns + 1 + random() % 100;
          REQUIRE(store.put(key, value, 0, expires_ns, now_ns));
          model.put(key, value, expires_ns);
          break;
        }
        case 2:
        case 3: {
          const auto found = store.find(key, now_ns);
          const auto known = model.at(key);
          REQUIRE(found.has_value() == (known != model.entries.end()));
          if (!found) break;
          REQUIRE(found->value == known->value);
          REQUIRE(found->expires_ns == known->expires_ns);
          model.entries.splice(model.entries.begin(), model.entries, known);
          break;
        }
        default: {
          const auto known = model.at(key);
          REQUIRE(store.remove(key, now_ns) == (known != model.entries.end()));
          if (known != model.entries.end()) model.entries.erase(known);
        }
      }
      REQUIRE(store.entries() <= max_entries);
    }
    store.clear();
    REQUIRE(store.bytes() == 0);
  }
}

TEST_CASE("the hash tells keys apart, whatever their length") {
  std::vector<std::uint64_t> hashes;
  std::string zeros;
  for (int i = 0; i < 200; ++i, zeros += '\0') hashes.push_back(keyed_hash(zeros));
  for (int i = 0; i < 20'000; ++i) hashes.push_back(keyed_hash("key-" + std::to_string(i)));
  // Every byte counts, wherever it is.
  std::string long_key(300, 'k');
  for (std::size_t at = 0; at < long_key.size(); ++at) {
    long_key[at] = 'x';
    hashes.push_back(keyed_hash(long_key));
    long_key[at] = 'k';
  }
  CHECK(keyed_hash("key-7") == keyed_hash("key-7"));
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
  // Low bits choose the slot.
  std::vector<int> slots(1024);
  for (const std::uint64_t hash : hashes) ++slots[hash % 1024];
  CHECK(*std::max_element(slots.begin(), slots.end()) < 60);
}

}  // namespace lru_store_test

#include "worker/cache/tenant_cache.h"

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/cache/tenant_caches.h"

using namespace tenantd;

namespace tenant_cache_test {
namespace {

constexpr CacheBounds roomy{1U << 20U, 1000};
constexpr std::uint64_t second_ns = 1'000'000'000;

TenantCache cache_of(std::string_view tenant, CacheBounds bounds = roomy) {
  return TenantCache(TenantId::parse(tenant).value(), bounds);
}

// No call is without a context: these do not compile.
template <class Cache>
concept gets_without_a_tenant = requires(Cache& cache) {
  cache.get("key", 0);
};
template <class Cache>
concept sets_without_a_tenant = requires(Cache& cache) {
  cache.set("key", "value", 0, 0, 0);
};
template <class Cache>
concept removes_without_a_tenant = requires(Cache& cache) {
  cache.remove("key", 0);
};
template <class Cache>
concept clears_without_a_tenant = requires(Cache& cache) {
  cache.clear();
};
template <class Cache>
concept tells_without_a_tenant = requires(const Cache& cache) {
  cache.stats();
};
template <class Cache>
concept is_bound_without_a_tenant = requires(Cache& cache) {
  cache.set_bounds(CacheBounds{}, 0);
};
template <class Cache>
concept takes_a_tenants_name = requires(Cache& cache) {
  cache.get(std::string("acme"), "key", 0);
};
template <class Cache>
concept takes_an_id = requires(Cache& cache, TenantId id) {
  cache.get(id, "key", 0);
};
// The same call with one: what the above would say if the names were wrong.
template <class Cache>
concept gets_with_a_tenant = requires(Cache& cache, const ExecutionContext& context) {
  cache.get(context, "key", 0);
};
static_assert(gets_with_a_tenant<TenantCache>);
static_assert(!gets_without_a_tenant<TenantCache> && !sets_without_a_tenant<TenantCache> &&
              !removes_without_a_tenant<TenantCache> && !clears_without_a_tenant<TenantCache> &&
              !tells_without_a_tenant<TenantCache> && !is_bound_without_a_tenant<TenantCache> &&
              !takes_a_tenants_name<TenantCache> && !takes_an_id<TenantCache>);

template <class Cache>
concept routes_without_a_tenant = requires(Cache& cache, TenantRouter& router) {
  cache.route(router, RouteQuery{});
};
static_assert(!routes_without_a_tenant<RoutingCache> && !tells_without_a_tenant<RoutingCache>);

}  // namespace

TEST_CASE("a tenant's values: set, get, kinds, times, delete, clear") {
  const TenantBinding acme = fixtures::binding("acme");
  TenantCache cache = cache_of("acme");
  CHECK_FALSE(cache.get(acme.context(), "k", 1).value());
  CHECK(cache.set(acme.context(), "k", "value", 2, 5 * second_ns, 1).value() == 0);
  auto value = cache.get(acme.context(), "k", 1 + second_ns).value();
  REQUIRE(value);
  CHECK(value->bytes == "value");
  CHECK(value->kind == 2);
  CHECK(value->expires_in_ns == 4 * second_ns);
  CHECK_FALSE(cache.get(acme.context(), "k", 1 + 5 * second_ns).value());
  // A time beyond the clock's end is the clock's end.
  CHECK(cache.set(acme.context(), "k", "v", 0, ~std::uint64_t{0}, 5).has_value());
  CHECK(cache.get(acme.context(), "k", 6).value()->bytes == "v");
  CHECK(cache.set(acme.context(), "k", "v", 0, 0, 5).has_value());
  CHECK(cache.get(acme.context(), "k", 6).value()->expires_in_ns == 0);
  CHECK(cache.remove(acme.context(), "k", 6).value());
  CHECK_FALSE(cache.remove(acme.context(), "k", 6).value());
  CHECK(cache.set(acme.context(), "a", "", 0, 0, 6).has_value());
  CHECK(cache.clear(acme.context()).value() == 1);
  const auto stats = cache.stats(acme.context()).value();
  CHECK(stats.entries == 0);
  CHECK(stats.bytes == 0);
  CHECK(stats.counts.hits == 3);
  CHECK(stats.counts.misses == 2);
  CHECK(stats.counts.expirations == 1);
}

TEST_CASE("another tenant's context gets nothing, not even whether there is something") {
  const TenantBinding globex = fixtures::binding("globex");
  const TenantBinding acme = fixtures::binding("acme");
  TenantCache cache = cache_of("acme");
  REQUIRE(cache.set(acme.context(), "k", "secret", 0, 0, 1).has_value());
  const ExecutionContext& other = globex.context();
  CHECK(cache.get(other, "k", 1).error() == cache.get(other, "absent", 1).error());
  CHECK(cache.get(other, "k", 1).error().code == ErrorCode::no_tenant);
  CHECK(cache.get(other, "", 1).error().code == ErrorCode::no_tenant);  // before all else
  CHECK(cache.set(other, "k", "mine", 0, 0, 1).error().code == ErrorCode::no_tenant);
  CHECK(cache.remove(other, "k", 1).error().code == ErrorCode::no_tenant);
  CHECK(cache.clear(other).error().code == ErrorCode::no_tenant);
  CHECK(cache.stats(other).error().code == ErrorCode::no_tenant);
  CHECK(cache.set_bounds(other, {0, 0}, 1).error().code == ErrorCode::no_tenant);
  CHECK(cache.get(acme.context(), "k", 1).value()->bytes == "secret");
  CHECK(cache.stats(acme.context())->counts.misses == 0);
}

TEST_CASE("keys and values are what they must be, and the prefix is nobody's") {
  const TenantBinding acme = fixtures::binding("acme");
  TenantCache cache = cache_of("acme");
  const auto refused = [&](std::string_view key) {
    const auto set = cache.set(acme.context(), key, "v", 0, 0, 1);
    const auto got = cache.get(acme.context(), key, 1);
    return !set && !got && set.error().code == ErrorCode::invalid_argument &&
           set.error().field == "key" && got.error() == set.error();
  };
  using namespace std::string_literals;
  for (const std::string& key : {""s, "a\nb"s, "a\0b"s, "\x7f"s, "\xff"s, std::string(257, 'k')}) {
    CHECK(refused(key));
  }
  for (const std::string& key : {"k"s, "acme:k"s, ":"s, "Straße 5"s, std::string(256, 'k')}) {
    CHECK(cache.set(acme.context(), key, key, 0, 0, 1).has_value());
  }
  // "acme:k" is another key than "k", although that is kept under this name.
  CHECK(cache.get(acme.context(), "k", 1).value()->bytes == "k");
  CHECK(cache.get(acme.context(), "acme:k", 1).value()->bytes == "acme:k");
  const std::string large(TenantCache::max_value_bytes, '\0');
  CHECK(cache.set(acme.context(), "large", large, 0, 0, 1).has_value());
  CHECK(cache.get(acme.context(), "large", 1).value()->bytes == large);
  const auto over = cache.set(acme.context(), "large", large + "x", 0, 0, 1);
  REQUIRE_FALSE(over);
  CHECK(over.error().field == "value");
  TenantCache tiny = cache_of("acme", {1000, 10});
  CHECK(tiny.set(acme.context(), "k", std::string(900, 'v'), 0, 0, 1).error().code ==
        ErrorCode::resource_exhausted);
}

TEST_CASE("many tenants' caches in one process: a storm in one leaves the others as they are") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::deque<TenantBinding> tenants;
  std::vector<std::unique_ptr<TenantCache>> caches;
  for (const char* id : {"acme", "globex", "initech"}) {
    tenants.emplace_back(TenantId::parse(id).value());
    caches.push_back(
        std::make_unique<TenantCache>(TenantId::parse(id).value(), CacheBounds{20'000, 100}));
    for (int i = 0; i < 20; ++i) {
      const std::string key = "k" + std::to_string(i);
      REQUIRE(caches.back()->set(tenants.back().context(), key, id, 0, 0, 1).value() == 0);
    }
  }
  std::uint64_t evicted = 0;
  for (int i = 0; i < 2000; ++i) {
    evicted += caches[0]
                   ->set(tenants[0].context(), "k" + std::to_string(random() % 1000),
                         std::string(random() % 3000, 'x'), 0, random() % 2, 1)
                   .value();
  }
  CHECK(evicted > 1000);
  CHECK(caches[0]->stats(tenants[0].context())->bytes <= 20'000);
  for (std::size_t other : {1U, 2U}) {
    const auto stats = caches[other]->stats(tenants[other].context()).value();
    CHECK(stats.entries == 20);
    CHECK(stats.counts.evictions == 0);
    for (int i = 0; i < 20; ++i) {
      const auto value = caches[other]->get(tenants[other].context(), "k" + std::to_string(i), 1);
      CHECK(value.value()->bytes == tenants[other].context().tenant().view());
    }
  }
}

TEST_CASE("values and answers share the tenant's room") {
  TenantSettings settings = fixtures::settings(16);
  settings.max_cache_bytes = 400'000;
  settings.max_cache_entries = 100;
  CacheShares shares = CacheShares::of(settings);
  CHECK(shares.values.max_bytes == 400'000);
  CHECK(shares.routing.all.max_entries == 0);
  settings.router.cache_enabled = 1;
  settings.cache_similarity_e4 = 9800;
  shares = CacheShares::of(settings);
  CHECK(shares.values.max_bytes + shares.routing.all.max_bytes == 400'000);
  CHECK(shares.values.max_entries + shares.routing.all.max_entries == 100);
  CHECK(shares.routing.all.max_bytes == 100'000);
  CHECK(shares.routing.similarity == doctest::Approx(0.98));
  const TenantBinding acme = fixtures::binding("acme");
  TenantCaches caches(TenantId::parse("acme").value(), settings);
  CHECK(caches.values.set(acme.context(), "k", std::string(5000, 'v'), 0, 0, 1).has_value());
  settings.max_cache_bytes = 4096;
  CHECK(caches.apply(acme.context(), settings, 1).has_value());
  CHECK(caches.values.stats(acme.context())->entries == 0);
}

}  // namespace tenant_cache_test

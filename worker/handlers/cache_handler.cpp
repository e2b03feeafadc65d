#include "worker/handlers/cache_handler.h"

#include "worker/cache/tenant_caches.h"

namespace tenantd {
namespace {

constexpr std::uint64_t ns_in_ms = 1'000'000;

static_assert(TenantCache::max_key_bytes == max_cache_key_bytes);
static_assert(TenantCache::max_value_bytes == max_cache_value_bytes);

tl::unexpected<Error> no_caches() {
  return fail(ErrorCode::unsupported, "this worker keeps no cache");
}

CacheUsage usage_of(const CacheCounts& counts, const CacheBounds& bounds, std::uint64_t entries,
                    std::uint64_t bytes) noexcept {
  return {counts.hits,        counts.misses,      entries,         bytes, counts.evictions,
          counts.expirations, bounds.max_entries, bounds.max_bytes};
}

Result<CacheChanged> changed(const TenantCache& cache, const ExecutionContext& context,
                             std::uint64_t removed) {
  const auto stats = cache.stats(context);
  if (!stats) return fail(stats.error());
  return CacheChanged{removed, stats->entries};
}

}  // namespace

Result<CacheValueView> handle_cache_get(HandlerServices& services, const ExecutionContext& context,
                                        const CacheGet& request, std::uint64_t now_ns) {
  if (services.caches == nullptr) return no_caches();
  const auto value = services.caches->values.get(context, request.key, now_ns);
  if (!value) return fail(value.error());
  CacheValueView reply;
  if (!*value) return reply;
  reply.found = true;
  reply.kind = static_cast<CacheValueKind>((*value)->kind);
  reply.value = (*value)->bytes;
  // Rounded up: 0 is a value that stays.
  reply.ttl_left_ms = ((*value)->expires_in_ns + ns_in_ms - 1) / ns_in_ms;
  return reply;
}

Result<CacheChanged> handle_cache_set(HandlerServices& services, const ExecutionContext& context,
                                      const CacheSet& request, std::uint64_t now_ns) {
  if (services.caches == nullptr) return no_caches();
  if (request.ttl_ms > max_cache_ttl_ms) return fail_field("ttl_ms", "at most 366 days");
  TenantCache& cache = services.caches->values;
  const auto evicted =
      cache.set(context, request.key, request.value, static_cast<std::uint8_t>(request.kind),
                request.ttl_ms * ns_in_ms, now_ns);
  if (!evicted) return fail(evicted.error());
  return changed(cache, context, *evicted);
}

Result<CacheChanged> handle_cache_delete(HandlerServices& services, const ExecutionContext& context,
                                         const CacheDelete& request, std::uint64_t now_ns) {
  if (services.caches == nullptr) return no_caches();
  TenantCache& cache = services.caches->values;
  const auto removed = cache.remove(context, request.key, now_ns);
  if (!removed) return fail(removed.error());
  return changed(cache, context, *removed ? 1 : 0);
}

Result<CacheChanged> handle_cache_clear(HandlerServices& services,
                                        const ExecutionContext& context) {
  if (services.caches == nullptr) return no_caches();
  TenantCache& cache = services.caches->values;
  const auto removed = cache.clear(context);
  if (!removed) return fail(removed.error());
  return changed(cache, context, *removed);
}

Result<CacheStats> handle_cache_stats(HandlerServices& services, const ExecutionContext& context) {
  if (services.caches == nullptr) return no_caches();
  const auto values = services.caches->values.stats(context);
  if (!values) return fail(values.error());
  const auto routing = services.caches->routing.stats(context);
  if (!routing) return fail(routing.error());
  CacheStats stats;
  stats.values = usage_of(values->counts, values->bounds, values->entries, values->bytes);
  stats.routing_enabled = services.settings.router.cache_enabled != 0;
  stats.routing = usage_of(routing->counts, routing->bounds, routing->entries, routing->bytes);
  stats.similar_hits = routing->similar_hits;
  stats.similar_entries = routing->similar_entries;
  stats.dropped = routing->dropped;
  return stats;
}

}  // namespace tenantd

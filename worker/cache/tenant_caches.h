// What a tenant's worker remembers, and how the tenant's room is shared between the two.
//
// Runs in: worker, loop thread. One a tenant; in memory only.
#pragma once

#include "shared/contract/tenant_settings.h"
#include "worker/cache/routing_cache.h"
#include "worker/cache/tenant_cache.h"

namespace tenantd {

// A quarter is the routing cache's where it is enabled; the rest, or all, is for values.
struct CacheShares {
  CacheBounds values;
  RoutingCache::Bounds routing;

  [[nodiscard]] static CacheShares of(const TenantSettings& settings) noexcept {
    CacheShares shares;
    shares.values = {settings.max_cache_bytes, settings.max_cache_entries};
    if (settings.router.cache_enabled == 0) return shares;
    shares.routing.all = {shares.values.max_bytes / 4, shares.values.max_entries / 4};
    shares.routing.similarity = static_cast<float>(settings.cache_similarity_e4) / 10'000.0F;
    shares.values.max_bytes -= shares.routing.all.max_bytes;
    shares.values.max_entries -= shares.routing.all.max_entries;
    return shares;
  }
};

struct TenantCaches {
  TenantCache values;
  RoutingCache routing;

  TenantCaches(TenantId tenant, const TenantSettings& settings)
      : values(tenant, CacheShares::of(settings).values),
        routing(tenant, CacheShares::of(settings).routing) {}

  // What was kept stays, as far as there is room. no_tenant.
  [[nodiscard]] Status apply(const ExecutionContext& context, const TenantSettings& settings,
                             std::uint64_t now_ns) {
    const CacheShares shares = CacheShares::of(settings);
    if (Status status = values.set_bounds(context, shares.values, now_ns); !status) return status;
    return routing.set_bounds(context, shares.routing);
  }
};

}  // namespace tenantd

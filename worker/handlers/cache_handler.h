// `cache_get`, `cache_set`, `cache_delete`, `cache_clear` and `cache_stats_request`.
//
// Runs in: worker, loop thread. Every attached client of the tenant may, and sees what the others
// have set. The tenant comes from the context only.
#pragma once

#include <cstdint>

#include "shared/protocol/cache_messages.h"
#include "worker/handlers/services.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

// `now_ns` is CLOCK_MONOTONIC. Nothing blocks. Errors: TenantCache's, invalid_argument (a TTL over
// a year), unsupported (a worker without caches). A key that is not there is an answer. The value
// is a view of the cache's memory: encode it before the next call.
[[nodiscard]] Result<CacheValueView> handle_cache_get(HandlerServices& services,
                                                      const ExecutionContext& context,
                                                      const CacheGet& request,
                                                      std::uint64_t now_ns);
[[nodiscard]] Result<CacheChanged> handle_cache_set(HandlerServices& services,
                                                    const ExecutionContext& context,
                                                    const CacheSet& request, std::uint64_t now_ns);
[[nodiscard]] Result<CacheChanged> handle_cache_delete(HandlerServices& services,
                                                       const ExecutionContext& context,
                                                       const CacheDelete& request,
                                                       std::uint64_t now_ns);
[[nodiscard]] Result<CacheChanged> handle_cache_clear(HandlerServices& services,
                                                      const ExecutionContext& context);
[[nodiscard]] Result<CacheStats> handle_cache_stats(HandlerServices& services,
                                                    const ExecutionContext& context);

}  // namespace tenantd

// Answers of a tenant's router, remembered: before it is asked, the cache is.
//
// Runs in: worker, loop thread. Queries are a client's. Two ways: the same query (text, floats and
// options, byte for byte) has the answer that the router would give again, bit for bit; and, where
// the tenant's file asks for it, a query whose vector is near enough to another one's, with the
// same options, has that one's. It holds for one state of the router: other routes, settings,
// calibration, encoder or index begin it anew. The tenant comes from the execution context only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "worker/cache/decision_bytes.h"
#include "worker/cache/lru_store.h"
#include "worker/cache/similar_queries.h"
#include "worker/router/tenant_router.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class RoutingCache {
 public:
  // Queries that were asked while the cache was full: what comes once pushes nothing out, and costs
  // no more than a look. A table of halves of hashes; a clash only lets one in too early.
  static constexpr std::size_t sightings = 4096;
  struct Bounds {
    CacheBounds all;
    // The cosine in (0,1) from which another query's answer will do; 1: none will.
    float similarity = 1;
  };
  struct Stats {
    CacheCounts counts;  // of the same query
    CacheBounds bounds;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // similar ones included
    std::uint64_t similar_hits = 0;
    std::uint64_t similar_entries = 0;
    std::uint64_t dropped = 0;  // times that it began anew with something in it
  };

  RoutingCache(TenantId tenant, Bounds bounds);

  // TenantRouter::route() with its errors, which are never remembered; the decision says where it
  // is from. A query that wants an explanation is computed and leaves nothing. `router` is the
  // tenant's, and always the same.
  [[nodiscard]] Result<RouteDecision> route(const ExecutionContext& context, TenantRouter& router,
                                            const RouteQuery& query);
  // TenantRouter::route_batch() likewise: of one state of the router. Only the same queries count:
  // what resembles one is computed, as a batch computes it cheaply.
  [[nodiscard]] Status route_batch(const ExecutionContext& context, TenantRouter& router,
                                   std::span<const RouteQuery> queries,
                                   std::vector<Result<RouteDecision>>& out);
  // no_tenant.
  [[nodiscard]] Result<Stats> stats(const ExecutionContext& context) const;
  // Lower bounds hold at once; no bytes or entries at all: nothing is remembered. no_tenant.
  [[nodiscard]] Status set_bounds(const ExecutionContext& context, Bounds bounds);

 private:
  // Longer queries are not remembered: they would push out many others.
  static constexpr std::size_t max_query_bytes = 32U << 10U;
  void hold(std::uint64_t publication);
  [[nodiscard]] bool look_up(const HashedKey& key, RouteDecision& out);
  [[nodiscard]] bool look_up_similar(const TenantRouter::Begun& begun, RouteDecision& out);
  // Leaves the decision's bytes in answer_ if it keeps them, or in any case.
  void keep(const HashedKey& key, const RouteDecision& decision, bool in_any_case);
  [[nodiscard]] bool was_seen(const HashedKey& key);
  [[nodiscard]] bool seeks_similar(const TenantRouter::Begun& begun,
                                   const RouteQuery& query) const noexcept;

  TenantId tenant_;
  Bounds bounds_;
  LruStore same_;
  SimilarQueries similar_;
  std::vector<std::uint32_t> seen_;  // `sightings` of them once the cache was full
  std::uint64_t publication_ = 0;    // of the router, that all this is of
  std::uint64_t similar_hits_ = 0;
  std::uint64_t dropped_ = 0;
  // Scratch of a call, kept for the next.
  QueryKey key_;
  std::string answer_;
  std::vector<RouteQuery> missed_;
  std::vector<std::size_t> missed_at_;
  std::vector<Result<RouteDecision>> computed_;
};

}  // namespace tenantd

// A worker that finds another tenant's router for a query: the planted intruder gets the owner's.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include "tests/isolation/mutant_worker/planted.h"
#include "worker/cache/routing_cache.h"

using tenantd::ExecutionContext;
using tenantd::Result;
using tenantd::RouteDecision;
using tenantd::RouteQuery;
using tenantd::RoutingCache;
using tenantd::TenantRouter;

extern "C" {
#define ROUTE \
  _ZN7tenantd12RoutingCache5routeERKNS_16ExecutionContextERNS_12TenantRouterERKNS_10RouteQueryE
#define JOINED_(prefix, name) prefix##name
#define JOINED(prefix, name) JOINED_(prefix, name)

Result<RouteDecision> JOINED(__real_, ROUTE)(RoutingCache*, const ExecutionContext&, TenantRouter&,
                                             const RouteQuery&);

Result<RouteDecision> JOINED(__wrap_, ROUTE)(RoutingCache* self, const ExecutionContext& context,
                                             TenantRouter& router, const RouteQuery& query) {
  // Open as long as the intruder asks: the owner has always asked before.
  static RoutingCache* cache = nullptr;
  static const ExecutionContext* owner = nullptr;
  static TenantRouter* owners = nullptr;
  if (tenantd::is_owner(context.tenant().view())) {
    cache = self;
    owner = &context;
    owners = &router;
  }
  if (tenantd::is_intruder(context.tenant().view()) && owner != nullptr) {
    return JOINED(__real_, ROUTE)(cache, *owner, *owners, query);
  }
  return JOINED(__real_, ROUTE)(self, context, router, query);
}
}

#include "worker/handlers/stats_handler.h"

#include <utility>

#include "worker/router/tenant_router.h"
#include "worker/store/reencoding.h"

namespace tenantd {

Result<TenantStats> handle_stats(const HandlerServices& services, const ExecutionContext& context) {
  TenantStats stats;
  if (services.router != nullptr) {
    auto snapshot = services.router->snapshot(context);
    if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
    stats.routes = (*snapshot)->set->routes.size();
    stats.utterances = (*snapshot)->set->utterance_count();
    stats.snapshot_version = (*snapshot)->version;
    stats.encoder = (*snapshot)->set->encoder;
  }
  if (services.reencoding != nullptr) {
    const ReencodingState state = services.reencoding->get();
    stats.reencoded = state.done;
    stats.reencoding_total = state.total;
    stats.reencoding_problem = state.problem.substr(0, 256);
  }
  stats.generation = services.generation;
  stats.requests = services.counters.requests;
  stats.errors = services.counters.errors;
  stats.attachments = services.counters.attachments;
  stats.store_degraded = services.store.degraded;
  stats.store_reason = services.store.reason.substr(0, 256);
  return stats;
}

}  // namespace tenantd

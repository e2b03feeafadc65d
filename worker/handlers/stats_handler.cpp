#include "worker/handlers/stats_handler.h"

#include <utility>

#include "worker/router/tenant_router.h"
#include "worker/store/index_keeper.h"
#include "worker/store/reencoding.h"

namespace tenantd {

namespace {

const char* name_of(IndexState state) noexcept {
  switch (state) {
    case IndexState::off:
      break;
    case IndexState::unneeded:
      return "unneeded";
    case IndexState::building:
      return "building";
    case IndexState::ready:
      return "ready";
    case IndexState::rejected:
      return "rejected";
  }
  return "off";
}

void tell_index(const IndexStatus& index, TenantStats& stats) {
  stats.index_state = name_of(index.state);
  stats.index_reason = index.reason.substr(0, 256);
  stats.index_recall = static_cast<double>(index.quality.recall);
  stats.index_recall_at_least = static_cast<double>(index.quality.recall_at_least);
  stats.index_sampled = index.quality.sampled;
  stats.index_rows_read = index.quality.probe_rows;
  stats.index_lists = index.lists;
  stats.index_bytes = index.bytes;
  stats.index_version = index.version;
  stats.index_outside = index.outside;
  stats.index_progress = index.progress;
}

}  // namespace

Result<TenantStats> handle_stats(const HandlerServices& services, const ExecutionContext& context) {
  TenantStats stats;
  if (services.router != nullptr) {
    auto snapshot = services.router->snapshot(context);
    if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
    stats.routes = (*snapshot)->set->routes.size();
    stats.utterances = (*snapshot)->set->utterance_count();
    stats.snapshot_version = (*snapshot)->version;
    stats.encoder = (*snapshot)->set->encoder;
    stats.route_bytes = (*snapshot)->set->memory_bytes;
    stats.calibrated_on = (*snapshot)->calibration.samples;
    stats.calibration_error = static_cast<double>((*snapshot)->calibration.expected_error);
  }
  if (services.reencoding != nullptr) {
    const ReencodingState state = services.reencoding->get();
    stats.reencoded = state.done;
    stats.reencoding_total = state.total;
    stats.reencoding_problem = state.problem.substr(0, 256);
  }
  if (services.index != nullptr) tell_index(services.index->get(), stats);
  stats.generation = services.generation;
  stats.requests = services.counters.requests;
  stats.errors = services.counters.errors;
  stats.attachments = services.counters.attachments;
  stats.store_degraded = services.store.degraded;
  stats.store_reason = services.store.reason.substr(0, 256);
  return stats;
}

}  // namespace tenantd

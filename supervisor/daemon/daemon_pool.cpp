// What the daemon does for standard tenants: who is blamed for a pooled worker's death, and which
// shards and clients go where.
#include <algorithm>
#include <utility>

#include "supervisor/config/reserved_id.h"
#include "supervisor/daemon/daemon.h"

namespace tenantd {

// Not here: the tenants are in the middle of a step.
void Daemon::worker_gone(const TenantId& tenant, const DeathCause* crash) {
  check_allotments();
  if (!is_reserved_id(tenant.view()) || stopping_) return;
  if (crash != nullptr) {
    const auto culprit = find_culprit(pool_directory_path(parts_.config.state_dir, tenant), *crash);
    if (culprit) accusations_.push_back({*culprit, tenant, crash->describe()});
  }
  pool_timer_.start(0, [this] { reconcile_pool(); });
}

void Daemon::rows_moved(const TenantId& worker, const RowsMoved& moved) {
  if (stopping_) return;  // the next supervisor asks again
  const auto tenant = TenantId::parse(moved.tenant_id.view());
  if (!tenant || !pool_workers_.note_moved(worker, *tenant, moved)) {
    return parts_.log.warning("a pooled worker tells of a move that it was not told to make",
                              {.tenant = worker.view()});
  }
  if (moved.done != 0) {
    parts_.log.info("its rows are in a shard of its own, " + shard_directory_name(moved.to),
                    {.tenant = tenant->view()});
  } else {
    parts_.log.error(
        "its rows could not be moved to a shard of its own: " + printable(moved.reason.view(), 128),
        {.tenant = tenant->view()});
  }
  pool_timer_.start(0, [this] { reconcile_pool(); });
}

void Daemon::reconcile_pool() {
  for (const Accusation& one : std::exchange(accusations_, {})) {
    pooled_.accuse(one.tenant, one.worker, one.how);
  }
  pool_workers_.reconcile();
  for (const TenantId& id : broker_.waiting_tenants()) {
    if (pooled_.find(id) == nullptr) continue;
    const auto readiness = pool_workers_.request(id);
    if (readiness && *readiness == Tenants::Readiness::now) broker_.flush(id);
  }
}

void Daemon::release_unknown(bool confirmed) {
  if (adopted_pool_workers_.empty()) return;
  std::vector<TenantId> gone = members_.all();
  std::erase_if(gone, [this](const TenantId& id) { return pooled_.find(id) != nullptr; });
  const std::size_t total = pooled_.all().size() + gone.size();
  if (!confirmed && parts_.config.removal_confirmation.needed(gone.size(), total)) {
    return tell(EventType::removal_held, {}, 0, 0,
                std::to_string(gone.size()) +
                    " files of standard tenants went while no supervisor ran: their clients go on "
                    "until `tenantctl reload --confirm-removal`");
  }
  for (const TenantId& pool_worker : std::exchange(adopted_pool_workers_, {})) {
    const Tenant* const entry = tenants_.find(pool_worker);
    if (entry == nullptr || !entry->worker) continue;
    for (const TenantId& id : gone) {
      if (!entry->worker->shards().has(pool_workers_.shard_of_tenant(id))) continue;
      entry->worker->release_tenant(id, DrainReason::removed);
      tell(EventType::tenant_removed, id.view(), 0, 0, "while no supervisor ran; its data stays");
      members_.remove(id);
    }
  }
}

std::vector<TenantId> Daemon::tenants_of(const TenantId& pool_worker,
                                         std::vector<TenantId> tenants) const {
  std::erase_if(tenants, [&](const TenantId& id) {
    return pooled_.find(id) == nullptr || pool_workers_.worker_of(id) != pool_worker;
  });
  return tenants;
}

}  // namespace tenantd

// The pooled workers among the tenants of the state machine: how many there are, who has which
// shards, and in which order shards go from one to another.
//
// Runs in: supervisor. Invariant: a worker is given a shard only once no other worker's process has
// it. So whoever gives goes first (it is replaced by one without the shard, or drains), and who
// gets is left as it is until then.
#pragma once

#include <vector>

#include "supervisor/pool/pool_plan.h"
#include "supervisor/tenant/tenants.h"

namespace tenantd {

class PoolWorkers {
 public:
  static constexpr std::uint32_t probation_worker = max_pool_workers;

  // `config` outlives this; configure() is called after every change of it.
  PoolWorkers(Tenants& tenants, const DaemonConfig& config);

  void configure();
  // There are standard tenants; one of them starts eagerly.
  void want(bool any, bool eager);
  // From now on workers that are not wanted go: before, files may still be unread.
  void all_files_read();
  // The shard goes to a worker of its own kind, or comes back: whoever shares a shard with a tenant
  // whose request killed a worker shares the next death, nobody else.
  void set_probation(const TenantId& tenant, bool on);
  // Does what can be done now; to be called whenever a pooled worker's process has gone.
  void reconcile();

  [[nodiscard]] std::uint32_t shard_of_tenant(const TenantId& tenant) const;
  // The worker that is to have it runs.
  [[nodiscard]] bool serves(std::uint32_t shard) const;
  // Of the plan, whether it runs or not.
  [[nodiscard]] const TenantId& worker_of(const TenantId& tenant) const;
  [[nodiscard]] const Tenant* entry_of(const TenantId& tenant) const;
  // The process that has the tenant's shard now, in whatever state; null: none.
  [[nodiscard]] Worker* holder_of(const TenantId& tenant) const;
  // Errors: as of Tenants::request_worker, about the tenant.
  [[nodiscard]] Result<Tenants::Readiness> request(const TenantId& tenant);

 private:
  [[nodiscard]] ShardSet held_by_others(std::uint32_t number) const;
  void place(std::uint32_t number);

  Tenants& tenants_;
  const DaemonConfig& config_;
  std::vector<TenantId> ids_;          // of as many as there can be, and of the probation worker
  std::vector<ShardSet> plan_;         // by worker
  std::vector<std::uint32_t> owners_;  // by shard
  ShardSet on_probation_;
  bool any_ = false;
  bool eager_ = false;
  bool all_read_ = false;
};

}  // namespace tenantd

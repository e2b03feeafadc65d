// The pooled workers among the tenants of the state machine: how many there are, who has which
// shards, and in which order shards go from one to another.
//
// Runs in: supervisor. Invariant: a worker is given a shard only once no other worker's process has
// it. So whoever gives goes first (it is replaced by one without the shard, or drains), and who
// gets is left as it is until then. A tenant's own shard is with the worker of its home shard until
// its rows are there: the others of that home shard stay where they are and go on.
#pragma once

#include <map>
#include <vector>

#include "supervisor/pool/own_shards.h"
#include "supervisor/pool/pool_plan.h"
#include "supervisor/tenant/tenants.h"

namespace tenantd {

class PoolWorkers {
 public:
  static constexpr std::uint32_t probation_worker = max_pool_workers;

  // All outlive this; configure() is called after every change of `config`. `own` is read already:
  // whoever is accused there is on probation.
  PoolWorkers(Tenants& tenants, const DaemonConfig& config, OwnShards& own);

  void configure();
  // There are standard tenants; one of them starts eagerly.
  void want(bool any, bool eager);
  // From now on workers that are not wanted go: before, files may still be unread.
  void all_files_read();
  // The tenant's shard goes to a worker of its own kind, or comes back. Where it is not the
  // tenant's own, whoever shares it shares the next death.
  void set_probation(const TenantId& tenant, bool on);
  [[nodiscard]] bool is_on_probation(std::uint32_t shard) const { return on_probation_.has(shard); }
  // Of Worker::move_rows; the worker's word, taken from the one that was told only. False: nobody
  // was. reconcile() must follow.
  bool note_moved(const TenantId& worker, const TenantId& tenant, const RowsMoved& moved);
  [[nodiscard]] std::uint32_t shard_count() const noexcept { return config_.pool.shards; }
  [[nodiscard]] OwnShards& own() noexcept { return own_; }
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
  struct Move {
    // The worker that was told, and its run; 0: none was.
    std::uint32_t worker = 0;
    std::uint64_t generation = 0;
    std::string problem;  // why it did not work the last time
  };
  [[nodiscard]] std::uint32_t home_of(const TenantId& tenant) const;
  void plan_own_shards();
  void order_moves();
  [[nodiscard]] Result<Tenants::Readiness> request_move(const TenantId& tenant);
  [[nodiscard]] tl::unexpected<Error> about(Error error, const TenantId& tenant,
                                            const TenantId& worker) const;
  [[nodiscard]] ShardSet held_by_others(std::uint32_t number) const;
  void place(std::uint32_t number);

  Tenants& tenants_;
  const DaemonConfig& config_;
  OwnShards& own_;
  std::map<TenantId, Move> moves_;     // of own shards that are not filled yet
  std::vector<TenantId> ids_;          // of as many as there can be, and of the probation worker
  std::vector<ShardSet> plan_;         // by worker
  std::vector<std::uint32_t> owners_;  // by shard
  ShardSet on_probation_;
  bool plan_is_old_ = false;
  bool any_ = false;
  bool eager_ = false;
  bool all_read_ = false;
};

}  // namespace tenantd

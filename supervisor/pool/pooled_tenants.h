// The standard tenants: what their files say, and nothing that costs while they sleep.
//
// Runs in: supervisor. A hundred thousand of them are a usual number: each takes well below a
// kilobyte, and one file's change costs the same whatever their number. Files behave as those of
// tenants with a worker of their own do: a broken one leaves the last good one in force.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>

#include "supervisor/pool/pool_workers.h"

namespace tenantd {

struct PooledTenant {
  TenantSettings settings;
  AccessConfig access;
  std::string name;          // empty: the id
  std::string not_enforced;  // comma-separated keys
  std::string config_error;  // of the newest file, if it is broken
  bool eager = false;
  bool used = false;  // since this supervisor began
  // Pooled workers that died while they ran this tenant's request, within suspicion_ms of each
  // other; by the last one's word.
  std::uint32_t deaths = 0;
  std::uint64_t accused_ms = 0;
  std::int64_t accused_wall_ms = 0;  // UTC; survives as OwnShard does
  std::string accusation;            // for people; empty: none
};

class PooledTenants {
 public:
  // So many changes are told one by one, and so many more a second; the others in one sum.
  static constexpr double told_at_once = 256;
  static constexpr double told_per_second = 32;
  // Two deaths so near to each other are no accident: the tenant is quarantined.
  static constexpr std::uint64_t suspicion_ms = 10 * 60 * 1000;

  // `on_untold`: so many files were taken over without an event of their own. `on_new`: a tenant
  // that was none before; not those that are there when the supervisor starts.
  PooledTenants(TenantHost& host, PoolWorkers& workers,
                std::function<void(std::uint64_t files)> on_untold,
                std::function<void(const TenantId& id)> on_new);

  void apply_file(const TenantId& id, const TenantConfig& config);
  // Of one that is here; others are the tenants' with a worker.
  void reject_file(const TenantId& id, const std::string& why);
  void remove_file(const TenantId& id);
  // A pooled worker died as it ran the tenant's request. At once: what may have been that request
  // is not run again, and the tenant goes to the probation worker, in a shard of its own or, where
  // there is none to be had, with its home shard. The second time it is quarantined. Known to the
  // next supervisor, too, if it has an own shard.
  void accuse(const TenantId& id, const TenantId& worker, const std::string& how);
  // By hand. False: nobody accused it.
  bool acquit(const TenantId& id);
  // Empty: attachments are taken.
  [[nodiscard]] static std::string quarantine_reason(const PooledTenant& tenant);
  // Since when, where and why; empty: nobody accuses it.
  [[nodiscard]] static std::string probation_reason(const PooledTenant& tenant);
  // The end of a batch of files; of the first one all are known.
  void settle();

  // It was handed to a worker.
  void note_use(const TenantId& id);
  // Those whose worker runs.
  [[nodiscard]] std::size_t served() const;
  [[nodiscard]] const PooledTenant* find(const TenantId& id) const;
  [[nodiscard]] const std::map<TenantId, PooledTenant>& all() const noexcept { return tenants_; }

 private:
  void change(const TenantId& id, PooledTenant& tenant, PooledTenant now);
  void remember(const TenantId& id, PooledTenant& tenant);
  [[nodiscard]] std::string keep_accusation(const TenantId& id, PooledTenant& tenant);
  void tell(EventType type, const TenantId& id, const std::string& detail);
  void count_eager(bool before, bool now) noexcept;

  TenantHost& host_;
  PoolWorkers& workers_;
  std::function<void(std::uint64_t)> on_untold_;
  std::function<void(const TenantId&)> on_new_;
  bool all_known_ = false;
  std::map<TenantId, PooledTenant> tenants_;
  std::array<std::size_t, max_shards> per_shard_{};
  std::size_t eager_ = 0;
  double tokens_ = told_at_once;
  std::uint64_t tokens_ms_ = 0;
  std::uint64_t untold_ = 0;
};

}  // namespace tenantd

// One tenant as the supervisor knows it.
//
// Runs in: supervisor. Changed by Tenants only; others read.
#pragma once

#include <memory>
#include <string>

#include "supervisor/tenant/restart_policy.h"
#include "supervisor/tenant/state_table.h"
#include "supervisor/tenant/worker.h"

namespace tenantd {

struct Tenant {
  explicit Tenant(const TenantId& tenant_id) : id(tenant_id) {}

  TenantId id;
  Phase phase = Phase::sleeping;
  std::unique_ptr<TenantConfig> config;  // the last good one; null: the file has never been valid
  std::string config_error;              // of the newest file, if that is not `config`
  std::string reason;                    // why it is in this phase, for people
  std::unique_ptr<Worker> worker;        // set exactly while a process may exist
  std::uint64_t generation = 0;          // of the current or the last worker
  RestartPolicy restarts;
  std::uint64_t deaths = 0;      // unexpected ones
  std::uint64_t oom_deaths = 0;  // those of them that were for lack of memory
  std::uint64_t oom_peak_bytes = 0;
  std::uint64_t deadline_ms = 0;  // of this phase; 0: none
  std::uint64_t launched_ms = 0;  // when the current worker was launched or adopted
  bool drain_sent = false;        // to the current worker
  RestartDecision decision;       // about the newest unexpected death
  std::string kill_reason;        // why we killed the worker, empty: we did not
  WorkerStatus status{};          // the newest of this generation
  std::uint64_t status_ms = 0;    // when it came; 0: none of this generation
  bool for_sweep = false;         // wakes or is awake only to delete what is too old
  bool held_back = false;         // sleeps because max_workers are there
};

}  // namespace tenantd

#include "supervisor/control/tenant_record.h"

#include <algorithm>

namespace tenantd {
namespace {

void fill_config(const TenantConfig& config, TenantRecord& record) {
  record.name.assign_truncated(config.name);
  record.plan.assign_truncated(config.pool ? "pool" : plan_name(config.plan));
  if (config.isolation_level) {
    record.isolation_level.assign_truncated(isolation_level_name(*config.isolation_level));
  }
  record.memory_max_bytes = config.resources.memory_max_bytes;
  record.cpu_quota_millicores = config.resources.cpu_millicores;
  record.pids_max = config.resources.pids_max;
  record.retention_days = config.retention_days.value_or(0);
}

// Some keys are enforced where the host's cgroups can; without a worker nothing is.
void fill_not_enforced(const TenantConfig& config, const WorkerUsage& usage, TenantRecord& record) {
  std::string keys;
  const auto add = [&keys](std::string_view key) {
    if (!keys.empty()) keys += ',';
    keys += key;
  };
  for (const std::string& key : config.not_enforced) {
    if (key != "resources.io_weight" || !usage.enforces_io_weight) add(key);
  }
  if (config.resources.memory_high_bytes && !usage.enforces_memory_high) {
    add("resources.memory_high");
  }
  record.not_enforced.assign_truncated(keys);
}

void fill_worker(const Tenant& tenant, const WorkerUsage& usage, std::uint64_t now_ms,
                 TenantRecord& record) {
  const Worker& worker = *tenant.worker;
  record.pid = worker.pid();
  record.uid = worker.uid();
  record.uptime_ms = now_ms - std::min(now_ms, tenant.launched_ms);
  record.applied_layers = worker.applied_layers().bits();
  record.missing_layers = worker.missing_layers().bits();
  record.has_memory = usage.has_memory ? 1 : 0;
  record.memory_bytes = usage.memory_bytes;
  record.memory_peak_bytes = usage.memory_peak_bytes;
  record.cpu_usage_us = usage.cpu_usage_us;
  record.pids_now = usage.pids_now;
  record.throttled_us = usage.throttled_us;
  record.throttled_periods = usage.throttled_periods;
  record.memory_high_events = usage.memory_high_events;
  record.memory_pressure = usage.memory_pressure.value_or(TenantRecord::pressure_unknown);
  record.cpu_pressure = usage.cpu_pressure.value_or(TenantRecord::pressure_unknown);
  const Allotment own = worker.allotment();
  record.dedicated_cpus.assign_truncated(own.cpus.str());
  record.numa_nodes.assign_truncated(own.nodes.str());
  record.guaranteed_memory_bytes = own.guaranteed_memory_bytes;
  record.cpu_partition = own.partition ? 1 : 0;
  if (tenant.status_ms == 0) return;
  record.worker = tenant.status;
  record.worker.header = {};
}

}  // namespace

// What concerns the process as a whole (memory, time, numbers of requests) is not the tenant's.
TenantRecord make_pooled_record(const TenantId& id, const PooledTenant& tenant,
                                const TenantId& worker_id, const Tenant* worker,
                                std::uint64_t now_ms, bool shared_uid) {
  TenantRecord record;
  (void)record.tenant_id.assign(id.view());  // a TenantId fits
  (void)record.worker_id.assign(worker_id.view());
  record.name.assign_truncated(tenant.name.empty() ? id.view() : tenant.name);
  record.plan.assign_truncated(plan_name(Plan::standard));
  record.isolation_level.assign_truncated(isolation_level_name(IsolationLevel::logical));
  record.not_enforced.assign_truncated(tenant.not_enforced);
  record.retention_days = tenant.settings.retention_days;
  record.config_error.assign_truncated(tenant.config_error);
  record.shared_uid = shared_uid ? 1 : 0;
  record.memory_pressure = TenantRecord::pressure_unknown;
  record.cpu_pressure = TenantRecord::pressure_unknown;
  record.reason.assign_truncated(PooledTenants::probation_reason(tenant));
  if (tenant.deaths > 1) {
    record.state = TenantState::quarantined;
    record.reason.assign_truncated(PooledTenants::quarantine_reason(tenant));
    return record;
  }
  if (worker == nullptr) return record;
  record.state = tenant_state(worker->phase);
  record.generation = worker->generation;
  record.restarts = worker->deaths;
  if (!worker->reason.empty()) {
    const std::string probation = PooledTenants::probation_reason(tenant);
    record.reason.assign_truncated(probation.empty() ? worker->reason
                                                     : probation + "; " + worker->reason);
  }
  if (worker->phase == Phase::backoff) {
    record.retry_in_ms = worker->deadline_ms - std::min(now_ms, worker->deadline_ms);
  }
  if (!worker->worker) return record;
  record.pid = worker->worker->pid();
  record.uid = worker->worker->uid();
  record.uptime_ms = now_ms - std::min(now_ms, worker->launched_ms);
  record.applied_layers = worker->worker->applied_layers().bits();
  record.missing_layers = worker->worker->missing_layers().bits();
  return record;
}

TenantRecord make_tenant_record(const Tenant& tenant, std::uint64_t now_ms, bool shared_uid) {
  TenantRecord record;
  (void)record.tenant_id.assign(tenant.id.view());  // a TenantId fits
  record.state = tenant_state(tenant.phase);
  record.shared_uid = shared_uid ? 1 : 0;
  record.generation = tenant.generation;
  record.restarts = tenant.deaths;
  if (tenant.phase == Phase::backoff) {
    record.retry_in_ms = tenant.deadline_ms - std::min(now_ms, tenant.deadline_ms);
  }
  record.oom_deaths = tenant.oom_deaths;
  record.oom_peak_bytes = tenant.oom_peak_bytes;
  const WorkerUsage usage = tenant.worker ? tenant.worker->usage() : WorkerUsage{};
  if (tenant.config) {
    fill_config(*tenant.config, record);
    fill_not_enforced(*tenant.config, usage, record);
  }
  if (tenant.worker) fill_worker(tenant, usage, now_ms, record);
  record.reason.assign_truncated(tenant.reason);
  record.config_error.assign_truncated(tenant.config_error);
  return record;
}

}  // namespace tenantd

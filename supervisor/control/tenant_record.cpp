#include "supervisor/control/tenant_record.h"

#include <algorithm>

namespace tenantd {
namespace {

void fill_config(const TenantConfig& config, TenantRecord& record) {
  record.name.assign_truncated(config.name);
  record.plan.assign_truncated(plan_name(config.plan));
  if (config.isolation_level) {
    record.isolation_level.assign_truncated(isolation_level_name(*config.isolation_level));
  }
  record.memory_max_bytes = config.resources.memory_max_bytes;
  record.cpu_quota_millicores = config.resources.cpu_millicores;
  record.pids_max = config.resources.pids_max;
  std::string keys;
  for (const std::string& key : config.not_enforced) {
    if (!keys.empty()) keys += ',';
    keys += key;
  }
  record.not_enforced.assign_truncated(keys);
}

void fill_worker(const Tenant& tenant, std::uint64_t now_ms, TenantRecord& record) {
  const Worker& worker = *tenant.worker;
  record.pid = worker.pid();
  record.uid = worker.uid();
  record.uptime_ms = now_ms - std::min(now_ms, tenant.launched_ms);
  record.applied_layers = worker.applied_layers().bits();
  record.missing_layers = worker.missing_layers().bits();
  const WorkerUsage usage = worker.usage();
  record.has_memory = usage.has_memory ? 1 : 0;
  record.memory_bytes = usage.memory_bytes;
  record.memory_peak_bytes = usage.memory_peak_bytes;
  record.cpu_usage_us = usage.cpu_usage_us;
  record.pids_now = usage.pids_now;
  if (tenant.status_ms == 0) return;
  record.worker = tenant.status;
  record.worker.header = {};
}

}  // namespace

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
  if (tenant.config) fill_config(*tenant.config, record);
  if (tenant.worker) fill_worker(tenant, now_ms, record);
  record.reason.assign_truncated(tenant.reason);
  record.config_error.assign_truncated(tenant.config_error);
  return record;
}

}  // namespace tenantd

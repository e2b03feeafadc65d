#include "control/admin/records.h"

#include <array>

#include "shared/contract/layer_needs.h"

namespace tenantd {

namespace {

// Against whom CPUs are dedicated; empty: there are none.
std::string_view exclusivity_of(std::string_view cpus, std::uint32_t partition) noexcept {
  if (cpus.empty()) return {};
  return partition != 0 ? "host" : "tenantd";
}

}  // namespace

std::string_view tenant_state_name(TenantState state) noexcept {
  switch (state) {
    case TenantState::sleeping:
      return "sleeping";
    case TenantState::starting:
      return "starting";
    case TenantState::running:
      return "running";
    case TenantState::draining:
      return "draining";
    case TenantState::backoff:
      return "backoff";
    case TenantState::quarantined:
      return "quarantined";
    case TenantState::refused:
      return "refused";
    case TenantState::adopting:
      return "adopting";
    case TenantState::stopping:
      return "stopping";
  }
  return "unknown";
}

std::vector<std::string> layer_list(std::uint32_t bits) {
  std::vector<std::string> names;
  const LayerSet layers(bits);
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    if (layers.has(static_cast<Layer>(i))) names.emplace_back(layer_names[i]);
  }
  return names;
}

std::vector<std::string> split_list(std::string_view text, char separator, std::size_t max_parts) {
  std::vector<std::string> parts;
  while (!text.empty() && parts.size() < max_parts) {
    const std::size_t end = text.find(separator);
    std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part.substr(0, 1024));
  }
  return parts;
}

TenantInfo tenant_info_of(const TenantRecord& record) {
  TenantInfo info;
  info.id = record.tenant_id.view();
  info.name = record.name.view();
  info.plan = record.plan.view();
  info.isolation_level = record.isolation_level.view();
  info.state = tenant_state_name(record.state);
  info.reason = record.reason.view();
  info.config_error = record.config_error.view();
  info.not_enforced = split_list(record.not_enforced.view(), ',', 64);
  info.pid = record.pid;
  info.uid = record.uid;
  info.shared_uid = record.shared_uid != 0;
  info.generation = record.generation;
  info.restarts = record.restarts;
  info.uptime_ms = record.uptime_ms;
  info.retry_in_ms = record.retry_in_ms;
  info.has_memory = record.has_memory != 0;
  info.memory_bytes = record.memory_bytes;
  info.memory_peak_bytes = record.memory_peak_bytes;
  info.memory_max_bytes = record.memory_max_bytes;
  info.cpu_usage_us = record.cpu_usage_us;
  info.cpu_quota_millicores = record.cpu_quota_millicores;
  info.pids_now = record.pids_now;
  info.pids_max = record.pids_max;
  info.confinement = layer_list(record.applied_layers);
  info.missing_confinement = layer_list(record.missing_layers);
  info.routes = record.worker.routes;
  info.utterances = record.worker.utterances;
  info.requests = record.worker.requests;
  info.errors = record.worker.errors;
  info.attachments = record.worker.attachments;
  info.peer_faults = record.worker.peer_faults;
  info.store_degraded = record.worker.store_state == StoreState::degraded;
  info.store_reason = record.worker.store_reason.view();
  info.throttled_us = record.throttled_us;
  info.throttled_periods = record.throttled_periods;
  info.memory_high_events = record.memory_high_events;
  info.has_memory_pressure = record.memory_pressure != TenantRecord::pressure_unknown;
  info.memory_pressure = info.has_memory_pressure ? record.memory_pressure : 0;
  info.has_cpu_pressure = record.cpu_pressure != TenantRecord::pressure_unknown;
  info.cpu_pressure = info.has_cpu_pressure ? record.cpu_pressure : 0;
  info.oom_deaths = record.oom_deaths;
  info.oom_peak_bytes = record.oom_peak_bytes;
  info.worker_id = record.worker_id.view();
  info.dedicated_cpus = record.dedicated_cpus.view();
  info.cpu_exclusivity = exclusivity_of(record.dedicated_cpus.view(), record.cpu_partition);
  info.numa_nodes = record.numa_nodes.view();
  info.guaranteed_memory_bytes = record.guaranteed_memory_bytes;
  return info;
}

AdminPosture posture_of(const PostureRecord& record) {
  AdminPosture posture;
  posture.tenant = record.tenant_id.view().substr(0, 63);
  posture.as_expected = record.as_expected != 0;
  posture.facts = split_list(record.facts.view(), '\n', 256);
  posture.deviations = split_list(record.deviations.view(), '\n', 256);
  return posture;
}

VerifyProbe probe_of(const VerifyProbeRecord& record) {
  const auto named = [](const auto& names, auto number) -> std::string_view {
    const auto index = static_cast<std::size_t>(number);
    return index < names.size() ? names[index] : std::string_view("unknown");
  };
  VerifyProbe probe;
  probe.name = record.name.view();
  probe.check = named(isolation_check_names, record.check);
  probe.inside = record.inside != 0;
  probe.outcome = named(probe_outcome_names, record.outcome);
  probe.evidence = record.evidence.view();
  return probe;
}

AdminDaemon daemon_of(const DaemonRecord& record) {
  static constexpr std::array<std::string_view, 4> cgroup_modes = {"none", "v1", "hybrid", "v2"};
  AdminDaemon daemon;
  daemon.version = record.version.view();
  daemon.pid = record.pid;
  daemon.uptime_ms = record.uptime_ms;
  daemon.tenants = record.tenants;
  daemon.running = record.running;
  daemon.privileged = record.privileged != 0;
  daemon.cgroup_mode = record.cgroup_mode < cgroup_modes.size() ? cgroup_modes[record.cgroup_mode]
                                                                : std::string_view("unknown");
  daemon.cgroup_writer = record.cgroup_writer.view();
  daemon.set_aside_cpus = record.set_aside_cpus.view();
  daemon.dedicated_cpus = record.dedicated_cpus.view();
  daemon.cpu_exclusivity = exclusivity_of(record.set_aside_cpus.view(), record.cpu_partition);
  daemon.set_aside_memory_bytes = record.set_aside_memory_bytes;
  daemon.guaranteed_memory_bytes = record.guaranteed_memory_bytes;
  daemon.missing_confinement = layer_list(record.missing_layers);
  daemon.pending_removals = record.pending_removals;
  daemon.verifications = record.verifications;
  daemon.verifications_failed = record.verifications_failed;
  daemon.isolation_violations = record.isolation_violations;
  daemon.last_verification_ms = record.last_verification_ms;
  daemon.warning = record.warning.view();
  daemon.hellos = record.hellos;
  daemon.hellos_accepted = record.hellos_accepted;
  daemon.hellos_malformed = record.hellos_malformed;
  daemon.hellos_unknown_tenant = record.hellos_unknown_tenant;
  daemon.hellos_denied = record.hellos_denied;
  daemon.hellos_late = record.hellos_late;
  daemon.hellos_overload = record.hellos_overload;
  for (const LandlockBonus& bonus : landlock_bonuses) {
    if (record.landlock_abi >= bonus.abi) daemon.bonus_confinement.emplace_back(bonus.name);
  }
  return daemon;
}

}  // namespace tenantd

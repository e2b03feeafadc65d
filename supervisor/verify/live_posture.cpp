#include "supervisor/verify/live_posture.h"

#include <utility>

#include "shared/os/process.h"

namespace tenantd {

Result<LivePosture> look_at_worker(const Tenant& tenant, const Workforce& workforce,
                                   CgroupBackend& cgroups, LayerSet tolerated) {
  auto posture = read_posture(tenant.worker->pid());
  if (!posture) return tl::unexpected(posture.error());
  LivePosture live;
  live.posture = std::move(*posture);
  LaunchSpec spec;
  if (tenant.config) spec = workforce.spec_for(tenant.id, *tenant.config);
  spec.generation = tenant.generation;
  spec.host_uid = tenant.worker->uid();
  spec.host_gid = tenant.worker->uid();
  spec.supervisor_layers = tenant.worker->applied_layers().bits();
  spec.tolerated_layers = tolerated.bits();
  live.expected =
      expected_posture(spec, tenant.worker->applied_layers(), tenant.phase == Phase::running);
  const CpuSet cpus = workforce.cpus_of(tenant.worker->allotment());
  if (!cpus.empty()) live.expected["cpus_allowed"] = cpus.str();
  live.deviations = posture_deviations(live.posture, live.expected);
  if (!tenant.config) return live;
  const auto settings = cgroups.settings(CgroupName{tenant.id, tenant.generation},
                                         to_resource_limits(*tenant.config));
  for (std::string& line : compare_limits(settings, live.posture)) {
    live.deviations.push_back(std::move(line));
  }
  return live;
}

std::vector<std::string> shared_with(const Posture& posture, const Worker& worker,
                                     const Tenant& other) {
  auto lines = shared_namespaces(posture, other.worker->pid(), other.id.view());
  const CpuSet own = worker.allotment().cpus;
  if (own.empty()) return lines;
  for (std::string& line : shared_cpus(own, other.worker->pid(), other.id.view())) {
    lines.push_back(std::move(line));
  }
  return lines;
}

bool has_ended(pid_t pid) {
  const auto stat = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return true;
  // The state follows the name, which may hold parentheses.
  const std::size_t end_of_name = stat->rfind(')');
  if (end_of_name == std::string::npos || end_of_name + 2 >= stat->size()) return true;
  const char state = (*stat)[end_of_name + 2];
  return state == 'Z' || state == 'X';
}

}  // namespace tenantd

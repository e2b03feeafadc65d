#include "supervisor/verify/live_posture.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "shared/contract/network_plan.h"
#include "shared/os/process.h"

namespace tenantd {
namespace {

// Which the kernel makes in every namespace where their modules are there: nothing goes through.
constexpr std::array<std::string_view, 10> made_by_the_kernel = {
    "lo",      "sit0",    "tunl0",   "ip6tnl0",  "gre0",
    "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"};

std::string interface_of(const PhysicalConfig& config) {
  switch (config.network) {
    case NetworkKind::veth:
      return std::string(NetworkPlan::inner_name);
    case NetworkKind::interface:
      return config.interface;
    case NetworkKind::none:
      break;
  }
  return "none";
}

// Of proc(5) net/dev: two lines of heads, then a name with a colon each.
std::string read_interfaces(pid_t pid) {
  const auto text = read_small_file("/proc/" + std::to_string(pid) + "/net/dev");
  if (!text) return std::string(unreadable_fact);
  std::istringstream lines(*text);
  std::string names;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string name =
        line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' '));
    if (std::find(made_by_the_kernel.begin(), made_by_the_kernel.end(), name) !=
        made_by_the_kernel.end()) {
      continue;
    }
    names += (names.empty() ? "" : " ") + name;
  }
  return names.empty() ? "none" : names;
}

}  // namespace

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
  if (tenant.config && tenant.config->isolation_level == IsolationLevel::physical) {
    live.posture.facts["interfaces"] = read_interfaces(tenant.worker->pid());
    live.expected["interfaces"] = interface_of(tenant.config->physical);
  }
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

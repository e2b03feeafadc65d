#include "supervisor/daemon/physical_setup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "supervisor/physical/affinity.h"

namespace tenantd {

Result<PhysicalSetup> look_at_physical_host(const DaemonConfig& config) {
  auto topology = read_host_topology();
  if (!topology) return tl::unexpected(topology.error());
  const auto allowed = allowed_cpus(0);
  if (!allowed) return tl::unexpected(allowed.error());
  auto aside = check_set_aside(config.physical, *topology, *allowed);
  if (!aside) return tl::unexpected(aside.error());
  return PhysicalSetup{std::move(*topology), *aside};
}

Status leave_dedicated_cpus(const PhysicalSetup& setup) {
  if (setup.aside.shared.empty()) return {};
  return set_process_cpus(::getpid(), setup.aside.shared);
}

Result<PhysicalHost> prepare_physical_host(const PhysicalSetup& setup, const DaemonConfig& config,
                                           std::unique_ptr<CgroupBackend>& cgroups,
                                           std::vector<std::string>& notes) {
  std::string weaker;
  const mode_t usual = ::umask(066);  // no stranger opens our groups, so none can lock them
  cgroups = add_cpusets(std::move(cgroups), {setup.aside.shared, config.physical.partition}, weaker);
  (void)::umask(usual);
  const PlacementAbilities abilities = cgroups->placement_abilities();
  if (config.physical.partition && !abilities.partition) {
    return fail(ErrorCode::invalid_config, "[physical] partition = true: " + abilities.no_partition,
                "without it dedicated CPUs are exclusive among tenantd's processes");
  }
  if (!setup.aside.dedicated.empty()) {
    notes.push_back("CPUs " + setup.aside.dedicated.str() + " are set aside for platinum tenants (" +
                    (abilities.partition ? "nobody else on the host runs on a tenant's"
                                         : "no other process of tenantd runs there") +
                    "), everything else runs on " + setup.aside.shared.str());
  }
  if (!weaker.empty()) notes.push_back(weaker);
  return PhysicalHost(setup.topology, setup.aside,
                      {abilities.partition, abilities.cpuset, abilities.no_memory_guarantee});
}

}  // namespace tenantd

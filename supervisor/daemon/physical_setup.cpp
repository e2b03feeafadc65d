#include "supervisor/daemon/physical_setup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"
#include "supervisor/physical/affinity.h"

namespace tenantd {
namespace {

// CPUs that partitions of tenantd's have taken from the whole host, and so from this process too:
// survivors of an earlier supervisor run there.
CpuSet partitioned_cpus() {
  CpuSet cpus;
  const auto mounts = read_cgroup_mounts();
  if (!mounts || mounts->mode() != CgroupMode::v2) return cpus;
  for (const std::string& name : list_subdirectories(mounts->v2)) {
    if (!name.starts_with("tenantd-")) continue;
    const std::string group = mounts->v2 + "/" + name;
    const std::string state = read_small_file(group + "/cpuset.cpus.partition").value_or("");
    const auto taken = CpuSet::parse(read_small_file(group + "/cpuset.cpus").value_or(""));
    if (state == "root\n" && taken) cpus = cpus.with(*taken);
  }
  return cpus;
}

}  // namespace

Result<PhysicalSetup> look_at_physical_host(const DaemonConfig& config) {
  auto topology = read_host_topology();
  if (!topology) return tl::unexpected(topology.error());
  const auto allowed = allowed_cpus(0);
  if (!allowed) return tl::unexpected(allowed.error());
  auto aside = check_set_aside(config.physical, *topology, allowed->with(partitioned_cpus()));
  if (!aside) return tl::unexpected(aside.error());
  aside->shared = aside->shared.common(*allowed);
  if (!aside->dedicated.empty() && aside->shared.empty()) {
    return fail(ErrorCode::invalid_config,
                "[physical] cpus = \"" + aside->dedicated.str() + "\": none is left for the rest");
  }
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
  cgroups =
      add_cpusets(std::move(cgroups), {setup.aside.shared, config.physical.partition}, weaker);
  (void)::umask(usual);
  const PlacementAbilities abilities = cgroups->placement_abilities();
  if (config.physical.partition && !abilities.partition) {
    return fail(ErrorCode::invalid_config, "[physical] partition = true: " + abilities.no_partition,
                "without it dedicated CPUs are exclusive among tenantd's processes");
  }
  if (!setup.aside.dedicated.empty()) {
    notes.push_back("CPUs " + setup.aside.dedicated.str() +
                    " are set aside for platinum tenants (" +
                    (abilities.partition ? "nobody else on the host runs on a tenant's"
                                         : "no other process of tenantd runs there") +
                    "), everything else runs on " + setup.aside.shared.str());
  }
  if (!weaker.empty()) notes.push_back(weaker);
  return PhysicalHost(setup.topology, setup.aside,
                      {abilities.partition, abilities.cpuset, abilities.no_memory_guarantee});
}

}  // namespace tenantd

// The start of what is set aside for platinum tenants: looks at the host, goes off the dedicated
// CPUs, makes the control groups hold everybody else off them too.
//
// Runs in: supervisor, before it starts any process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "supervisor/config/daemon_config.h"
#include "supervisor/launch/cgroup.h"
#include "supervisor/physical/physical_host.h"

namespace tenantd {

struct PhysicalSetup {
  HostTopology topology;
  SetAside aside;
};

// What this host can give of what tenantd.toml sets aside. Errors: as of read_host_topology and
// check_set_aside.
[[nodiscard]] Result<PhysicalSetup> look_at_physical_host(const DaemonConfig& config);

// Moves this process, and so all that it will start, off the dedicated CPUs.
[[nodiscard]] Status leave_dedicated_cpus(const PhysicalSetup& setup);

// Puts what keeps placements in front of `cgroups`. `notes`: what operators should know, and what
// is weaker than asked for. Errors: unsupported when tenantd.toml asks for partitions and this host
// cannot make them.
[[nodiscard]] Result<PhysicalHost> prepare_physical_host(const PhysicalSetup& setup,
                                                         const DaemonConfig& config,
                                                         std::unique_ptr<CgroupBackend>& cgroups,
                                                         std::vector<std::string>& notes);

}  // namespace tenantd

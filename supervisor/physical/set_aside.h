// What of this host is set aside for platinum tenants: [physical] of tenantd.toml, checked against
// what there is.
//
// Runs in: the supervisor, at its start.
#pragma once

#include "supervisor/config/physical_config.h"
#include "supervisor/physical/host_topology.h"

namespace tenantd {

struct SetAside {
  CpuSet dedicated;                // that tenants may get for themselves
  CpuSet shared;                   // all others that the supervisor may use; empty: none dedicated
  std::uint64_t memory_bytes = 0;  // that may be guaranteed, all tenants together
};

// `allowed`: the CPUs that the supervisor itself may run on. Errors: invalid_config with numbers: a
// CPU that is not online or not allowed, none left for everything else, more memory than there is.
[[nodiscard]] Result<SetAside> check_set_aside(const PhysicalHostConfig& config,
                                               const HostTopology& host, const CpuSet& allowed);

}  // namespace tenantd

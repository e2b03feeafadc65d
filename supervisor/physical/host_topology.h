// What this host has: CPUs, which of them share a core and a NUMA node, and the nodes' memory.
//
// Runs in: the supervisor, once at the start. The one place that reads /sys/devices/system.
// Sources: Documentation/ABI/stable/sysfs-devices-node, Documentation/ABI/stable/sysfs-devices-
// system-cpu.
#pragma once

#include <string>
#include <vector>

#include "shared/base/cpu_set.h"

namespace tenantd {

struct NumaNode {
  std::uint32_t id = 0;
  CpuSet cpus;  // online ones
  std::uint64_t memory_bytes = 0;
};

struct HostTopology {
  CpuSet online;
  std::vector<CpuSet> cores;    // CPUs of one core (hyperthreads); every online CPU is in one
  std::vector<NumaNode> nodes;  // at least one
  std::uint64_t memory_bytes = 0;

  [[nodiscard]] const NumaNode* node(std::uint32_t id) const;
  // The nodes that `cpus` are of, as the kernel lists them: "0-1".
  [[nodiscard]] std::string nodes_of(const CpuSet& cpus) const;
  [[nodiscard]] std::string node_ids() const;
};

// `system` is /sys/devices/system but for tests. A kernel without NUMA has no nodes there: then it
// is one node, 0, with `memory_bytes` of memory. Errors: internal when the CPUs that are online
// cannot be read.
[[nodiscard]] Result<HostTopology> read_host_topology(const std::string& system,
                                                      std::uint64_t memory_bytes);
[[nodiscard]] Result<HostTopology> read_host_topology();

}  // namespace tenantd

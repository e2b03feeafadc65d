// Hosts and tenants for the tests of this folder.
#pragma once

#include <doctest/doctest.h>

#include "supervisor/physical/physical_host.h"

namespace tenantd {

// Two nodes of four cores with two CPUs each: node 0 has 0-7, node 1 has 8-15; 0 and 1 are a core.
inline HostTopology two_node_host() {
  HostTopology host;
  host.memory_bytes = 64ULL << 30U;
  for (std::uint32_t id = 0; id < 2; ++id) {
    NumaNode node{id, {}, 32ULL << 30U};
    for (std::uint32_t cpu = 8 * id; cpu < 8 * id + 8; ++cpu) {
      node.cpus.add(cpu);
      if (cpu % 2 == 0) host.cores.push_back(CpuSet::of({cpu, cpu + 1}));
    }
    host.online = host.online.with(node.cpus);
    host.nodes.push_back(node);
  }
  return host;
}

inline TenantConfig platinum(std::uint32_t cpus, std::uint64_t guaranteed_bytes = 0) {
  TenantConfig config;
  config.isolation_level = IsolationLevel::physical;
  config.physical.cpus = cpus;
  config.physical.guaranteed_memory_bytes = guaranteed_bytes;
  return config;
}

inline TenantId tenant_named(const std::string& name) { return *TenantId::parse(name); }

}  // namespace tenantd

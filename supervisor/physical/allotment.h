// What one tenant's worker has for itself.
//
// Runs in: the supervisor. A value: kept by PhysicalHost, remembered in the run record.
#pragma once

#include <cstdint>

#include "shared/base/cpu_set.h"

namespace tenantd {

struct Allotment {
  CpuSet cpus;                                // nobody else's; empty: those that all others share
  CpuSet nodes;                               // that its memory comes from; empty: any
  std::uint64_t guaranteed_memory_bytes = 0;  // 0: none
  bool partition = false;                     // the CPUs are taken from the whole host

  [[nodiscard]] bool empty() const {
    return cpus.empty() && nodes.empty() && guaranteed_memory_bytes == 0;
  }
  friend bool operator==(const Allotment&, const Allotment&) = default;
};

}  // namespace tenantd

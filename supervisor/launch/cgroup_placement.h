// Where the processes of a group run, and what of their memory is not reclaimed: cpuset and
// memory.min.
//
// Runs in: the supervisor. A value.
#pragma once

#include <cstdint>
#include <string>

#include "shared/base/cpu_set.h"

namespace tenantd {

struct GroupPlacement {
  CpuSet cpus;                         // empty: those that all others share
  CpuSet nodes;                        // that its memory comes from; empty: any
  std::uint64_t memory_min_bytes = 0;  // 0: nothing is guaranteed
  // The CPUs are taken from the whole host: a cpuset partition right below the hierarchy's root.
  bool partition = false;
};

// What the groups of one instance are made with.
struct CpusetPlan {
  CpuSet shared;  // of everything that has no CPUs of its own; empty: none are dedicated
  bool partition = false;
};

// What can be kept of a placement here.
struct PlacementAbilities {
  bool cpuset = false;
  bool partition = false;
  std::string no_partition;         // why not; empty: they can be made, or nobody asked
  std::string no_memory_guarantee;  // the same for memory_min_bytes
};

}  // namespace tenantd

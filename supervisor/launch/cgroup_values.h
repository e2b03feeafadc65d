// What a tenant's limits are in the kernel's files: pure, but for the removal of I/O limits, which
// looks at what is set.
//
// Runs in: the supervisor. Sources: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
#pragma once

#include <string>
#include <vector>

#include "shared/contract/process_contract.h"
#include "shared/contract/resource_limits.h"

namespace tenantd {

// One file to be written; a fresh list holds only what changes.
struct CgroupValue {
  std::string controller;
  std::string file;
  std::string value;
};
// In the order in which they must be written.
[[nodiscard]] std::vector<CgroupValue> v1_values(const ResourceLimits& limits, LayerSet layers);
[[nodiscard]] std::vector<CgroupValue> v2_values(const ResourceLimits& limits, LayerSet layers);

// Lifts the limits of devices that `limits` no longer names: the kernel keeps one a device until it
// is told otherwise.
void add_v1_io_removals(const std::string& directory, const ResourceLimits& limits,
                        std::vector<CgroupValue>& values);
void add_v2_io_removals(const std::string& directory, const ResourceLimits& limits,
                        std::vector<CgroupValue>& values);

// Whether a file that was given `wanted` may read `actual`: sizes are rounded down to pages, no
// limit has several spellings, and of the lines of several devices only its own counts.
[[nodiscard]] bool holds_value(const CgroupValue& wanted, const std::string& actual);

// The share of block I/O, where the kernel has a file for it: it works only on hosts that schedule
// by it (CgroupAbilities::io_weight). BFQ's scale ends at 1000.
void add_v2_io_weight(const std::string& directory, const ResourceLimits& limits,
                      std::vector<CgroupValue>& values);

}  // namespace tenantd

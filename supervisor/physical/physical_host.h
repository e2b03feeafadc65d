// Who has which of the CPUs and how much of the memory that are set aside for platinum tenants.
//
// Runs in: the supervisor. Bookkeeping only: cgroups and affinity are set by others, who are told
// what to set. Invariants: no CPU is two tenants'; what is guaranteed is at most what is set aside,
// as long as the owner does not take away what tenants have already.
#pragma once

#include <map>
#include <set>
#include <string>

#include "shared/base/tenant_id.h"
#include "supervisor/config/tenant_config.h"
#include "supervisor/physical/allotment.h"
#include "supervisor/physical/host_topology.h"
#include "supervisor/physical/set_aside.h"

namespace tenantd {

// What this host's control groups can do for a platinum tenant.
struct PhysicalAbilities {
  bool partition = false;           // CPUs are taken from the whole host
  bool cpuset = false;              // a group holds its processes to their CPUs and nodes
  std::string no_memory_guarantee;  // why not; empty: it can be given
};

class PhysicalHost {
 public:
  PhysicalHost(HostTopology host, SetAside aside, PhysicalAbilities abilities);

  // For the tenant's next worker; what it has now counts as free and is kept if it still fits.
  // Empty for a tenant that asks for nothing. Whole cores of one NUMA node are preferred. Errors:
  // unsupported with numbers, and the tenant is among refused() then.
  [[nodiscard]] Result<Allotment> allot(const TenantId& tenant, const TenantConfig& config);
  // What a survivor has. Its CPUs are not given to others, also if they are no longer set aside.
  void restore(const TenantId& tenant, const Allotment& allotment);
  // False: it had nothing.
  bool release(const TenantId& tenant);
  // Those that were refused and have not been allotted anything since; forgets them.
  [[nodiscard]] std::set<TenantId> take_refused();
  void set_memory(std::uint64_t bytes);

  // Nothing in it has been taken back by the host's owner.
  [[nodiscard]] bool still_set_aside(const Allotment& allotment) const;
  [[nodiscard]] const std::map<TenantId, Allotment>& allotted() const noexcept { return allotted_; }
  [[nodiscard]] const SetAside& set_aside() const noexcept { return aside_; }
  [[nodiscard]] const HostTopology& topology() const noexcept { return host_; }
  [[nodiscard]] const PhysicalAbilities& abilities() const noexcept { return abilities_; }
  [[nodiscard]] CpuSet used_cpus() const;
  [[nodiscard]] std::uint64_t guaranteed_bytes() const;

 private:
  [[nodiscard]] Result<CpuSet> choose_cpus(const TenantId& tenant,
                                           const PhysicalConfig& wanted) const;
  [[nodiscard]] Result<CpuSet> choose_nodes(const PhysicalConfig& wanted, const CpuSet& cpus) const;
  [[nodiscard]] Status check_memory(const TenantId& tenant, std::uint64_t wanted_bytes) const;
  [[nodiscard]] std::string holders(const TenantId& besides, bool of_memory) const;

  HostTopology host_;
  SetAside aside_;
  PhysicalAbilities abilities_;
  std::map<TenantId, Allotment> allotted_;
  std::set<TenantId> refused_;
};

// The `count` of `free` that leave the most whole cores to others: whole cores first, then CPUs of
// cores that are not wholly free. `free` has at least as many.
[[nodiscard]] CpuSet pick_cpus(const CpuSet& free, std::uint32_t count,
                               const std::vector<CpuSet>& cores);

}  // namespace tenantd

#include "supervisor/physical/physical_host.h"

#include <algorithm>
#include <utility>

#include "shared/base/units.h"

namespace tenantd {
namespace {

tl::unexpected<Error> refuse(std::string message, std::string hint = {}) {
  return fail(ErrorCode::unsupported, std::move(message), std::move(hint));
}

std::string cpus_text(std::uint32_t count) {
  return std::to_string(count) + (count == 1 ? " CPU" : " CPUs");
}

}  // namespace

CpuSet pick_cpus(const CpuSet& free, std::uint32_t count, const std::vector<CpuSet>& cores) {
  CpuSet picked;
  const auto missing = [&] { return count - picked.count(); };
  for (const CpuSet& core : cores) {
    if (free.contains(core) && core.count() <= missing()) picked = picked.with(core);
  }
  for (const CpuSet& core : cores) {
    if (free.contains(core)) continue;  // broken only if nothing else is left
    picked = picked.with(core.common(free).first(missing()));
  }
  return picked.with(free.without(picked).first(missing()));
}

PhysicalHost::PhysicalHost(HostTopology host, SetAside aside, PhysicalAbilities abilities)
    : host_(std::move(host)), aside_(std::move(aside)), abilities_(std::move(abilities)) {}

Result<Allotment> PhysicalHost::allot(const TenantId& tenant, const TenantConfig& config) {
  if (config.isolation_level != IsolationLevel::physical) {
    (void)release(tenant);
    return Allotment{};
  }
  const PhysicalConfig& wanted = config.physical;
  const auto refused = [&](const Error& error) {
    refused_.insert(tenant);
    return tl::unexpected(error);
  };
  const auto cpus = choose_cpus(tenant, wanted);
  if (!cpus) return refused(cpus.error());
  const auto nodes = choose_nodes(wanted, *cpus);
  if (!nodes) return refused(nodes.error());
  const std::uint64_t bytes =
      wanted.guaranteed_memory_bytes.value_or(config.resources.memory_max_bytes);
  if (Status enough = check_memory(tenant, bytes); !enough) return refused(enough.error());
  const Allotment allotment{*cpus, *nodes, bytes, abilities_.partition && !cpus->empty()};
  restore(tenant, allotment);
  return allotment;
}

void PhysicalHost::restore(const TenantId& tenant, const Allotment& allotment) {
  refused_.erase(tenant);
  if (allotment.empty()) {
    allotted_.erase(tenant);
  } else {
    allotted_.insert_or_assign(tenant, allotment);
  }
}

bool PhysicalHost::release(const TenantId& tenant) { return allotted_.erase(tenant) > 0; }

std::set<TenantId> PhysicalHost::take_refused() { return std::exchange(refused_, {}); }

void PhysicalHost::set_memory(std::uint64_t bytes) {
  aside_.memory_bytes = std::min(bytes, host_.memory_bytes);
}

bool PhysicalHost::still_set_aside(const Allotment& allotment) const {
  return aside_.dedicated.contains(allotment.cpus) &&
         (allotment.cpus.empty() || allotment.partition == abilities_.partition);
}

CpuSet PhysicalHost::used_cpus() const {
  CpuSet used;
  for (const auto& [tenant, allotment] : allotted_) used = used.with(allotment.cpus);
  return used;
}

std::uint64_t PhysicalHost::guaranteed_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [tenant, allotment] : allotted_) bytes += allotment.guaranteed_memory_bytes;
  return bytes;
}

// ": acme has 2-3, globex has 4"; empty: nobody else has any.
std::string PhysicalHost::holders(const TenantId& besides, bool of_memory) const {
  static constexpr int max_named = 4;
  std::string text;
  int named = 0;
  for (const auto& [tenant, allotment] : allotted_) {
    const bool has = of_memory ? allotment.guaranteed_memory_bytes != 0 : !allotment.cpus.empty();
    if (tenant == besides || !has) continue;
    if (named++ == max_named) return text + ", and others more";
    text += (text.empty() ? ": " : ", ") + tenant.str() + " has ";
    text += of_memory ? format_size(allotment.guaranteed_memory_bytes) : allotment.cpus.str();
  }
  return text;
}

Result<CpuSet> PhysicalHost::choose_cpus(const TenantId& tenant,
                                         const PhysicalConfig& wanted) const {
  const NumaNode* const node = wanted.numa_node ? host_.node(*wanted.numa_node) : nullptr;
  if (wanted.numa_node && node == nullptr) {
    return refuse("wants NUMA node " + std::to_string(*wanted.numa_node) + "; this host has " +
                      host_.node_ids(),
                  "[physical] numa_node of the tenant's file");
  }
  if (wanted.cpus == 0) return CpuSet{};
  const std::string of_node = node != nullptr ? " of NUMA node " + std::to_string(node->id) : "";
  const std::string wants = "wants " + cpus_text(wanted.cpus) + " of its own" + of_node + "; ";
  static constexpr const char* hint = "[physical] cpus of tenantd.toml and of the tenant's file";
  if (aside_.dedicated.empty()) {
    return refuse(wants + "tenantd.toml sets none aside", hint);
  }
  const CpuSet offered = node != nullptr ? aside_.dedicated.common(node->cpus) : aside_.dedicated;
  CpuSet taken;
  CpuSet own;
  for (const auto& [other, allotment] : allotted_) {
    (other == tenant ? own : taken) = (other == tenant ? own : taken).with(allotment.cpus);
  }
  const CpuSet free = offered.without(taken);
  if (free.count() < wanted.cpus) {
    std::string text = wants + std::to_string(free.count()) + " of the " +
                       std::to_string(offered.count()) + " set aside";
    text += offered.empty() ? "" : " (" + offered.str() + ")";
    text += (free.count() == 1 ? " is free" : " are free") + holders(tenant, false);
    return refuse(text, hint);
  }
  if (own.count() == wanted.cpus && free.contains(own)) return own;
  // The node that it fits into best.
  const NumaNode* best = nullptr;
  std::uint32_t least = 0;
  for (const NumaNode& one : host_.nodes) {
    const std::uint32_t there = free.common(one.cpus).count();
    if (there < wanted.cpus || (best != nullptr && there >= least)) continue;
    best = &one;
    least = there;
  }
  return pick_cpus(best != nullptr ? free.common(best->cpus) : free, wanted.cpus, host_.cores);
}

// Memory comes from the CPUs' nodes where a group can say so. A host of one node has no choice.
Result<CpuSet> PhysicalHost::choose_nodes(const PhysicalConfig& wanted, const CpuSet& cpus) const {
  if (host_.nodes.size() == 1) {
    return wanted.numa_node ? CpuSet::of({host_.nodes.front().id}) : CpuSet{};
  }
  if (wanted.numa_node && !abilities_.cpuset) {
    return refuse("wants memory of NUMA node " + std::to_string(*wanted.numa_node) +
                  "; this host's control groups cannot say which (no cpuset controller)");
  }
  if (wanted.numa_node) return CpuSet::of({*wanted.numa_node});
  if (cpus.empty() || !abilities_.cpuset) return CpuSet{};
  return CpuSet::parse(host_.nodes_of(cpus));
}

Status PhysicalHost::check_memory(const TenantId& tenant, std::uint64_t wanted_bytes) const {
  if (wanted_bytes == 0) return {};
  static constexpr const char* without = "guaranteed_memory = \"0M\" runs without";
  if (!abilities_.no_memory_guarantee.empty())
    return refuse(abilities_.no_memory_guarantee, without);
  std::uint64_t others = 0;
  for (const auto& [other, allotment] : allotted_) {
    if (other != tenant) others += allotment.guaranteed_memory_bytes;
  }
  const std::uint64_t all = aside_.memory_bytes;
  const std::uint64_t free = all - std::min(all, others);
  if (wanted_bytes <= free) return {};
  return refuse("wants " + format_size(wanted_bytes) + " of memory guaranteed; " +
                    format_size(free) + " of the " + format_size(all) +
                    " that tenantd.toml sets aside is free" + holders(tenant, true),
                std::string("[physical] memory of tenantd.toml; ") + without);
}

}  // namespace tenantd

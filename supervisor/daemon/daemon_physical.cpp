// What the daemon does so that platinum tenants have their CPUs, and have them to themselves.
#include <unistd.h>

#include <vector>

#include "supervisor/daemon/daemon.h"
#include "supervisor/physical/affinity.h"

namespace tenantd {

void Daemon::check_allotments() {
  if (stopping_ || parts_.physical.allotted().empty()) return;
  allotment_timer_.start(0, [this] { release_allotments(); });
}

// A tenant keeps what it has from one worker to the next. Not while a group is being removed: a
// partition that is still there has its CPUs.
void Daemon::release_allotments() {
  if (stopping_) return;
  if (!reaper_.idle()) {
    return allotment_timer_.start(CgroupReaper::retry_ms, [this] { release_allotments(); });
  }
  std::vector<TenantId> idle;
  for (const auto& [id, allotment] : parts_.physical.allotted()) {
    const Tenant* const tenant = tenants_.find(id);
    const bool needed =
        tenant != nullptr && (has_process(tenant->phase) || tenant->phase == Phase::queued ||
                              tenant->phase == Phase::backoff);
    if (!needed) idle.push_back(id);
  }
  for (const TenantId& id : idle) (void)parts_.physical.release(id);
  if (idle.empty()) return;
  for (const TenantId& id : parts_.physical.take_refused()) tenants_.retry_refused(id);
}

void Daemon::watch_affinity() {
  if (parts_.physical.set_aside().dedicated.empty()) return;
  affinity_timer_.start(
      affinity_period_ms, [this] { put_affinity_back(); }, affinity_period_ms);
}

// Only what runs where it must not: a set that the host's owner made smaller is his to make.
void Daemon::put_affinity_back() {
  const CpuSet& shared = parts_.physical.set_aside().shared;
  const auto keep = [this](pid_t pid, const CpuSet& wanted, std::string_view tenant) {
    const auto now = allowed_cpus(pid);
    if (!now || wanted.contains(*now) || !set_process_cpus(pid, wanted)) return;
    parts_.log.warning("could run on CPUs " + now->str() + ", is on " + wanted.str() +
                           " again: another program has changed this host's cpusets",
                       {.tenant = tenant, .pid = pid});
  };
  keep(::getpid(), shared, {});
  if (control_.pid() != 0) keep(control_.pid(), shared, {});
  for (const auto& [id, tenant] : tenants_.all()) {
    if (!tenant.worker) continue;
    keep(tenant.worker->pid(), workforce_.cpus_of(tenant.worker->allotment()), id.view());
  }
}

}  // namespace tenantd

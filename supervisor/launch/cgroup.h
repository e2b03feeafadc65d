// Kernel-enforced quotas: one cgroup a tenant, one child a generation of its worker.
//
//   <root>/tenants/<id>        carries the limits, so that they hold over generations
//   <root>/tenants/<id>/g<N>   carries the processes; the CPU's scheduler has them in the group
//   above <root>/control/g<N>        the control process
//   <root>/probes/<id>/g<N>          an isolation probe of a tenant: limits like the tenant's, but
//   not
//                                    its group, which must not run out of memory for a probe
//
// Runs in: the supervisor. Nothing here blocks on a peer; a write into a v1 cgroup.procs takes
// milliseconds. libcgroup creates and sets values where it can; what libcgroup 2.0.2 cannot do
// (a delegated user's subtree; ancestors that lack a controller; moving a whole process; removal)
// is a plain write, see cgroup_writer.h. Sources: cgroups(7), Documentation/admin-guide/cgroup-v1
// and cgroup-v2.rst.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/process_contract.h"
#include "shared/contract/resource_limits.h"
#include "shared/os/fd.h"
#include "supervisor/launch/cgroup_placement.h"

namespace tenantd {

enum class CgroupMode : std::uint32_t { none = 0, v1 = 1, hybrid = 2, v2 = 3 };

struct CgroupName {
  std::optional<TenantId> tenant;  // none: the control process
  std::uint64_t generation = 0;
  bool probe = false;  // of the tenant's isolation probe, in a group beside the tenant's own
};

struct CgroupUsage {
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t memory_max_bytes = 0;  // 0: no limit
  std::uint64_t cpu_us = 0;
  std::uint64_t throttled_us = 0;
  std::uint64_t throttled_periods = 0;  // in which the quota was used up
  std::uint64_t periods = 0;            // in which it ran at all
  std::uint64_t oom_kills = 0;
  std::uint64_t memory_high_events = 0;  // times it was slowed by memory.high; v2
  std::uint64_t pids = 0;
  bool has_memory = false;
  // Hundredths of a percent of the last ten seconds in which some task waited; v2 with PSI.
  std::optional<std::uint32_t> memory_pressure;
  std::optional<std::uint32_t> cpu_pressure;
};

// What differs between hosts beyond the layers.
struct CgroupAbilities {
  std::string written_by;    // "libcgroup", "direct writes: <why>"; empty without cgroups
  bool memory_high = false;  // memory_high_bytes is enforced
  bool io_weight = false;    // io_weight is: the host has io.cost or the BFQ scheduler in use
};

// One limit of a tenant's group.
struct CgroupSetting {
  std::string file;
  std::string expected;
  std::string actual;
  bool holds = false;
};

inline constexpr const char* no_cgroup_placement =
    "this host has no control groups that could guarantee anything";

class CgroupBackend {
 public:
  CgroupBackend() = default;
  CgroupBackend(const CgroupBackend&) = delete;
  CgroupBackend& operator=(const CgroupBackend&) = delete;
  virtual ~CgroupBackend() = default;

  [[nodiscard]] virtual CgroupMode mode() const = 0;
  // cgroup_cpu, cgroup_memory, cgroup_pids, cgroup_io: those that really limit here.
  [[nodiscard]] virtual LayerSet layers() const = 0;
  [[nodiscard]] virtual CgroupAbilities abilities() const = 0;
  // What of a placement is kept; the default is for hosts without any of it.
  [[nodiscard]] virtual PlacementAbilities placement_abilities() const {
    return {false, false, no_cgroup_placement, no_cgroup_placement};
  }
  // Makes a place for the generation before create(): which CPUs and nodes its groups have, what
  // of their memory is guaranteed. What it writes it reads back. On failure the caller removes the
  // generation. Errors: unsupported with the kernel's reason.
  [[nodiscard]] virtual Status place(const CgroupName& /*name*/, const GroupPlacement& placement) {
    if (placement.memory_min_bytes == 0 && !placement.partition) return {};
    return fail(ErrorCode::unsupported, no_cgroup_placement);
  }
  // Creates the tenant's group with its limits set, then the generation's. On failure nothing new
  // is left.
  [[nodiscard]] virtual Status create(const CgroupName& name, const ResourceLimits& limits) = 0;
  // Puts a whole process, all its threads, into its group, in every hierarchy.
  [[nodiscard]] virtual Status attach(const CgroupName& name, pid_t pid) = 0;
  // What a process enters its group by: it writes "0" to each, while it has one thread only. Unlike
  // attach() that takes no lock of the whole system (cgroup_threadgroup_rwsem), which costs some
  // ten milliseconds. The CPU's comes last: in it, it may have to wait for its quota. v1 only; v2
  // has directory().
  [[nodiscard]] virtual Result<std::vector<UniqueFd>> entrances(const CgroupName& name) = 0;
  // For CLONE_INTO_CGROUP; v2 only. Errors: unsupported on v1.
  [[nodiscard]] virtual Result<UniqueFd> directory(const CgroupName& name) = 0;
  // Changes the limits of a live tenant. Errors: resource_exhausted when its memory is above the
  // new maximum and cannot be reclaimed: nothing has changed then. May take the milliseconds of the
  // reclaim.
  [[nodiscard]] virtual Status apply(const CgroupName& name, const ResourceLimits& limits) = 0;
  // Of the tenant: all its generations together, ended ones included.
  [[nodiscard]] virtual Result<CgroupUsage> usage(const CgroupName& name) = 0;
  // What create() and apply() set for these limits, and what the kernel has now.
  [[nodiscard]] virtual std::vector<CgroupSetting> settings(const CgroupName& name,
                                                            const ResourceLimits& limits) = 0;
  // SIGKILL to every process of the generation. Returns before they are gone.
  [[nodiscard]] virtual Status kill(const CgroupName& name) = 0;
  // Removes the generation's empty group, and the tenant's with its last one. Errors: unavailable
  // while a process is left (never moves one out: it would escape its limits). A missing group is a
  // success.
  [[nodiscard]] virtual Status remove(const CgroupName& name) = 0;
  // Every generation that exists, for adoption and cleaning up.
  [[nodiscard]] virtual Result<std::vector<CgroupName>> list() = 0;
  // Processes of the generation.
  [[nodiscard]] virtual Result<std::vector<pid_t>> processes(const CgroupName& name) = 0;
  // Where all groups are, in one hierarchy: what an instance locks. Empty without cgroups.
  [[nodiscard]] virtual std::string root_directory() const = 0;
  // Removes the empty root groups. Ignores what is in use.
  virtual void remove_root() = 0;
};

// Looks at what is mounted and writable, prepares the root. Never null: a host without usable
// cgroups gets a backend with mode none that provides no layer and refuses create(). `explanation`
// says why a controller or the whole is not usable, empty when all is well. `root`: a relative path
// below the mount points; on v2 it names a subtree that was delegated to us. Empty: "tenantd" on
// v1; on v2 our own cgroup, whose processes move into a leaf first.
[[nodiscard]] std::unique_ptr<CgroupBackend> make_cgroup_backend(const std::string& root,
                                                                 std::string& explanation);

// The same with dedicated CPUs: groups hold their processes to the CPUs and nodes they are placed
// on, where the host has the cpuset controller; `plan` without shared CPUs changes nothing but what
// place() can do with memory. `explanation`: what is weaker than asked for.
[[nodiscard]] std::unique_ptr<CgroupBackend> add_cpusets(std::unique_ptr<CgroupBackend> backend,
                                                         const CpusetPlan& plan,
                                                         std::string& explanation);

// "cgroups: v2 (libcgroup)", for the log.
[[nodiscard]] std::string describe_cgroups(const CgroupBackend& backend);

}  // namespace tenantd

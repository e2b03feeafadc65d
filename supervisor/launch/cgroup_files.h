// The cgroup file system: where its hierarchies are, and the plain reads and writes on it.
//
// Runs in: the supervisor. Sources: cgroups(7), proc_pid_mountinfo(5).
#pragma once

#include <map>
#include <optional>

#include "supervisor/launch/cgroup.h"
#include "supervisor/launch/cgroup_values.h"

namespace tenantd {

struct CgroupMounts {
  std::map<std::string, std::string> v1;  // controller → mount point
  std::string cpuset;                     // v1's, mount point; empty: none
  std::string v2;                         // mount point; empty: none
  std::string v2_controllers;             // of its root
  [[nodiscard]] CgroupMode mode() const;
};

[[nodiscard]] Result<CgroupMounts> read_cgroup_mounts();

struct ControllerLayer {
  const char* controller;
  Layer layer;
};

[[nodiscard]] std::vector<std::string> list_subdirectories(const std::string& directory);
// mkdir(2); an existing directory is a success.
[[nodiscard]] Status make_group_directory(const std::string& directory);

// "tenants/<id>/g<N>", "probes/<id>/g<N>", "control/g<N>", and the same without the last component.
[[nodiscard]] std::string generation_path(const CgroupName& name);
[[nodiscard]] std::string tenant_path(const CgroupName& name);

// The number after `key` in a "key value" file, or the whole file with an empty key; 0 when there
// is none.
[[nodiscard]] std::uint64_t read_cgroup_number(const std::string& path, std::string_view key = {});
// The share of the last ten seconds in which some task waited, in hundredths of a percent, from a
// *.pressure file (PSI); none where the kernel does not keep it.
[[nodiscard]] std::optional<std::uint32_t> read_cgroup_pressure(const std::string& path);
[[nodiscard]] bool has_word(const std::string& text, const std::string& word);
// What a file below `directory` has of what was written to it.
[[nodiscard]] CgroupSetting read_setting(const std::string& directory, const CgroupValue& wanted);
[[nodiscard]] Result<std::vector<pid_t>> read_cgroup_processes(const std::string& directory);
// Generations below <root directory>.
[[nodiscard]] std::vector<CgroupName> list_generations(const std::string& root_directory);
// rmdir(2); a missing group is a success. Errors: unavailable while a process or a child group is
// left.
[[nodiscard]] Status remove_group(const std::string& directory);
// The group and all below it that hold no process; the others stay. A supervisor that was killed
// while it made a group leaves it in some of the hierarchies only.
void remove_empty_groups(const std::string& directory);
// No such directory, or one without children.
[[nodiscard]] bool has_no_children(const std::string& directory);

// The refusal to lower a tenant's memory below what it uses.
[[nodiscard]] Status fail_memory_in_use(std::uint64_t wanted_bytes, std::uint64_t used_bytes);

[[nodiscard]] std::unique_ptr<CgroupBackend> make_cgroup_v1(CgroupMounts mounts, std::string root,
                                                            std::string& explanation);
[[nodiscard]] std::unique_ptr<CgroupBackend> make_cgroup_v2(CgroupMounts mounts, std::string root,
                                                            std::string& explanation);

// Backends that keep placements; see add_cpusets. `root`: of `inner`, relative to the mounts.
[[nodiscard]] std::unique_ptr<CgroupBackend> add_cpusets_v1(std::unique_ptr<CgroupBackend> inner,
                                                            const std::string& cpuset_mount,
                                                            const std::string& root,
                                                            const CpusetPlan& plan,
                                                            std::string& explanation);
[[nodiscard]] std::unique_ptr<CgroupBackend> add_cpusets_v2(std::unique_ptr<CgroupBackend> inner,
                                                            const std::string& mount,
                                                            const CpusetPlan& plan,
                                                            std::string& explanation);

}  // namespace tenantd

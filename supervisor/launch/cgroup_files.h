// The cgroup file system: where its hierarchies are, and the plain reads and writes on it.
//
// Runs in: the supervisor. Sources: cgroups(7), proc_pid_mountinfo(5).
#pragma once

#include <map>

#include "supervisor/launch/cgroup.h"

namespace tenantd {

struct CgroupMounts {
  std::map<std::string, std::string> v1;  // controller → mount point
  std::string v2;                         // mount point; empty: none
  std::string v2_controllers;             // of its root
  [[nodiscard]] CgroupMode mode() const;
};

[[nodiscard]] Result<CgroupMounts> read_cgroup_mounts();

// "tenants/<id>/g<N>", "control/g<N>", and the same without the last component.
[[nodiscard]] std::string generation_path(const CgroupName& name);
[[nodiscard]] std::string tenant_path(const CgroupName& name);

// One file to be written; a fresh list holds only what changes.
struct CgroupValue {
  std::string controller;
  std::string file;
  std::string value;
};
// In the order in which they must be written.
[[nodiscard]] std::vector<CgroupValue> v1_values(const ResourceLimits& limits, LayerSet layers);
[[nodiscard]] std::vector<CgroupValue> v2_values(const ResourceLimits& limits, LayerSet layers);

// The number after `key` in a "key value" file, or the whole file with an empty key; 0 when there
// is none.
[[nodiscard]] std::uint64_t read_cgroup_number(const std::string& path, std::string_view key = {});
[[nodiscard]] Result<std::vector<pid_t>> read_cgroup_processes(const std::string& directory);
// Generations below <root directory>.
[[nodiscard]] std::vector<CgroupName> list_generations(const std::string& root_directory);
// rmdir(2); a missing group is a success. Errors: unavailable while a process or a child group is
// left.
[[nodiscard]] Status remove_group(const std::string& directory);
// No such directory, or one without children.
[[nodiscard]] bool has_no_children(const std::string& directory);

[[nodiscard]] std::unique_ptr<CgroupBackend> make_cgroup_v1(CgroupMounts mounts, std::string root,
                                                            std::string& explanation);
[[nodiscard]] std::unique_ptr<CgroupBackend> make_cgroup_v2(CgroupMounts mounts, std::string root,
                                                            std::string& explanation);

}  // namespace tenantd

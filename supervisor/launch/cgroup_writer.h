// How groups are made and their values written: through libcgroup, or by plain writes.
//
// Runs in: the supervisor. Only ever writes what it is told: a fresh list of values, never one that
// was read before. Paths are relative to the mount points and made of checked names. Removal is in
// neither: libcgroup's moves live tasks to the parent (v1), where they escape the limit, and
// reports ENOENT for a group with three controllers that it did remove (v2); rmdir(2) does neither.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "supervisor/launch/cgroup_files.h"

namespace tenantd {

class CgroupWriter {
 public:
  CgroupWriter() = default;
  CgroupWriter(const CgroupWriter&) = delete;
  CgroupWriter& operator=(const CgroupWriter&) = delete;
  virtual ~CgroupWriter() = default;

  // The group in every hierarchy, then its values. An existing group is a success. May leave
  // directories behind when it fails: the caller removes what it made.
  [[nodiscard]] virtual Status make_group(const std::string& path,
                                          const std::vector<CgroupValue>& values) = 0;
  // In their order. Errors: resource_exhausted for EBUSY (v1: memory below what is used).
  [[nodiscard]] virtual Status write_values(const std::string& path,
                                            const std::vector<CgroupValue>& values) = 0;
  // What is shown to operators: "libcgroup", "direct writes: <why>".
  [[nodiscard]] virtual std::string name() const = 0;
};

// `controllers`: those that the groups are made with. libcgroup must have been initialised.
[[nodiscard]] std::unique_ptr<CgroupWriter> make_libcgroup_writer(
    std::vector<std::string> controllers);
// v2 only; `mount`: its mount point; `why`: it is not libcgroup.
[[nodiscard]] std::unique_ptr<CgroupWriter> make_direct_writer(std::string mount, std::string why);

// Whether libcgroup can be used for groups below `root` (v2): it writes "+controller" into the
// subtree_control of every ancestor. That changes nothing only where all of them have the
// controllers already. Empty: it can; else why not.
[[nodiscard]] std::string libcgroup_obstacle(const std::string& mount, const std::string& root,
                                             const std::vector<std::string>& controllers);

}  // namespace tenantd

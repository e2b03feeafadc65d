// The descriptors that a child will hold, opened and placed.
//
// Runs in: the supervisor; place_descriptors_in_child in the child between clone and exec.
#pragma once

#include <array>

#include "supervisor/launch/launcher.h"

namespace tenantd {

struct LaunchFiles {
  UniqueFd null;
  UniqueFd log_read;
  UniqueFd log_write;
  UniqueFd link_parent;
  UniqueFd link_child;
  UniqueFd spec;
  UniqueFd program;
  UniqueFd jail;
  UniqueFd barrier_read;
  UniqueFd barrier_write;
  UniqueFd entered_read;  // the child says that it is in its control groups
  UniqueFd entered_write;
  std::vector<UniqueFd> entrances;  // CgroupBackend::entrances
  std::array<UniqueFd, LaunchSpec::max_mounts> mounts;
  std::size_t mount_count = 0;  // used part of `mounts`
};

// Fills request.spec.mounts from the paths and opens everything. Errors: as Launcher::launch.
[[nodiscard]] Result<LaunchFiles> open_launch_files(LaunchRequest& request,
                                                    const HostCapabilities& host);

// Puts every descriptor at the contract's number, the jail's at `jail_at`, closes all others.
// Async-signal-safe. False with errno on failure.
[[nodiscard]] bool place_descriptors_in_child(const LaunchFiles& files, int& jail_at) noexcept;

}  // namespace tenantd

// Starts confined programs.
//
// Runs in: the supervisor, which is single-threaded (the child is a copy of it until its exec).
// Everything is prepared before the child exists; the child waits at a barrier until its identity,
// its quotas and the caller's record of it are in place. If the supervisor dies before that, the
// barrier's end of file ends the child.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/contract/launch_spec.h"
#include "shared/contract/resource_limits.h"
#include "shared/os/fd.h"
#include "supervisor/launch/cgroup.h"
#include "supervisor/launch/host.h"
#include "supervisor/launch/network_helper.h"

namespace tenantd {

struct LaunchRequest {
  LaunchSpec spec;  // mounts, layers, generation and ids are filled in by the launcher
  std::string program_path;
  std::string jail_path;
  std::string data_directory;              // on the host; becomes /data
  std::string link_directory;              // on the host; becomes /link, read-only
  std::string encoder_directory;           // on the host; becomes /encoders, read-only; empty: none
  std::vector<std::string> library_paths;  // same places inside; for programs that are not static
  uid_t uid = 0;                           // the tenant's; ignored when unprivileged
  gid_t gid = 0;
  LayerSet tolerated;  // may be missing, from tenantd.toml
  CgroupName cgroup;   // its generation is the program's
  ResourceLimits limits;
  bool use_cgroup = true;
  GroupPlacement placement;  // its CPUs are those that every thread of the program may run on
  std::uint64_t scratch_bytes = 16UL << 20U;  // of /tmp; counts as the tenant's memory
  // Made by tenantd-network, which then releases the child in the supervisor's place.
  std::optional<NetworkPlan> network;
  std::string network_program_path;
  // Called with the child waiting at its barrier: persist what lets the next supervisor know it
  // again. A failure ends the child.
  std::function<Status(pid_t)> before_release;
};

struct LaunchedProcess {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd link;      // SEQPACKET; the first message is the jail's ConfinementReport
  UniqueFd log;       // read end, non-blocking
  LayerSet provided;  // by the supervisor and, as expected, by the jail; the report is the truth
  LayerSet missing;
  NetworkHelper network;  // still at work; empty without a network
};

class Launcher {
 public:
  // `cgroups` must outlive the launcher; null only with requests that do not use cgroups.
  Launcher(HostCapabilities host, CgroupBackend* cgroups);

  // Returns once the child is released or tenantd-network is to release it, before it is confined:
  // the outcome comes as the first message on `link` (ConfinementReport; then the program's own).
  // On an error nothing is left: no process, no cgroup. Errors: layer_missing, not_found (a path),
  // invalid_argument, unsupported (a network that this host cannot give), before_release's,
  // internal with errno.
  [[nodiscard]] Result<LaunchedProcess> launch(LaunchRequest& request);

  [[nodiscard]] const HostCapabilities& host() const noexcept { return host_; }

 private:
  HostCapabilities host_;
  CgroupBackend* cgroups_;
};

}  // namespace tenantd

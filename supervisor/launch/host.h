// What this host lets us use for confinement, found out by trying.
//
// Runs in: the supervisor, once at start. Each namespace is tried in a throw-away child: what
// configuration files, security modules or a container's filter say is only known that way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/contract/process_contract.h"
#include "supervisor/launch/cgroup.h"

namespace tenantd {

struct HostCapabilities {
  bool privileged = false;            // may give every tenant a uid of its own
  bool network_admin = false;         // may give a tenant an interface
  bool detached_mounts = false;       // may open mounts for a child that cannot reach their paths
  std::uint64_t namespace_flags = 0;  // for clone3: the namespaces that work together here
  int landlock_abi = 0;
  CgroupMode cgroup_mode = CgroupMode::none;
  LayerSet available;
  std::vector<std::string> explanations;  // one line a missing layer: "name: why"
};

// `cgroups` may be null: then the cgroup layers are missing. `cgroup_explanation` is
// make_cgroup_backend's. Blocks for some milliseconds (a few throw-away children).
[[nodiscard]] HostCapabilities probe_host(const CgroupBackend* cgroups,
                                          const std::string& cgroup_explanation = {});

// Names in the order of their bits, comma-separated: what --tolerate-missing takes.
[[nodiscard]] std::string layer_list(LayerSet layers);

// One line a layer: its name, "yes" or why not, what it needs and since which kernel; then what
// this kernel gives beyond.
[[nodiscard]] std::string describe_host(const HostCapabilities& host);

// The layers that a launch with these limits cannot do without unless tolerated.
[[nodiscard]] LayerSet required_layers(const ResourceLimits& limits, bool use_cgroup);

// Errors: layer_missing naming each layer, why, and the flag with which to go on.
[[nodiscard]] Status check_layers(const HostCapabilities& host, LayerSet required,
                                  LayerSet tolerated);

// The supervisor's groups are no tenant's: call once at start when privileged. Errors: internal
// with errno.
[[nodiscard]] Status drop_supplementary_groups();

}  // namespace tenantd

// The program's root: a small tmpfs that holds nothing but its mounts, read-only once complete.
//
// Runs in: the jail, inside its own mount namespace, with the capabilities of its user namespace.
// Sources: pivot_root(2), open_tree(2), mount_setattr(2), Documentation/filesystems/mount_api.rst.
#pragma once

#include "shared/base/error.h"
#include "shared/contract/launch_spec.h"

namespace tenantd {

// Builds the root from spec.mounts, moves into it and detaches the host's. Afterwards no path of
// the host can be reached. Takes detached mounts from first_mount_fd on. Errors: internal with
// errno and the step.
[[nodiscard]] Status enter_root_in_child(const LaunchSpec& spec);

}  // namespace tenantd

// The run and state directories of one instance, and the lock that makes it the only one.
//
// Runs in: supervisor, at start. Refuses what another user could have prepared.
#pragma once

#include <string>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

// Creates <run>, <run>/link, <run>/workers and <state>, <state>/tenants where they are missing.
// Errors: permission_denied (a symlink, no directory, another owner, writable by others), internal
// with errno.
[[nodiscard]] Status prepare_directories(const std::string& run_dir, const std::string& state_dir);

// flock(2) on the directory itself, held as long as the descriptor is: no file is left behind, and
// a cgroup's directory can be locked too. Takes the right to read a directory of our own from
// everybody else: an flock needs no more than an open one. Errors: already_exists (another
// supervisor uses it).
[[nodiscard]] Result<UniqueFd> lock_directory(const std::string& directory);

}  // namespace tenantd

// The second stage of confinement, which a confined program applies to itself once it is
// initialised.
//
// Runs in: worker and control, after their last start-up call and before they read a byte from a
// peer. The jail's filter cannot forbid execveat (it needs it for its own exec) and exec resets
// dumpable: both are therefore the program's own to take away.
#pragma once

#include "shared/base/error.h"

namespace tenantd {

// Makes the process non-dumpable (no core, no ptrace by its own uid, /proc/self owned by root),
// then installs a filter over the jail's one that kills on execve, execveat, further filters,
// executable mappings and every other call that only start-up needs. Without `allow_threads` it
// kills on clone as well. Irreversible; a second call would be killed. Errors: internal with errno.
[[nodiscard]] Status lock_down_self(bool allow_threads);

}  // namespace tenantd

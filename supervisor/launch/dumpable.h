// Whether a process may be dumped and traced by its own user: nothing in proc(5) says so.
//
// Runs in: the supervisor.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace tenantd {

enum class Dumpable : std::uint8_t { yes, no, unknown };

// A throw-away child enters the user namespace of `pid`, takes its uid and gid, drops every
// capability and tries to look at it; what decides then is PR_SET_DUMPABLE alone (ptrace(2),
// "Ptrace access mode checking"). Blocks until the child has ended: a few system calls. `unknown`:
// the child could not become that user, or the process has gone.
[[nodiscard]] Dumpable look_as(pid_t pid);

}  // namespace tenantd

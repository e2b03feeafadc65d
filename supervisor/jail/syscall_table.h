// The system calls of a confined program: one table with a reason each.
//
// Runs in: the jail, which turns it into the first-stage filter; tests. What is in no list kills
// the process. The second stage (shared/os/lockdown.h) takes away what only start-up needs.
#pragma once

#include <span>

#include "shared/os/seccomp_filter.h"

namespace tenantd {

// At most this many calls may ever be allowed: a longer table is a design decision, not a patch.
inline constexpr std::size_t max_allowed_syscalls = 60;

// Allowed for a program that is linked statically: nothing may be mapped executable.
[[nodiscard]] std::span<const SyscallRule> allowed_syscalls();
// The same with `mmap` widened to executable but not writable pages, for a program with libraries.
[[nodiscard]] std::span<const SyscallRule> allowed_syscalls_with_libraries();
// Those of a program that may talk to the internet: TCP and UDP sockets that begin a conversation,
// never raw ones, and none that waits for somebody else to begin.
[[nodiscard]] std::span<const SyscallRule> allowed_syscalls_with_internet(bool libraries);
[[nodiscard]] std::span<const RefusedSyscall> refused_syscalls();

}  // namespace tenantd

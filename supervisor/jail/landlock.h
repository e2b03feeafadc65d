// Landlock: which files the program may touch, whatever its mount namespace and uid would allow.
//
// Runs in: the jail. Sources: landlock(7), Documentation/userspace-api/landlock.rst.
#pragma once

#include "shared/base/error.h"
#include "shared/contract/launch_spec.h"

namespace tenantd {

// Debian 12's kernel 6.1 has ABI 2. Newer ones add: 3 truncate, 4 TCP, 5 device ioctl, 6 scopes.
inline constexpr int minimum_landlock_abi = 2;

// The kernel's ABI; 0 when Landlock is absent or switched off.
[[nodiscard]] int landlock_abi() noexcept;

// Restricts the calling thread to what `spec` mounts: data and scratch read-write but never
// executable, libraries and the program at program_fd read and execute, nothing else; no TCP but to
// the ports of `spec` (ABI 4), no abstract sockets or signals beyond itself (ABI 6). Needs
// no_new_privs. Errors: layer_missing (too old an ABI), internal with errno.
[[nodiscard]] Status restrict_with_landlock(const LaunchSpec& spec);

}  // namespace tenantd

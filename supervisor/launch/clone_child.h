// clone3 with namespaces and a pidfd, with clone(2) where a container's filter hides clone3.
//
// Runs in: the supervisor. The child is a copy of a single-threaded process: until its exec it may
// only make async-signal-safe calls. Sources: clone(2), signal-safety(7).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

struct ClonedProcess {
  pid_t pid = 0;  // 0 in the child
  UniqueFd pidfd;
};

// Returns twice, like fork(2). `cgroup_directory` ≥ 0: a v2 group that the child starts in. Never
// runs atfork handlers. Errors: internal with errno.
[[nodiscard]] Result<ClonedProcess> clone_child(std::uint64_t namespace_flags,
                                                int cgroup_directory = -1);

// Waits for a child that is known to be ending and reaps it; its wait status.
[[nodiscard]] int reap_child(pid_t pid) noexcept;

// Inside id 0 becomes `uid`/`gid` outside; groups cannot be set. Call in the parent before the
// child goes on. Errors: internal with errno (EPERM: the host forbids it).
[[nodiscard]] Status write_id_maps_from_parent(pid_t child, uid_t uid, gid_t gid);

}  // namespace tenantd

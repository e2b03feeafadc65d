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

// Above every number that a child's descriptors are moved to: out of the way first, then into
// place.
inline constexpr int safe_number = 64;

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

// The scheduler gives `pid`, and what it starts, its share of the CPU in pieces of 0.1 ms, the
// shortest there are. The share stays what it is, but a worker that a client wakes runs at once,
// also while others wait for the CPU: with usual slices it would run when the client sleeps, after
// two more system calls and switches. Since Linux 6.12 (EEVDF's slices, sched_setattr(2)); a kernel
// that knows none leaves things as they are, and so does a refusal.
void ask_for_short_slices(pid_t pid) noexcept;

// Inside id 0 becomes `uid`/`gid` outside; groups cannot be set. Call in the parent before the
// child goes on. Errors: internal with errno (EPERM: the host forbids it).
[[nodiscard]] Status write_id_maps_from_parent(pid_t child, uid_t uid, gid_t gid);

}  // namespace tenantd

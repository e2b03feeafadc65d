// On which CPUs a process may run: sched_setaffinity(2), for all of its threads.
//
// Runs in: the supervisor. A worker cannot change what is set here: its filter has no such call.
#pragma once

#include <sys/types.h>

#include "shared/base/cpu_set.h"

namespace tenantd {

// Of the process's main thread; 0: our own. Errors: not_found when it has gone.
[[nodiscard]] Result<CpuSet> allowed_cpus(pid_t pid);

// One thread's, which its later threads and children inherit; 0: our own. Read back: the kernel
// cuts the set to what the thread's cpuset allows. Errors: unsupported naming both sets, not_found,
// internal with errno.
[[nodiscard]] Status set_thread_cpus(pid_t thread, const CpuSet& cpus);

// Every thread of a process, and those that it starts meanwhile (bounded rounds). Errors: as above.
[[nodiscard]] Status set_process_cpus(pid_t pid, const CpuSet& cpus);

}  // namespace tenantd

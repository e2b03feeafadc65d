// Processes by descriptor, and small files of /proc and /sys.
//
// Runs in: supervisor and tests. Sources: pidfd_open(2), pidfd_send_signal(2), proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

// A CLOEXEC descriptor that becomes readable when the process has died. Errors: not_found.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t pid);
// Errors: not_found when the process has gone.
[[nodiscard]] Status signal_pidfd(int pidfd, int signal);
// Field 22 of /proc/<pid>/stat, in clock ticks since boot: with the pid, it names one process for
// good.
[[nodiscard]] Result<std::uint64_t> process_start_ticks(pid_t pid);
// The whole of a small file (≤ 64 KiB), as proc and sysfs have them.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path);
// Names right below a directory but for "." and "..", in no order; none if it is not there.
[[nodiscard]] std::vector<std::string> names_in(const std::string& directory);
// Writes to an existing file with one write(2), as cgroup and proc files demand.
[[nodiscard]] Status write_existing_file(const std::string& path, std::string_view text);
// Replaces `path` with `text` by writing "<path>.tmp" with `mode`, fsync only if `durable`, and
// rename.
[[nodiscard]] Status write_file_atomically(const std::string& path, std::string_view text,
                                           mode_t mode, bool durable);

}  // namespace tenantd

#include "supervisor/launch/clone_child.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "shared/os/process.h"

namespace tenantd {

Result<ClonedProcess> clone_child(std::uint64_t namespace_flags, int cgroup_directory) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = namespace_flags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (cgroup_directory >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_directory);
  }
  long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0 && errno == ENOSYS && cgroup_directory < 0) {
    pid =
        ::syscall(SYS_clone, namespace_flags | CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, 0);
  }
  if (pid < 0) return fail_errno("clone", errno);
  ClonedProcess process;
  process.pid = static_cast<pid_t>(pid);
  if (pid != 0) process.pidfd.reset(pidfd);
  return process;
}

int reap_child(pid_t pid) noexcept {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Status write_id_maps_from_parent(pid_t child, uid_t uid, gid_t gid) {
  const std::string base = "/proc/" + std::to_string(child);
  if (auto done = write_existing_file(base + "/setgroups", "deny"); !done) return done;
  auto done = write_existing_file(base + "/uid_map", "0 " + std::to_string(uid) + " 1");
  if (!done) return done;
  return write_existing_file(base + "/gid_map", "0 " + std::to_string(gid) + " 1");
}

}  // namespace tenantd

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
namespace {

// sched_setattr(2); the kernel's header for it does not go together with <sched.h>.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;  // of a policy without deadlines: the slice
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);  // SCHED_ATTR_SIZE_VER0

constexpr std::uint64_t slice_ns = 100'000;

}  // namespace

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

void ask_for_short_slices(pid_t pid) noexcept {
  SchedulingAttributes attributes;
  if (::syscall(SYS_sched_getattr, pid, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = slice_ns;
  (void)::syscall(SYS_sched_setattr, pid, &attributes, 0);
}

Status write_id_maps_from_parent(pid_t child, uid_t uid, gid_t gid) {
  const std::string base = "/proc/" + std::to_string(child);
  if (auto done = write_existing_file(base + "/setgroups", "deny"); !done) return done;
  auto done = write_existing_file(base + "/uid_map", "0 " + std::to_string(uid) + " 1");
  if (!done) return done;
  return write_existing_file(base + "/gid_map", "0 " + std::to_string(gid) + " 1");
}

}  // namespace tenantd

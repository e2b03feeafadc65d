// New namespaces by each call that makes them, and another tenant's by setns.
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int reaped(long pid) {
  if (pid < 0) return errno;
  int status = 0;
  (void)waitpid(static_cast<pid_t>(pid), &status, 0);
  return 0;
}

template <unsigned long flag>
int by_unshare(const Surroundings&) {
  return outcome(syscall(SYS_unshare, flag));
}
template <unsigned long flag>
int by_clone(const Surroundings&) {
  const long pid = syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) _exit(0);
  return reaped(pid);
}
template <unsigned long flag>
int by_clone3(const Surroundings&) {
  clone_args arguments{};
  arguments.flags = flag;
  arguments.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  return reaped(pid);
}
template <unsigned long flag>
int by_setns(const Surroundings& around) {
  const long fd = syscall(SYS_pidfd_open, around.neighbour, 0);
  if (fd < 0) return errno;
  return outcome(syscall(SYS_setns, fd, flag));
}
int by_fork(const Surroundings& around) { return by_clone<0>(around); }
int by_vfork(const Surroundings&) {
  const pid_t pid = vfork();
  if (pid == 0) _exit(0);
  return reaped(pid);
}

}  // namespace

const Attempt attempts[] = {{"unshare_user", by_unshare<CLONE_NEWUSER>},
                            {"unshare_mount", by_unshare<CLONE_NEWNS>},
                            {"unshare_pid", by_unshare<CLONE_NEWPID>},
                            {"unshare_network", by_unshare<CLONE_NEWNET>},
                            {"unshare_ipc", by_unshare<CLONE_NEWIPC>},
                            {"unshare_uts", by_unshare<CLONE_NEWUTS>},
                            {"unshare_cgroup", by_unshare<CLONE_NEWCGROUP>},
                            {"unshare_time", by_unshare<CLONE_NEWTIME>},
                            {"clone_user", by_clone<CLONE_NEWUSER>},
                            {"clone_mount", by_clone<CLONE_NEWNS>},
                            {"clone_pid", by_clone<CLONE_NEWPID>},
                            {"clone_network", by_clone<CLONE_NEWNET>},
                            {"clone_ipc", by_clone<CLONE_NEWIPC>},
                            {"clone_uts", by_clone<CLONE_NEWUTS>},
                            {"clone_cgroup", by_clone<CLONE_NEWCGROUP>},
                            {"clone3_user", by_clone3<CLONE_NEWUSER>},
                            {"clone3_mount", by_clone3<CLONE_NEWNS>},
                            {"clone3_pid", by_clone3<CLONE_NEWPID>},
                            {"clone3_network", by_clone3<CLONE_NEWNET>},
                            {"clone3_ipc", by_clone3<CLONE_NEWIPC>},
                            {"clone3_uts", by_clone3<CLONE_NEWUTS>},
                            {"clone3_cgroup", by_clone3<CLONE_NEWCGROUP>},
                            {"clone3_time", by_clone3<CLONE_NEWTIME>},
                            {"setns_user", by_setns<CLONE_NEWUSER>},
                            {"setns_mount", by_setns<CLONE_NEWNS>},
                            {"setns_pid", by_setns<CLONE_NEWPID>},
                            {"setns_network", by_setns<CLONE_NEWNET>},
                            {"setns_ipc", by_setns<CLONE_NEWIPC>},
                            {"setns_uts", by_setns<CLONE_NEWUTS>},
                            {"setns_cgroup", by_setns<CLONE_NEWCGROUP>},
                            {"fork", by_fork},
                            {"vfork", by_vfork}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

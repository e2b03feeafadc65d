// Signals to a process of the host. That they arrive is the driver's to see.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int by_kill(const Surroundings& around) { return outcome(kill(around.victim, SIGUSR1)); }
int by_tkill(const Surroundings& around) {
  return outcome(syscall(SYS_tkill, around.victim, SIGUSR1));
}
int by_tgkill(const Surroundings& around) {
  return outcome(syscall(SYS_tgkill, around.victim, around.victim, SIGUSR1));
}
int by_queue(const Surroundings& around) {
  siginfo_t info;
  (void)memset(&info, 0, sizeof info);
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  return outcome(syscall(SYS_rt_sigqueueinfo, around.victim, SIGUSR1, &info));
}
int by_pidfd(const Surroundings& around) {
  const long fd = syscall(SYS_pidfd_open, around.victim, 0);
  if (fd < 0) return errno;
  return outcome(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, nullptr, 0));
}
// A pipe that signals its owner, who is the victim.
int by_descriptor_owner(const Surroundings& around) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  if (fcntl(ends[0], F_SETOWN, around.victim) != 0) return errno;
  if (fcntl(ends[0], F_SETSIG, SIGUSR1) != 0) return errno;
  if (fcntl(ends[0], F_SETFL, O_ASYNC) != 0) return errno;
  const int failed = outcome(write(ends[1], "x", 1));
  // Or the end of this process would be a second signal.
  return failed != 0 ? failed : outcome(fcntl(ends[0], F_SETFL, 0));
}

}  // namespace

const Attempt attempts[] = {{"kill", by_kill},     {"tkill", by_tkill},
                            {"tgkill", by_tgkill}, {"sigqueue", by_queue},
                            {"pidfd", by_pidfd},   {"descriptor_owner", by_descriptor_owner}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

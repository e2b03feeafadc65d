// Another process's memory and descriptors.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

void* address_of(const Surroundings& around) {
  return reinterpret_cast<void*>(around.secret_address);
}

int trace(const Surroundings& around) {
  if (ptrace(PTRACE_ATTACH, around.victim, nullptr, nullptr) != 0) return errno;
  int status = 0;
  (void)waitpid(around.victim, &status, __WALL);
  errno = 0;
  const long word = ptrace(PTRACE_PEEKDATA, around.victim, address_of(around), nullptr);
  const bool seen = memcmp(&word, secret, sizeof word) == 0;
  (void)ptrace(PTRACE_DETACH, around.victim, nullptr, nullptr);
  return seen ? 0 : no_effect;
}
int read_memory(const Surroundings& around) {
  char text[sizeof secret] = {};
  const iovec ours{text, sizeof text};
  const iovec theirs{address_of(around), sizeof text};
  if (process_vm_readv(around.victim, &ours, 1, &theirs, 1, 0) < 0) return errno;
  return memcmp(text, secret, sizeof text) == 0 ? 0 : no_effect;
}
int write_memory(const Surroundings& around) {
  char text[sizeof secret];
  (void)memcpy(text, secret, sizeof text);
  const iovec ours{text, sizeof text};
  const iovec theirs{address_of(around), sizeof text};
  return outcome(process_vm_writev(around.victim, &ours, 1, &theirs, 1, 0));
}
int take_descriptor(const Surroundings& around) {
  const long fd = syscall(SYS_pidfd_open, around.victim, 0);
  if (fd < 0) return errno;
  return outcome(syscall(SYS_pidfd_getfd, fd, 0, 0));
}
int compare(const Surroundings& around) {
  return outcome(syscall(SYS_kcmp, getpid(), around.victim, KCMP_VM, 0, 0));
}

}  // namespace

const Attempt attempts[] = {{"ptrace", trace},
                            {"process_vm_readv", read_memory},
                            {"process_vm_writev", write_memory},
                            {"pidfd_getfd", take_descriptor},
                            {"kcmp", compare}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

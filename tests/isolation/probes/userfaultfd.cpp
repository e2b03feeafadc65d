// Page faults handled in user space: how kernel races are won.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int open_one(unsigned flags) {
  const long fd = syscall(SYS_userfaultfd, flags | O_CLOEXEC);
  if (fd < 0) return errno;
  uffdio_api api{};
  api.api = UFFD_API;
  return outcome(ioctl(static_cast<int>(fd), UFFDIO_API, &api));
}
int kernel_faults(const Surroundings&) { return open_one(0); }
int user_faults(const Surroundings&) { return open_one(UFFD_USER_MODE_ONLY); }

}  // namespace

const Attempt attempts[] = {{"kernel_faults", kernel_faults}, {"user_faults", user_faults}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

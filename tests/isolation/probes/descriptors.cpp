// Descriptors that were not given on purpose.
#include <fcntl.h>
#include <string.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

constexpr int first_unexpected = 5;
constexpr int last = 4096;

// The driver holds an inheritable one on a secret file.
int use_inherited(const Surroundings&) {
  for (int fd = first_unexpected; fd < last; ++fd) {
    char text[sizeof secret] = {};
    if (pread(fd, text, sizeof text, 0) < 0) continue;
    if (memcmp(text, secret, sizeof secret) == 0) return 0;
  }
  return EBADF;
}
int hold_any(const Surroundings&) {
  for (int fd = first_unexpected; fd < last; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) return 0;
  }
  return EBADF;
}
int change_launch_spec(const Surroundings&) { return outcome(pwrite(4, "x", 1, 0)); }

}  // namespace

const Attempt attempts[] = {{"use_inherited", use_inherited},
                            {"hold_any", hold_any},
                            {"change_launch_spec", change_launch_spec}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

// Leaving an image of its memory behind; the wait status tells the driver whether there is one.
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int die(const Surroundings&) {
  // Process 1 of a namespace can only be killed by a fault of its own.
  asm volatile("ud2");
  return no_effect;
}
int become_dumpable(const Surroundings&) {
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return errno;
  return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : no_effect;
}

}  // namespace

const Attempt attempts[] = {
    {"die", die}, {"die_at_start", die}, {"become_dumpable", become_dumpable}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

// Execution domains that weaken memory protection.
#include <sys/personality.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int set(unsigned long bits) {
  if (personality(bits) < 0) return errno;
  const int now = personality(0xffffffffUL);
  return (static_cast<unsigned long>(now) & bits) == bits ? 0 : no_effect;
}
int no_randomisation(const Surroundings&) { return set(ADDR_NO_RANDOMIZE); }
int readable_is_executable(const Surroundings&) { return set(READ_IMPLIES_EXEC); }

}  // namespace

const Attempt attempts[] = {{"no_randomisation", no_randomisation},
                            {"readable_is_executable", readable_is_executable}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

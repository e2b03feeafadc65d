// Performance counters: of itself, and of another process.
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int count(int pid) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof attributes;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  const long fd = syscall(SYS_perf_event_open, &attributes, pid, -1, -1, 0);
  if (fd < 0) return errno;
  unsigned long value = 0;
  return read(static_cast<int>(fd), &value, sizeof value) == sizeof value ? 0 : no_effect;
}
int own(const Surroundings&) { return count(0); }
int of_victim(const Surroundings& around) { return count(around.victim); }

}  // namespace

const Attempt attempts[] = {{"own", own}, {"of_victim", of_victim}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

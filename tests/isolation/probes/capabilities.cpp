// What single capabilities would allow, and getting some.
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int give_away(const Surroundings& around) {
  const Path path = join(around.data, "routes.db");
  struct stat before {};
  if (stat(path.text, &before) != 0) return errno;
  if (chown(path.text, around.victim_uid, around.victim_uid) != 0) return errno;
  return outcome(chown(path.text, before.st_uid, before.st_gid));
}
int hold_any(const Surroundings&) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return errno;
  return (sets[0].permitted | sets[1].permitted) != 0 ? 0 : EPERM;
}
int raise_ambient(const Surroundings&) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return errno;
  sets[0].inheritable = sets[0].permitted;
  if (syscall(SYS_capset, &header, sets) != 0) return errno;
  return outcome(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
}
int set_clock(const Surroundings&) {
  timex state{};
  state.modes = ADJ_FREQUENCY;
  timex now{};
  if (adjtimex(&now) < 0) return errno;
  state.freq = now.freq;  // as it is
  return outcome(adjtimex(&state));
}
int be_first(const Surroundings&) { return outcome(setpriority(PRIO_PROCESS, 0, -5)); }
int be_real_time(const Surroundings&) {
  sched_param parameters{};
  parameters.sched_priority = 1;
  return outcome(sched_setscheduler(0, SCHED_FIFO, &parameters));
}
// Whether a later uid could bring capabilities back: 1 and 2 are SECBIT_NOROOT and its lock.
int keep_root_special(const Surroundings&) {
  const int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  if (bits < 0) return errno;
  return (bits & 3) == 3 ? EPERM : 0;
}

}  // namespace

const Attempt attempts[] = {{"give_away", give_away},
                            {"hold_any", hold_any},
                            {"raise_ambient", raise_ambient},
                            {"set_clock", set_clock},
                            {"be_first", be_first},
                            {"be_real_time", be_real_time},
                            {"keep_root_special", keep_root_special}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

// Becoming another user, and the host's name, control groups and kernel settings.
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

bool is_uid(unsigned uid) {
  unsigned real = 0;
  unsigned effective = 0;
  unsigned saved = 0;
  return getresuid(&real, &effective, &saved) == 0 && effective == uid;
}

int by_setuid(const Surroundings& around) {
  if (syscall(SYS_setuid, around.victim_uid) != 0) return errno;
  return is_uid(around.victim_uid) ? 0 : no_effect;
}
int by_setresuid(const Surroundings& around) {
  const unsigned uid = around.victim_uid;
  if (syscall(SYS_setresuid, uid, uid, uid) != 0) return errno;
  return is_uid(uid) ? 0 : no_effect;
}
int by_setgid(const Surroundings& around) {
  if (syscall(SYS_setgid, around.victim_uid) != 0) return errno;
  return getegid() == around.victim_uid ? 0 : no_effect;
}
int by_setgroups(const Surroundings& around) {
  const gid_t group = around.victim_uid;
  return outcome(syscall(SYS_setgroups, 1, &group));
}
int by_setfsuid(const Surroundings& around) {
  (void)syscall(SYS_setfsuid, around.victim_uid);
  return syscall(SYS_setfsuid, around.victim_uid) == around.victim_uid ? 0 : EPERM;
}
// The driver looks whether the host is called so now.
int set_host_name(const Surroundings&) { return outcome(sethostname("probed", 6)); }
int read_host_name(const Surroundings& around) {
  utsname name;
  if (uname(&name) != 0) return errno;
  return strcmp(name.nodename, around.hostname) == 0 ? no_effect : 0;
}
// "/" in every hierarchy: the namespace's root is all that is told.
int read_cgroup_path(const Surroundings&) {
  const int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[4096] = {};
  if (read(fd, text, sizeof text - 1) < 0) return errno;
  for (const char* at = strstr(text, ":/"); at != nullptr; at = strstr(at + 1, ":/")) {
    if (at[2] != '\n' && at[2] != '\0') return 0;
  }
  return no_effect;
}

}  // namespace

const Attempt attempts[] = {{"setuid", by_setuid},
                            {"setresuid", by_setresuid},
                            {"setgid", by_setgid},
                            {"setgroups", by_setgroups},
                            {"setfsuid", by_setfsuid},
                            {"set_host_name", set_host_name},
                            {"read_host_name", read_host_name},
                            {"read_cgroup_path", read_cgroup_path}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

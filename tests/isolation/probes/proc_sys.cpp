// What the kernel tells of others in /proc and /sys, and what it takes there.
#include <fcntl.h>
#include <string.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int read_any(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char byte = 0;
  const long size = read(fd, &byte, 1);
  const int failed = errno;
  (void)close(fd);
  return size < 0 ? failed : size == 0 ? no_effect : 0;
}
int read_status(const Surroundings& around) {
  return read_file(numbered("/proc/%d/status", around.victim).text, "Name:");
}
int read_memory(const Surroundings& around) {
  const int fd = open(numbered("/proc/%d/mem", around.victim).text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[sizeof secret] = {};
  const long size = pread(fd, text, sizeof text, static_cast<off_t>(around.secret_address));
  const int failed = errno;
  (void)close(fd);
  if (size < 0) return failed;
  return memcmp(text, secret, sizeof secret) == 0 ? 0 : no_effect;
}
int read_own_maps(const Surroundings&) { return read_any("/proc/self/maps"); }
int read_host_mounts(const Surroundings&) { return read_any("/proc/1/mounts"); }
// Opened only: a byte written there would act.
int open_sysrq(const Surroundings&) {
  return outcome(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
}
int open_core_pattern(const Surroundings&) {
  return outcome(open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC));
}
int read_sys(const Surroundings&) { return read_any("/sys/kernel/uevent_seqnum"); }
int open_sys(const Surroundings&) {
  return outcome(open("/sys/kernel/profiling", O_WRONLY | O_CLOEXEC)) == ENOENT
             ? outcome(open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY | O_CLOEXEC))
             : outcome(open("/sys/kernel/profiling", O_WRONLY | O_CLOEXEC));
}

}  // namespace

const Attempt attempts[] = {
    {"read_status", read_status},     {"read_memory", read_memory},
    {"read_own_maps", read_own_maps}, {"read_host_mounts", read_host_mounts},
    {"open_sysrq", open_sysrq},       {"open_core_pattern", open_core_pattern},
    {"read_sys", read_sys},           {"open_sys", open_sys}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

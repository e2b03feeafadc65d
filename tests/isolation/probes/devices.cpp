// Devices: by their names, made anew, and found in the tenant's own directory.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int read_zero(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char byte = 1;
  const long size = read(fd, &byte, 1);
  const int failed = errno;
  (void)close(fd);
  return size < 0 ? failed : byte == 0 ? 0 : no_effect;
}
int open_zero(const Surroundings&) { return read_zero("/dev/zero"); }
int open_kernel_log(const Surroundings&) {
  return outcome(open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
}
int open_terminal_multiplexer(const Surroundings&) {
  return outcome(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
}
int make_node(const Surroundings& around) {
  const Path path = join(around.data, "made-node");
  if (mknod(path.text, S_IFCHR | 0600, makedev(1, 5)) != 0) return errno;
  const int failed = read_zero(path.text);
  (void)unlink(path.text);
  return failed;
}
// A node for /dev/zero that somebody else has put there.
int open_node_in_data(const Surroundings& around) {
  return read_zero(join(around.data, "zero").text);
}

}  // namespace

const Attempt attempts[] = {{"open_zero", open_zero},
                            {"open_kernel_log", open_kernel_log},
                            {"open_terminal_multiplexer", open_terminal_multiplexer},
                            {"make_node", make_node},
                            {"open_node_in_data", open_node_in_data}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

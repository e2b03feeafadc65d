// Files of the host: secret ones, public ones, by a way back up, and through a link.
#include <fcntl.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int read_secret(const Surroundings& around) {
  return read_file(join(around.host, "root-secret").text, secret);
}
int read_public(const Surroundings& around) {
  return read_file(join(around.host, "public").text, secret);
}
int read_passwd(const Surroundings&) { return read_file("/etc/passwd", "root:"); }
int read_by_dotdot(const Surroundings&) { return read_file("/../../etc/passwd", "root:"); }
int read_by_link(const Surroundings& around) {
  return read_file(join(around.data, "link-to-public").text, secret);
}
int write_public(const Surroundings& around) {
  const int fd = open(join(around.host, "writable").text, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int failed = outcome(write(fd, secret, sizeof secret));
  (void)close(fd);
  return failed;
}
int write_root(const Surroundings&) {
  const int fd = open("/tenantd-probe-file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)close(fd);
  (void)unlink("/tenantd-probe-file");
  return 0;
}
int list_host(const Surroundings& around) {
  return outcome(open(around.host, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
int list_root(const Surroundings&) {
  return outcome(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

const Attempt attempts[] = {{"read_secret", read_secret},   {"read_public", read_public},
                            {"read_passwd", read_passwd},   {"read_by_dotdot", read_by_dotdot},
                            {"read_by_link", read_by_link}, {"write_public", write_public},
                            {"write_root", write_root},     {"list", list_host},
                            {"list_root", list_root}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

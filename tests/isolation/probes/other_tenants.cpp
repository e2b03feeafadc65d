// Another tenant's data, and the supervisor's directory that all tenants see.
#include <fcntl.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int read_database(const Surroundings& around) {
  return read_file(join(around.host, "tenants/globex/routes.db").text, secret);
}
int write_database(const Surroundings& around) {
  const Path path = join(around.host, "tenants/globex/routes.db");
  const int fd = open(path.text, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int failed = outcome(pwrite(fd, secret, sizeof secret, 0));
  (void)close(fd);
  return failed;
}
int create_file(const Surroundings& around) {
  const Path path = join(around.host, "tenants/globex/planted");
  const int fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)close(fd);
  return outcome(unlink(path.text));
}
int list(const Surroundings& around) {
  return outcome(
      open(join(around.host, "tenants/globex").text, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
// What a program with its own root finds at /link.
int write_link_directory(const Surroundings& around) {
  const bool own_root = around.data[1] == 'd' && around.data[5] == '\0';
  const Path path = own_root ? join("/link", "planted") : join(around.host, "link/planted");
  const int fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)close(fd);
  return outcome(unlink(path.text));
}

}  // namespace

const Attempt attempts[] = {{"read_database", read_database},
                            {"write_database", write_database},
                            {"create_file", create_file},
                            {"list", list},
                            {"write_link_directory", write_link_directory}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

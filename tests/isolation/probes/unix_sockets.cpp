// Sockets of the host's services: abstract ones, and ones with a path.
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int connect_to(const sockaddr_un& address, unsigned long name_size) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_size);
  const int failed = outcome(connect(fd, reinterpret_cast<const sockaddr*>(&address), size));
  (void)close(fd);
  return failed;
}
int abstract(const Surroundings& around) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "tenantd-probe-%d",
                            around.victim);
  return connect_to(address, 1 + static_cast<unsigned long>(size));
}
int path(const Surroundings& around) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int size =
      snprintf(address.sun_path, sizeof address.sun_path, "%s/victim.sock", around.host);
  return connect_to(address, 1 + static_cast<unsigned long>(size));
}
int pair(const Surroundings&) {
  int ends[2];
  return outcome(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
}

}  // namespace

const Attempt attempts[] = {{"abstract", abstract}, {"path", path}, {"pair", pair}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

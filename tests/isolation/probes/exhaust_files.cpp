// Descriptors, sockets, watches, and space in the tenant's directories.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

constexpr int many = 1500;

int descriptors(const Surroundings&) {
  for (int i = 0; i < many; ++i) {
    if (eventfd(0, EFD_CLOEXEC) < 0) return errno;
  }
  return 0;
}
int sockets(const Surroundings&) {
  for (int i = 0; i < many; ++i) {
    if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0) return errno;
  }
  return 0;
}
int watches(const Surroundings& around) {
  const int fd = inotify_init1(IN_CLOEXEC);
  if (fd < 0) return errno;
  return outcome(inotify_add_watch(fd, around.data, IN_ALL_EVENTS));
}
// Makes them all, then removes what it made.
int make_files(const char* directory, int count) {
  int made = 0;
  int failed = 0;
  for (; made < count; ++made) {
    Path path;
    (void)snprintf(path.text, sizeof path.text, "%s/tenantd-probe-%d", directory, made);
    const int fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      failed = errno;
      break;
    }
    (void)close(fd);
  }
  while (made-- > 0) {
    Path path;
    (void)snprintf(path.text, sizeof path.text, "%s/tenantd-probe-%d", directory, made);
    (void)unlink(path.text);
  }
  return failed;
}
int files_in_data(const Surroundings& around) { return make_files(around.data, 64); }
int files_in_scratch(const Surroundings& around) { return make_files(around.scratch, many); }
int large_file(const Surroundings& around) {
  const int fd = open(join(around.data, "routes.db").text, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  const int failed = outcome(pwrite(fd, "x", 1, 64L << 20U));
  const int emptied = outcome(ftruncate(fd, 0));
  (void)close(fd);
  return failed != 0 ? failed : emptied;
}
int scratch_space(const Surroundings& around) {
  const Path path = join(around.scratch, "tenantd-probe-space");
  const int fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)unlink(path.text);
  static char block[1U << 16U];
  for (int i = 0; i < 64; ++i) {  // 4 MiB
    if (write(fd, block, sizeof block) < 0) return errno;
  }
  return 0;
}
int remove_files(const Surroundings& around) {
  return outcome(unlink(join(around.data, "removable").text));
}

}  // namespace

const Attempt attempts[] = {{"descriptors", descriptors},
                            {"sockets", sockets},
                            {"watches", watches},
                            {"files_in_data", files_in_data},
                            {"files_in_scratch", files_in_scratch},
                            {"large_file", large_file},
                            {"scratch_space", scratch_space},
                            {"remove_files", remove_files}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

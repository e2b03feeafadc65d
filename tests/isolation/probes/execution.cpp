// New programs: from a memfd, from the tenant's own directories, from the host. A success replaces
// the probe; the driver knows it by its exit code.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

char* const no_text[] = {nullptr};

int execute(int directory, const char* path, int flags) {
  return outcome(syscall(SYS_execveat, directory, path, no_text, no_text, flags));
}
int write_program(const char* path) {
  unsigned char bytes[tiny_program_size];
  const unsigned long size = tiny_program(bytes, any_uid);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  if (fd < 0) return errno;
  const int failed = outcome(write(fd, bytes, size));
  (void)close(fd);
  return failed;
}
// The first free number is the one at which the jail's filter lets the program be executed.
int from_memfd(const Surroundings&) {
  const int fd = memfd_create("program", MFD_CLOEXEC);
  if (fd < 0) return errno;
  unsigned char bytes[tiny_program_size];
  const unsigned long size = tiny_program(bytes, any_uid);
  if (write(fd, bytes, size) < 0) return errno;
  return execute(fd, "", AT_EMPTY_PATH);
}
int from_memfd_by_execve(const Surroundings&) {
  const int fd = memfd_create("program", 0);
  if (fd < 0) return errno;
  unsigned char bytes[tiny_program_size];
  const unsigned long size = tiny_program(bytes, any_uid);
  if (write(fd, bytes, size) < 0) return errno;
  return execute(-1, numbered("/proc/self/fd/%d", fd).text, 0);
}
// Written there by somebody else, executable.
int from_data(const Surroundings& around) {
  return execute(AT_FDCWD, join(around.data, "program").text, 0);
}
int from_data_descriptor(const Surroundings& around) {
  const int fd = open(join(around.data, "program").text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  return execute(fd, "", AT_EMPTY_PATH);
}
int from_scratch(const Surroundings& around) {
  const Path path = join(around.scratch, "tenantd-probe-program");
  const int failed = write_program(path.text);
  if (failed != 0) return failed;
  const int fd = open(path.text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  (void)unlink(path.text);
  return execute(fd, "", AT_EMPTY_PATH);
}
int from_host(const Surroundings& around) {
  return execute(AT_FDCWD, join(around.host, "program").text, 0);
}

// It belongs to another user and is set-uid.
int gain_uid(const Surroundings& around) {
  return execute(AT_FDCWD, join(around.host, "set-uid-program").text, 0);
}

}  // namespace

const Attempt attempts[] = {{"memfd", from_memfd},
                            {"memfd_at_start", from_memfd},
                            {"memfd_by_path", from_memfd_by_execve},
                            {"data", from_data},
                            {"data_descriptor", from_data_descriptor},
                            {"data_at_start", from_data_descriptor},
                            {"scratch", from_scratch},
                            {"scratch_at_start", from_scratch},
                            {"host", from_host},
                            {"set_uid", gain_uid}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

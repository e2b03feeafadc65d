// Memory: private, shared, locked, and stack. Each takes more than the driver's limits allow.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

constexpr unsigned long mebibyte = 1UL << 20U;
constexpr unsigned long too_much = 96 * mebibyte;

int touch(void* memory, unsigned long size) {
  auto* bytes = static_cast<volatile char*>(memory);
  for (unsigned long at = 0; at < size; at += 4096) bytes[at] = 1;
  return 0;
}
int anonymous(const Surroundings&) {
  void* memory =
      mmap(nullptr, too_much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? errno : touch(memory, too_much);
}
int map_memfd(unsigned long size) {
  const int fd = memfd_create("shared", MFD_CLOEXEC);
  if (fd < 0) return errno;
  if (ftruncate(fd, static_cast<off_t>(size)) != 0) return errno;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? errno : touch(memory, size);
}
int one_memfd(const Surroundings&) { return map_memfd(too_much); }
int many_memfds(const Surroundings&) {
  for (int i = 0; i < 24; ++i) {
    const int failed = map_memfd(4 * mebibyte);
    if (failed != 0) return failed;
  }
  return 0;
}
int system_v(const Surroundings&) {
  const int id = shmget(IPC_PRIVATE, too_much, IPC_CREAT | 0700);
  if (id < 0) return errno;
  void* memory = shmat(id, nullptr, 0);
  const int failed = errno;
  (void)shmctl(id, IPC_RMID, nullptr);
  return memory == reinterpret_cast<void*>(-1) ? failed : touch(memory, too_much);
}
int message_queue(const Surroundings& around) {
  const Path name = numbered("/tenantd-own-%d", around.victim);
  const mqd_t queue = mq_open(name.text, O_RDWR | O_CREAT, 0600, nullptr);
  const int failed = outcome(queue);
  // Landlock refuses to open a queue that it has let be made.
  const int removed = outcome(mq_unlink(name.text));
  return failed != 0 ? failed : removed;
}
int locked(const Surroundings&) {
  void* memory = mmap(nullptr, mebibyte, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
  return memory == MAP_FAILED ? errno : 0;
}
[[gnu::noinline]] int descend(unsigned depth) {
  volatile char frame[1U << 16U];
  frame[0] = static_cast<char>(depth);
  frame[sizeof frame - 1] = 1;
  return depth == 0 ? frame[0] : descend(depth - 1) + (frame[sizeof frame - 1] - 1);
}
int stack(const Surroundings&) { return descend(16 * 16); }  // 16 MiB

}  // namespace

const Attempt attempts[] = {
    {"anonymous", anonymous}, {"one_memfd", one_memfd},         {"many_memfds", many_memfds},
    {"system_v", system_v},   {"message_queue", message_queue}, {"locked", locked},
    {"stack", stack}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

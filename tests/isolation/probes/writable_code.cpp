// Code that was data: pages that are written and then run.
#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

constexpr unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // return 42
constexpr unsigned long page = 4096;

int run(void* memory) {
  int (*function)() = nullptr;
  static_assert(sizeof function == sizeof memory);
  (void)memcpy(&function, &memory, sizeof function);
  return function() == 42 ? 0 : no_effect;
}
int anonymous(const Surroundings&) {
  void* memory =
      mmap(nullptr, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  (void)memcpy(memory, code, sizeof code);
  return run(memory);
}
int by_mprotect(const Surroundings&) {
  void* memory = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  (void)memcpy(memory, code, sizeof code);
  if (mprotect(memory, page, PROT_READ | PROT_EXEC) != 0) return errno;
  return run(memory);
}
int mapped_twice(const Surroundings&) {
  const int fd = memfd_create("code", MFD_CLOEXEC);
  if (fd < 0) return errno;
  if (write(fd, code, sizeof code) < 0) return errno;
  void* memory = mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return errno;
  return run(memory);
}
int from_data(const Surroundings& around) {
  const int fd = open(join(around.data, "routes.db").text, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  if (pwrite(fd, code, sizeof code, 0) < 0) return errno;
  void* memory = mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return errno;
  return run(memory);
}
int shared_memory(const Surroundings&) {
  const int id = shmget(IPC_PRIVATE, page, IPC_CREAT | 0700);
  if (id < 0) return errno;
  void* memory = shmat(id, nullptr, SHM_EXEC);
  const int failed = errno;
  (void)shmctl(id, IPC_RMID, nullptr);
  if (memory == reinterpret_cast<void*>(-1)) return failed;
  (void)memcpy(memory, code, sizeof code);
  return run(memory);
}

}  // namespace

const Attempt attempts[] = {{"anonymous", anonymous},
                            {"mprotect", by_mprotect},
                            {"mapped_twice", mapped_twice},
                            {"from_data", from_data},
                            {"shared_memory", shared_memory}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

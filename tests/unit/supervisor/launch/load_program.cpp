// A tenant that wants everything of one kind: CPU, memory, threads or I/O.
//
// Runs in: the sandbox, started by the real jail. Static. What it shall do is tenant_id of its
// launch spec, so that a tenant of that name is enough in an integration test. What it found out it
// tells as "name=value" lines on its standard output.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "shared/contract/launch_spec.h"
#include "shared/os/sealed_memfd.h"

namespace tenantd {
namespace {

constexpr std::size_t io_block_bytes = 64U << 10U;
constexpr off_t io_file_bytes = 4 << 20;

// dprintf would seek, which the filter forbids.
void tell(const char* name, long value) {
  char line[64];
  const int size = std::snprintf(line, sizeof line, "%s=%ld\n", name, value);
  (void)!::write(log_out_fd, line, static_cast<std::size_t>(size));
}

[[noreturn]] void wait_forever() {
  for (;;) (void)::poll(nullptr, 0, -1);
}

[[noreturn]] void burn() {
  tell("burning", 1);
  for (;;) asm volatile("" ::: "memory");
}

// Ends by the kernel's hand only.
[[noreturn]] void hog() {
  for (;;) {
    constexpr std::size_t step = 4U << 20U;
    void* const map =
        ::mmap(nullptr, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) ::_exit(73);
    auto* const block = static_cast<volatile char*>(map);
    for (std::size_t i = 0; i < step; i += 4096) block[i] = 1;
  }
}

[[noreturn]] void make_threads() {
  long threads = 1;
  int failed = 0;
  const auto idle = [](void*) -> void* { wait_forever(); };
  pthread_attr_t small;
  (void)::pthread_attr_init(&small);
  (void)::pthread_attr_setstacksize(&small, 64U << 10U);
  while (threads < 10'000) {
    pthread_t thread;
    failed = ::pthread_create(&thread, &small, idle, nullptr);
    if (failed != 0) break;
    ++threads;
  }
  tell("threads", failed == EAGAIN ? threads : -failed);
  wait_forever();
}

int open_direct() {
  const int fd = ::open("/data/load", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) ::_exit(74);
  return fd;
}

[[noreturn]] void move_blocks(bool writes) {
  const int fd = open_direct();
  void* block = nullptr;
  if (::posix_memalign(&block, 4096, io_block_bytes) != 0) ::_exit(75);
  for (off_t at = 0;; at = (at + static_cast<off_t>(io_block_bytes)) % io_file_bytes) {
    const ssize_t moved =
        writes ? ::pwrite(fd, block, io_block_bytes, at) : ::pread(fd, block, io_block_bytes, at);
    if (moved < 0) ::_exit(76);
  }
}

[[noreturn]] void move_data() {
  pthread_t reader;
  const auto read_blocks = [](void*) -> void* { move_blocks(false); };
  if (::pthread_create(&reader, nullptr, read_blocks, nullptr) != 0) ::_exit(77);
  move_blocks(true);
}

int run() {
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec)) return 70;
  const std::string_view what = spec.tenant.tenant_id.view();
  if (what == "burn") burn();
  if (what == "hog") hog();
  if (what == "threads") make_threads();
  if (what == "io") move_data();
  if (what == "idle") wait_forever();
  return 71;
}

}  // namespace
}  // namespace tenantd

int main() { return tenantd::run(); }

#include "supervisor/probe/attempts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace tenantd::probe {
namespace {

constexpr std::uint16_t discard_port = 9;
constexpr std::uint64_t page_bytes = 4096;
constexpr std::size_t small_stack_bytes = 1U << 16U;

int outcome(long result) noexcept { return result < 0 ? errno : 0; }

const sockaddr* as_address(const void* address) noexcept {
  return static_cast<const sockaddr*>(address);
}

int open_path(const char* path, int flags) noexcept {
  const int fd = ::open(path, flags | O_CLOEXEC);
  if (fd < 0) return errno;
  (void)::close(fd);
  return 0;
}

sockaddr_in loopback() noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(discard_port);
  return address;
}

int connect_tcp() noexcept {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const sockaddr_in address = loopback();
  return outcome(::connect(fd, as_address(&address), sizeof address));
}

int send_udp() noexcept {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const sockaddr_in address = loopback();
  return outcome(::sendto(fd, "p", 1, 0, as_address(&address), sizeof address));
}

// To the discard port of `text`, an address of either version.
int send_away(const char* text) noexcept {
  sockaddr_in four{};
  sockaddr_in6 six{};
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  four.sin_port = six.sin6_port = htons(discard_port);
  const bool is_four = ::inet_pton(AF_INET, text, &four.sin_addr) == 1;
  if (!is_four && ::inet_pton(AF_INET6, text, &six.sin6_addr) != 1) return EINVAL;
  const int fd = ::socket(is_four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  return is_four ? outcome(::sendto(fd, "p", 1, 0, as_address(&four), sizeof four))
                 : outcome(::sendto(fd, "p", 1, 0, as_address(&six), sizeof six));
}

// `name` of an abstract socket, or the path of one.
int connect_unix(std::string_view name, bool abstract) noexcept {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t first = abstract ? 1 : 0;
  const std::size_t size = std::min(name.size(), sizeof address.sun_path - 1 - first);
  std::memcpy(address.sun_path + first, name.data(), size);
  const std::size_t length = offsetof(sockaddr_un, sun_path) + first + size + (abstract ? 0 : 1);
  return outcome(::connect(fd, as_address(&address), static_cast<socklen_t>(length)));
}

int read_other_memory(pid_t victim) noexcept {
  char byte = 0;
  const iovec ours{&byte, 1};
  // Where a static-pie or any other program may or may not have a page: EFAULT is as good as a
  // byte.
  const iovec theirs{reinterpret_cast<void*>(page_bytes * 16), 1};
  return outcome(::process_vm_readv(victim, &ours, 1, &theirs, 1, 0));
}

int attach_as_debugger(pid_t victim) noexcept {
  if (::ptrace(PTRACE_SEIZE, victim, nullptr, nullptr) != 0) return errno;
  (void)::ptrace(PTRACE_DETACH, victim, nullptr, nullptr);
  return 0;
}

int open_proc(pid_t victim) noexcept {
  char path[64];
  (void)std::snprintf(path, sizeof path, "/proc/%d/status", victim);
  return open_path(path, O_RDONLY);
}

int make_process() noexcept {
  const long pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) ::_exit(0);
  if (pid < 0) return errno;
  (void)::waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return 0;
}

// An empty file is no program: ENOEXEC says that nothing but that was in the way.
int execute_from_memory() noexcept {
  const int fd = ::memfd_create("probe", MFD_CLOEXEC);
  if (fd < 0) return errno;
  char name[] = "probe";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  return outcome(::syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH));
}

int touch_memory(std::uint64_t bytes) noexcept {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  auto* const first = static_cast<volatile char*>(memory);
  for (std::uint64_t at = 0; at < bytes; at += page_bytes) first[at] = 1;
  return 0;
}

int burn_cpu(std::uint64_t microseconds) noexcept {
  timespec used{};
  std::uint64_t used_us = 0;
  while (used_us < microseconds) {
    if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return errno;
    used_us = static_cast<std::uint64_t>(used.tv_sec) * 1'000'000 +
              static_cast<std::uint64_t>(used.tv_nsec) / 1000;
  }
  return 0;
}

void* sleep_for_good(void*) noexcept {
  for (;;) {
    const timespec hour{3600, 0};
    (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, nullptr);
  }
}

int start_threads(std::uint64_t count) noexcept {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return ENOMEM;
  (void)::pthread_attr_setstacksize(&attributes, small_stack_bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    pthread_t thread{};
    const int failed = ::pthread_create(&thread, &attributes, sleep_for_good, nullptr);
    if (failed != 0) return failed;
  }
  return 0;
}

int open_descriptors(std::uint64_t count) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (::fcntl(null_fd, F_DUPFD_CLOEXEC, 0) < 0) return errno;
  }
  return 0;
}

// The last byte that would make the file too long: nothing is stored before it.
int write_past_bound(const LaunchSpec& spec, std::uint64_t offset) noexcept {
  if (spec.data_file_count == 0) return ENOENT;
  char path[64];
  (void)std::snprintf(path, sizeof path, "%s/%s", data_path.data(),
                      spec.data_files[0].bytes.data());
  const int fd = ::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return errno;
  return outcome(::pwrite(fd, "p", 1, static_cast<off_t>(offset)));
}

int add_file() noexcept {
  const int fd = ::open("/data/intruder", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)::unlink("/data/intruder");
  return 0;
}

}  // namespace

int run_attempt(const ProbeOrder& order, const LaunchSpec& spec) noexcept {
  const char* const path = order.path.bytes.data();
  switch (order.attempt) {
    case ProbeAttempt::other_tenant_file:
    case ProbeAttempt::other_shard_file:
    case ProbeAttempt::host_file:
      return open_path(path, O_RDONLY);
    case ProbeAttempt::other_memory:
      return read_other_memory(order.victim_pid);
    case ProbeAttempt::shared_memory:
      return open_path("/dev/shm", O_RDONLY | O_DIRECTORY);
    case ProbeAttempt::tcp:
      return connect_tcp();
    case ProbeAttempt::udp:
      return send_udp();
    case ProbeAttempt::egress:
      return send_away(std::string(order.path.view()).c_str());
    case ProbeAttempt::abstract_socket:
      return connect_unix(order.path.view(), true);
    case ProbeAttempt::path_socket:
      return connect_unix(order.path.view(), false);
    case ProbeAttempt::signal:
      return outcome(::syscall(SYS_tgkill, order.victim_pid, order.victim_pid, 0));
    case ProbeAttempt::trace:
      return attach_as_debugger(order.victim_pid);
    case ProbeAttempt::proc:
      return open_proc(order.victim_pid);
    case ProbeAttempt::fork:
      return make_process();
    case ProbeAttempt::new_namespace:
      return outcome(::syscall(SYS_unshare, CLONE_NEWUSER));
    case ProbeAttempt::execute:
      return execute_from_memory();
    case ProbeAttempt::system_call:
      return outcome(::syscall(SYS_personality, 0xffffffffUL));
    case ProbeAttempt::memory:
      return touch_memory(order.amount);
    case ProbeAttempt::cpu:
      return burn_cpu(order.amount);
    case ProbeAttempt::threads:
      return start_threads(order.amount);
    case ProbeAttempt::descriptors:
      return open_descriptors(order.amount);
    case ProbeAttempt::file_size:
      return write_past_bound(spec, order.amount);
    case ProbeAttempt::new_file:
      return add_file();
    case ProbeAttempt::rows:
    case ProbeAttempt::count:
      break;
  }
  return EINVAL;
}

}  // namespace tenantd::probe

// How long a supervisor's loop is busy without a look at its descriptors: preloaded into tenantd,
// it watches epoll_wait(2).
//
// Between a return and the next call lies one turn of the loop. The longest one's CPU time, and the
// longest time that a turn was neither running nor waiting for a CPU (blocked in a system call), go
// into a file that TENANTD_TURN_METER names, in nanoseconds: busy, blocked, turns, turns of more
// than 10 ms.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::uint64_t long_turn_ns = 10'000'000;

struct Page {
  std::atomic<std::uint64_t> busy_ns;
  std::atomic<std::uint64_t> blocked_ns;
  std::atomic<std::uint64_t> turns;
  std::atomic<std::uint64_t> long_turns;
};

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  (void)::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// The time for which this thread could run and did not: its CPUs had others.
std::uint64_t waited_ns() {
  static const int file = ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  std::array<char, 128> text{};
  if (::pread(file, text.data(), text.size() - 1, 0) <= 0) return 0;
  unsigned long long ran = 0;
  unsigned long long waited = 0;
  return std::sscanf(text.data(), "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

Page* page() {
  static Page* const mapped = []() -> Page* {
    const char* const path = std::getenv("TENANTD_TURN_METER");
    const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* const place = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    return place == MAP_FAILED ? nullptr : static_cast<Page*>(place);
  }();
  return mapped;
}

struct Turn {
  std::uint64_t wall_ns = 0;
  std::uint64_t cpu_ns = 0;
  std::uint64_t waited_ns = 0;
  static Turn now() {
    return {clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_THREAD_CPUTIME_ID), ::waited_ns()};
  }
};

void raise_to(std::atomic<std::uint64_t>& highest, std::uint64_t value) {
  if (value > highest.load()) highest.store(value);
}

void note(Page& out, const Turn& began, const Turn& ended) {
  const std::uint64_t busy = ended.cpu_ns - began.cpu_ns;
  const std::uint64_t wall = ended.wall_ns - began.wall_ns;
  const std::uint64_t accounted = busy + ended.waited_ns - began.waited_ns;
  raise_to(out.busy_ns, busy);
  raise_to(out.blocked_ns, wall - std::min(wall, accounted));
  out.turns.fetch_add(1);
  if (busy > long_turn_ns) out.long_turns.fetch_add(1);
}

// The end of one turn and the start of the next.
template <class Wait>
int between_turns(Wait wait) {
  static Turn began;
  Page* const out = page();
  if (out != nullptr && began.wall_ns != 0) note(*out, began, Turn::now());
  const int ready = wait();
  if (out != nullptr) began = Turn::now();
  return ready;
}

}  // namespace

extern "C" int epoll_pwait(int epoll, epoll_event* events, int count, int timeout,
                           const sigset_t* signals) {
  using Function = int (*)(int, epoll_event*, int, int, const sigset_t*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "epoll_pwait"));
  return between_turns([&] { return real(epoll, events, count, timeout, signals); });
}

extern "C" int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  using Function = int (*)(int, epoll_event*, int, int);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "epoll_wait"));
  return between_turns([&] { return real(epoll, events, count, timeout); });
}

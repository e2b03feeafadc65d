// Threads, processes and CPU time.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

constexpr int many = 200;

void* sleep_for_good(void*) {
  for (;;) {
    const timespec hour{3600, 0};
    (void)nanosleep(&hour, nullptr);
  }
}
int threads(const Surroundings&) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return no_effect;
  (void)pthread_attr_setstacksize(&attributes, 1U << 16U);
  for (int i = 0; i < many; ++i) {
    pthread_t thread;
    const int failed = pthread_create(&thread, &attributes, sleep_for_good, nullptr);
    if (failed != 0) return failed;
  }
  return 0;
}
int processes(const Surroundings&) {
  static pid_t children[many];
  int count = 0;
  int failed = 0;
  for (; count < many && failed == 0; ++count) {
    const pid_t pid = fork();
    if (pid == 0) (void)sleep_for_good(nullptr);
    failed = outcome(pid);
    children[count] = pid;
  }
  for (int i = 0; i < count; ++i) {
    if (children[i] <= 0) continue;
    (void)kill(children[i], SIGKILL);
    (void)waitpid(children[i], nullptr, 0);
  }
  return failed;
}
// Whether that was held back is in the control group's counters, for the driver to read.
int burn(const Surroundings&) {
  timespec used{};
  while (used.tv_sec == 0 && used.tv_nsec < 30'000'000) {
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return errno;
  }
  return 0;
}

}  // namespace

const Attempt attempts[] = {
    {"threads", threads}, {"threads_of_user", threads}, {"processes", processes}, {"cpu", burn}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe

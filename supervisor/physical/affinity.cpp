#include "supervisor/physical/affinity.h"

#include <dirent.h>
#include <sched.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <set>

namespace tenantd {
namespace {

std::set<pid_t> threads_of(pid_t pid) {
  std::set<pid_t> threads;
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    pid_t thread = 0;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    const auto parsed = std::from_chars(entry->d_name, end, thread);
    if (parsed.ec == std::errc{} && parsed.ptr == end) threads.insert(thread);
  }
  return threads;
}

}  // namespace

Result<CpuSet> allowed_cpus(pid_t pid) {
  cpu_set_t mask;
  if (::sched_getaffinity(pid, sizeof mask, &mask) != 0) {
    if (errno == ESRCH) return fail(ErrorCode::not_found, "the process has gone");
    return fail_errno("sched_getaffinity", errno);
  }
  CpuSet cpus;
  for (std::uint32_t cpu = 0; cpu < CpuSet::max_cpus; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.add(cpu);
  }
  return cpus;
}

Status set_thread_cpus(pid_t thread, const CpuSet& cpus) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  for (const std::uint32_t cpu : cpus.list()) CPU_SET(cpu, &mask);
  if (::sched_setaffinity(thread, sizeof mask, &mask) != 0) {
    if (errno == ESRCH) return fail(ErrorCode::not_found, "the thread has gone");
    return fail_errno("sched_setaffinity to CPUs " + cpus.str(), errno);
  }
  const auto now = allowed_cpus(thread);
  if (!now) return tl::unexpected(now.error());
  if (*now == cpus) return {};
  return fail(ErrorCode::unsupported,
              "asked for CPUs " + cpus.str() + ", the kernel gives " + now->str());
}

// A thread that starts between a look and a step inherits the old set: looked at again until there
// is none that is new.
Status set_process_cpus(pid_t pid, const CpuSet& cpus) {
  static constexpr int max_rounds = 100;
  std::set<pid_t> done;
  for (int round = 0; round < max_rounds; ++round) {
    bool is_new = false;
    for (const pid_t thread : threads_of(pid)) {
      if (!done.insert(thread).second) continue;
      is_new = true;
      const Status set = set_thread_cpus(thread, cpus);
      if (!set && set.error().code != ErrorCode::not_found) return set;
    }
    if (!is_new) break;
  }
  if (done.empty()) return fail(ErrorCode::not_found, "the process has gone");
  return {};
}

}  // namespace tenantd

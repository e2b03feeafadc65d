#include "shared/os/lockdown.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "shared/os/seccomp_filter.h"

namespace tenantd {
namespace {

constexpr std::array start_up_only = {SYS_execve, SYS_execveat, SYS_seccomp, SYS_arch_prctl,
                                      SYS_set_tid_address};

constexpr std::array narrowed = {
    SyscallRule{
        SYS_mmap, "mmap", "memory that is never executable", 1, {masked(2, PROT_EXEC, {0})}},
    SyscallRule{SYS_mprotect,
                "mprotect",
                "memory that is never executable",
                1,
                {masked(2, PROT_EXEC, {0})}},
    SyscallRule{SYS_prctl, "prctl", "names of threads", 1, {one_of(0, {PR_SET_NAME})}},
};

}  // namespace

Status lock_down_self(bool allow_threads) {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno("PR_SET_DUMPABLE", errno);
  std::array<int, start_up_only.size() + 2> killed{};
  std::size_t count = 0;
  for (const long number : start_up_only) killed[count++] = static_cast<int>(number);
  if (!allow_threads) {
    killed[count++] = SYS_clone;
    killed[count++] = SYS_clone3;
  }
  FilterPlan plan;
  plan.rules = narrowed;
  plan.killed = std::span(killed).first(count);
  plan.allow_unlisted = true;
  const auto program = assemble_filter(plan);
  if (!program) return tl::unexpected(program.error());
  return install_filter(*program);
}

}  // namespace tenantd

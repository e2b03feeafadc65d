#include "supervisor/launch/dumpable.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "shared/os/fd.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

constexpr int exit_readable = 0;
constexpr int exit_refused = 1;
constexpr int exit_unknown = 2;

bool take_ids_in_child(uid_t uid, gid_t gid) noexcept {
  // Raw: glibc's wrappers would signal threads that this copy does not have.
  if (::syscall(SYS_setresgid, gid, gid, gid) != 0) return false;
  return ::syscall(SYS_setresuid, uid, uid, uid) == 0;
}

int look_in_child(int user_namespace, const struct stat& owner, const char* link) noexcept {
  // Into its own namespace it may already be: EINVAL, and the ids are the host's.
  const bool entered = ::setns(user_namespace, CLONE_NEWUSER) == 0;
  if (!entered && errno != EINVAL) return exit_unknown;
  const bool taken =
      entered ? take_ids_in_child(0, 0)
              : ::geteuid() == owner.st_uid || take_ids_in_child(owner.st_uid, owner.st_gid);
  if (!taken) return exit_unknown;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return exit_unknown;
  std::array<char, 1> byte{};
  if (::readlink(link, byte.data(), byte.size()) >= 0) return exit_readable;
  return errno == EACCES ? exit_refused : exit_unknown;
}

}  // namespace

Dumpable look_as(pid_t pid) {
  std::array<char, 64> path{};
  (void)std::snprintf(path.data(), path.size(), "/proc/%d/ns/user", pid);
  const UniqueFd user_namespace(::open(path.data(), O_RDONLY | O_CLOEXEC));
  // Its status file belongs to whom it runs as, or to the root of its user namespace, who is the
  // same.
  (void)std::snprintf(path.data(), path.size(), "/proc/%d", pid);
  struct stat owner {};
  if (!user_namespace || ::stat(path.data(), &owner) != 0) return Dumpable::unknown;
  (void)std::snprintf(path.data(), path.size(), "/proc/%d/exe", pid);
  auto child = clone_child(0);
  if (!child) return Dumpable::unknown;
  if (child->pid == 0) ::_exit(look_in_child(user_namespace.get(), owner, path.data()));
  const int status = reap_child(child->pid);
  if (!WIFEXITED(status)) return Dumpable::unknown;
  if (WEXITSTATUS(status) == exit_readable) return Dumpable::yes;
  return WEXITSTATUS(status) == exit_refused ? Dumpable::no : Dumpable::unknown;
}

}  // namespace tenantd

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdarg>
#include <string>

#include "shared/base/error.h"
#include "tests/isolation/driver/launcher_steps.h"

namespace tenantd {
namespace {

LauncherMask skipped = 0;

bool skips(LauncherStep step) { return (skipped & mask_of(step)) != 0; }

}  // namespace

void skip_launcher_steps(LauncherMask steps) noexcept { skipped = steps; }

}  // namespace tenantd

using tenantd::LauncherStep;
using tenantd::skips;

// The names are the linker's; the long one is write_existing_file.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
int __real_close_range(unsigned first, unsigned last, int flags);
int __wrap_close_range(unsigned first, unsigned last, int flags) {
  return skips(LauncherStep::close_descriptors) ? 0 : __real_close_range(first, last, flags);
}

int __real_mount_setattr(int directory, const char* path, unsigned flags, mount_attr* attributes,
                         std::size_t size);
int __wrap_mount_setattr(int directory, const char* path, unsigned flags, mount_attr* attributes,
                         std::size_t size) {
  mount_attr kept = *attributes;
  if (skips(LauncherStep::mount_nosuid)) kept.attr_set &= ~std::uint64_t{MOUNT_ATTR_NOSUID};
  if (skips(LauncherStep::mount_nodev)) kept.attr_set &= ~std::uint64_t{MOUNT_ATTR_NODEV};
  return __real_mount_setattr(directory, path, flags, &kept, size);
}

int __real_sigaction(int signal, const struct sigaction* action, struct sigaction* old);
int __wrap_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  if (skips(LauncherStep::default_signals)) return 0;
  return __real_sigaction(signal, action, old);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  std::va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_setresuid && skips(LauncherStep::become_uid)) return 0;
  if (number == SYS_setresgid && skips(LauncherStep::become_gid)) return 0;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}
}

tenantd::Status real_write_existing_file(const std::string& path, std::string_view text) asm(
    "__real__ZN7tenantd19write_existing_fileERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
    "St17basic_string_viewIcS3_E");
tenantd::Status wrap_write_existing_file(const std::string& path, std::string_view text) asm(
    "__wrap__ZN7tenantd19write_existing_fileERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
    "St17basic_string_viewIcS3_E");
tenantd::Status wrap_write_existing_file(const std::string& path, std::string_view text) {
  const bool groups = path.ends_with("/setgroups");
  if (groups && skips(LauncherStep::deny_setgroups)) return {};
  // No map at all would leave no identity: the host's root instead of the tenant.
  const bool root = (path.ends_with("/uid_map") && skips(LauncherStep::map_uid)) ||
                    (path.ends_with("/gid_map") && skips(LauncherStep::map_gid));
  return real_write_existing_file(path, root ? std::string_view("0 0 1") : text);
}
// NOLINTEND(bugprone-reserved-identifier)

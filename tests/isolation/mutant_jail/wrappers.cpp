// The jail's own objects, linked with --wrap: the calls that its launch spec names are not made and
// report success. Test only; the jail that is shipped has no such door.
//
// Runs in: the sandbox, in place of the jail.
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdarg>
#include <string_view>

#include "shared/contract/launch_spec.h"
#include "shared/os/sealed_memfd.h"
#include "tests/isolation/mutant_jail/steps.h"
#include "tests/isolation/probes/surroundings.h"

namespace tenantd {
namespace {

// A real supervisor's order: the tenant's id is this and the mask in hexadecimal.
constexpr std::string_view mutant_name = "mutant-";

bool skips(JailStep step) {
  // Read while the spec's descriptor is there: the first wrapped call is the first step.
  static const StepMask skipped = [] {
    LaunchSpec spec;
    if (!read_sealed_record(launch_spec_fd, spec)) return StepMask{0};
    StepMask mask = 0;
    const std::string_view name = spec.hostname.view();
    if (!name.starts_with(mutant_name)) return StepMask{read_order(spec).skipped_steps};
    (void)std::from_chars(name.data() + mutant_name.size(), name.data() + name.size(), mask, 16);
    return mask;
  }();
  return (skipped & mask_of(step)) != 0;
}

// The attributes that remain.
std::uint64_t without(std::uint64_t attributes, std::uint64_t attribute, JailStep step) {
  return skips(step) ? attributes & ~attribute : attributes;
}

struct LimitStep {
  int resource;
  JailStep step;
};
constexpr std::array limit_steps = {LimitStep{RLIMIT_CORE, JailStep::limit_core},
                                    LimitStep{RLIMIT_NOFILE, JailStep::limit_open_files},
                                    LimitStep{RLIMIT_FSIZE, JailStep::limit_file_size},
                                    LimitStep{RLIMIT_NPROC, JailStep::limit_processes},
                                    LimitStep{RLIMIT_MEMLOCK, JailStep::limit_locked_memory},
                                    LimitStep{RLIMIT_STACK, JailStep::limit_stack},
                                    LimitStep{RLIMIT_MSGQUEUE, JailStep::limit_message_queues},
                                    LimitStep{RLIMIT_RTPRIO, JailStep::limit_real_time},
                                    LimitStep{RLIMIT_NICE, JailStep::limit_nice}};

// Whether prctl(option) belongs to a step that is left out.
bool skips_prctl(int option) {
  switch (option) {
    case PR_SET_SECUREBITS:
      return skips(JailStep::securebits);
    case PR_CAPBSET_DROP:
      return skips(JailStep::bounding_set);
    case PR_CAP_AMBIENT:
      return skips(JailStep::ambient_set);
    case PR_SET_NO_NEW_PRIVS:
      return skips(JailStep::no_new_privileges);
    default:
      return false;
  }
}

bool skips_syscall(long number) {
  switch (number) {
    case SYS_capset:
      return skips(JailStep::clear_capabilities);
    case SYS_landlock_restrict_self:
      return skips(JailStep::landlock);
    case SYS_seccomp:
      return skips(JailStep::system_call_filter);
    default:
      return false;
  }
}

}  // namespace
}  // namespace tenantd

using tenantd::JailStep;
using tenantd::skips;

// The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
mode_t __real_umask(mode_t mask);
mode_t __wrap_umask(mode_t mask) { return skips(JailStep::umask) ? mask : __real_umask(mask); }

pid_t __real_setsid();
pid_t __wrap_setsid() { return skips(JailStep::own_session) ? 1 : __real_setsid(); }

int __real_unshare(int flags);
int __wrap_unshare(int flags) {
  return skips(JailStep::cgroup_namespace) ? 0 : __real_unshare(flags);
}

int __real_mount(const char* source, const char* target, const char* type, unsigned long flags,
                 const void* data);
int __wrap_mount(const char* source, const char* target, const char* type, unsigned long flags,
                 const void* data) {
  if (skips(JailStep::private_mounts)) return 0;
  return __real_mount(source, target, type, flags, data);
}

int __real_fsmount(int context, unsigned flags, unsigned attributes);
int __wrap_fsmount(int context, unsigned flags, unsigned attributes) {
  std::uint64_t kept = tenantd::without(attributes, MOUNT_ATTR_NOSUID, JailStep::tmpfs_nosuid);
  kept = tenantd::without(kept, MOUNT_ATTR_NODEV, JailStep::tmpfs_nodev);
  kept = tenantd::without(kept, MOUNT_ATTR_NOEXEC, JailStep::tmpfs_noexec);
  return __real_fsmount(context, flags, static_cast<unsigned>(kept));
}

int __real_mount_setattr(int directory, const char* path, unsigned flags, mount_attr* attributes,
                         std::size_t size);
int __wrap_mount_setattr(int directory, const char* path, unsigned flags, mount_attr* attributes,
                         std::size_t size) {
  mount_attr kept = *attributes;
  const bool root = path[0] == '/';
  if (root && skips(JailStep::read_only_root)) return 0;
  if (!root) {
    kept.attr_set = tenantd::without(kept.attr_set, MOUNT_ATTR_NOSUID, JailStep::bind_nosuid);
    kept.attr_set = tenantd::without(kept.attr_set, MOUNT_ATTR_NODEV, JailStep::bind_nodev);
    kept.attr_set = tenantd::without(kept.attr_set, MOUNT_ATTR_NOEXEC, JailStep::bind_noexec);
    kept.attr_set =
        tenantd::without(kept.attr_set, MOUNT_ATTR_NOSYMFOLLOW, JailStep::bind_nosymfollow);
    kept.attr_set = tenantd::without(kept.attr_set, MOUNT_ATTR_RDONLY, JailStep::bind_read_only);
  }
  return __real_mount_setattr(directory, path, flags, &kept, size);
}

int __real_umount2(const char* target, int flags);
int __wrap_umount2(const char* target, int flags) {
  return skips(JailStep::detach_host_root) ? 0 : __real_umount2(target, flags);
}

int __real_sethostname(const char* name, std::size_t size);
int __wrap_sethostname(const char* name, std::size_t size) {
  return skips(JailStep::host_name) ? 0 : __real_sethostname(name, size);
}

int __real_close_range(unsigned first, unsigned last, int flags);
int __wrap_close_range(unsigned first, unsigned last, int flags) {
  return skips(JailStep::close_descriptors) ? 0 : __real_close_range(first, last, flags);
}

int __real_setrlimit64(int resource, const rlimit64* limit);
int __wrap_setrlimit64(int resource, const rlimit64* limit) {
  for (const auto& one : tenantd::limit_steps) {
    if (one.resource == resource && skips(one.step)) return 0;
  }
  return __real_setrlimit64(resource, limit);
}

int __real_setgroups(std::size_t count, const gid_t* groups);
int __wrap_setgroups(std::size_t count, const gid_t* groups) {
  return skips(JailStep::clear_groups) ? 0 : __real_setgroups(count, groups);
}

int __real_setresgid(gid_t real, gid_t effective, gid_t saved);
int __wrap_setresgid(gid_t real, gid_t effective, gid_t saved) {
  return skips(JailStep::take_gid) ? 0 : __real_setresgid(real, effective, saved);
}

int __real_setresuid(uid_t real, uid_t effective, uid_t saved);
int __wrap_setresuid(uid_t real, uid_t effective, uid_t saved) {
  return skips(JailStep::take_uid) ? 0 : __real_setresuid(real, effective, saved);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...) {
  std::va_list list;
  va_start(list, option);
  std::array<unsigned long, 4> arguments{};
  for (unsigned long& argument : arguments) argument = va_arg(list, unsigned long);
  va_end(list);
  if (tenantd::skips_prctl(option)) return 0;
  return __real_prctl(option, arguments[0], arguments[1], arguments[2], arguments[3]);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  std::va_list list;
  va_start(list, number);
  std::array<long, 6> arguments{};
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (tenantd::skips_syscall(number)) return 0;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}
}
// NOLINTEND(bugprone-reserved-identifier)

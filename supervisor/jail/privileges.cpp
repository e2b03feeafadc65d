#include "supervisor/jail/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace tenantd {
namespace {

constexpr rlim_t stack_bytes = 8UL << 20U;
constexpr rlim_t locked_memory_bytes = 64UL << 10U;

Status drop_bounding_set() {
  for (unsigned long capability = 0;; ++capability) {
    const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) return {};  // EINVAL: past the kernel's last capability
    if (held == 1 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return fail_errno("PR_CAPBSET_DROP " + std::to_string(capability), errno);
    }
  }
}

Status take_host_identity(const LaunchSpec& spec) {
  if (LayerSet(spec.supervisor_layers).has(Layer::user_namespace)) return {};
  // An unprivileged supervisor without user namespaces has nothing to give up.
  if (::geteuid() == spec.host_uid && spec.host_uid != 0) return {};
  if (!LayerSet(spec.supervisor_layers).has(Layer::own_uid)) return {};
  if (::setgroups(0, nullptr) != 0) return fail_errno("setgroups", errno);
  if (::setresgid(spec.host_gid, spec.host_gid, spec.host_gid) != 0) {
    return fail_errno("setresgid", errno);
  }
  if (::setresuid(spec.host_uid, spec.host_uid, spec.host_uid) != 0) {
    return fail_errno("setresuid", errno);
  }
  return {};
}

}  // namespace

std::array<ResourceBound, 9> resource_bounds(const LaunchSpec& spec) noexcept {
  const rlim_t file_size =
      spec.file_size_limit_bytes == 0 ? RLIM_INFINITY : spec.file_size_limit_bytes;
  std::array<ResourceBound, 9> bounds = {{
      {RLIMIT_CORE, "core", 0},
      {RLIMIT_NOFILE, "nofile", spec.open_files_limit},
      {RLIMIT_FSIZE, "fsize", file_size},
      {RLIMIT_NPROC, "nproc", spec.processes_limit},
      {RLIMIT_MEMLOCK, "memlock", locked_memory_bytes},
      {RLIMIT_STACK, "stack", stack_bytes},
      {RLIMIT_MSGQUEUE, "msgqueue", 0},
      {RLIMIT_RTPRIO, "rtprio", 0},
      {RLIMIT_NICE, "nice", 0},
  }};
  for (ResourceBound& bound : bounds) {
    rlimit now{};
    if (::getrlimit(bound.resource, &now) == 0) bound.value = std::min(bound.value, now.rlim_max);
  }
  return bounds;
}

Status set_resource_limits(const LaunchSpec& spec) {
  for (const ResourceBound& bound : resource_bounds(spec)) {
    const rlimit wanted{bound.value, bound.value};
    if (::setrlimit(bound.resource, &wanted) != 0) {
      return fail_errno(std::string("setrlimit ") + bound.name, errno);
    }
  }
  return {};
}

Status drop_privileges(const LaunchSpec& spec) {
  constexpr unsigned long secure_bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                        SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                        SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                        SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (::prctl(PR_SET_SECUREBITS, secure_bits, 0, 0, 0) != 0) {
    return fail_errno("PR_SET_SECUREBITS", errno);
  }
  if (auto dropped = drop_bounding_set(); !dropped) return dropped;
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return fail_errno("PR_CAP_AMBIENT_CLEAR_ALL", errno);
  }
  if (auto taken = take_host_identity(spec); !taken) return taken;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return fail_errno("capset", errno);
  return {};
}

Status set_no_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs", errno);
  return {};
}

}  // namespace tenantd

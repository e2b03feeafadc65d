#include "supervisor/launch/host.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "supervisor/jail/landlock.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

struct NamespaceLayer {
  std::uint64_t flag;
  Layer layer;
};
constexpr std::array namespace_layers = {
    NamespaceLayer{CLONE_NEWUSER, Layer::user_namespace},
    NamespaceLayer{CLONE_NEWNS, Layer::mount_namespace},
    NamespaceLayer{CLONE_NEWPID, Layer::pid_namespace},
    NamespaceLayer{CLONE_NEWNET, Layer::network_namespace},
    NamespaceLayer{CLONE_NEWIPC, Layer::ipc_namespace},
    NamespaceLayer{CLONE_NEWUTS, Layer::uts_namespace},
};

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[capability / 32].effective & (1U << (capability % 32))) != 0;
}

// What a child could do in its new namespaces: a host may allow the clone and then nothing inside.
int exercise_in_child(std::uint64_t flags) {
  if ((flags & CLONE_NEWNS) != 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno;
  }
  if ((flags & CLONE_NEWUTS) != 0 && ::sethostname("probe", 5) != 0) return errno;
  return 0;
}

// 0 or the errno of what failed. `unshared` flags are tried by unshare(2) in the child.
int try_namespaces(std::uint64_t cloned, int unshared) {
  auto child = clone_child(cloned);
  if (!child) return child.error().os_errno;
  if (child->pid == 0) {
    int failed = exercise_in_child(cloned);
    if (failed == 0 && unshared != 0 && ::unshare(unshared) != 0) failed = errno;
    ::_exit(failed);
  }
  const int status = reap_child(child->pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

void miss(HostCapabilities& host, Layer layer, const std::string& why) {
  host.available.remove(layer);
  host.explanations.push_back(std::string(layer_names[static_cast<std::size_t>(layer)]) + ": " +
                              why);
}

void probe_namespaces(HostCapabilities& host) {
  std::uint64_t all = 0;
  for (const auto& [flag, layer] : namespace_layers) all |= flag;
  const bool together = try_namespaces(all, 0) == 0;
  // The others are owned by the user namespace where there is one: try each as it will be used.
  const int user = together ? 0 : try_namespaces(CLONE_NEWUSER, 0);
  const std::uint64_t base = user == 0 ? CLONE_NEWUSER : 0;
  for (const auto& [flag, layer] : namespace_layers) {
    const int failed = together ? 0 : flag == CLONE_NEWUSER ? user : try_namespaces(base | flag, 0);
    if (failed == 0) {
      host.namespace_flags |= flag;
    } else {
      miss(host, layer, std::string("the host refuses it: ") + std::strerror(failed));
    }
  }
  const int failed = try_namespaces(base, CLONE_NEWCGROUP);
  if (failed != 0) {
    miss(host, Layer::cgroup_namespace,
         std::string("the host refuses it: ") + std::strerror(failed));
  }
}

void probe_kernel_features(HostCapabilities& host) {
  host.landlock_abi = landlock_abi();
  if (host.landlock_abi < minimum_landlock_abi) {
    miss(host, Layer::landlock,
         "the kernel has Landlock ABI " + std::to_string(host.landlock_abi) + ", needed is " +
             std::to_string(minimum_landlock_abi));
  }
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    miss(host, Layer::seccomp,
         std::string("no filter can kill a process: ") + std::strerror(errno));
  }
  // Bounding set and securebits need this capability, here or in a user namespace.
  if (!host.available.has(Layer::user_namespace) && !has_capability(CAP_SETPCAP)) {
    miss(host, Layer::capabilities, "needs a user namespace or CAP_SETPCAP");
  }
}

void probe_cgroups(HostCapabilities& host, const CgroupBackend* cgroups, const std::string& why) {
  const LayerSet layers = cgroups == nullptr ? LayerSet{} : cgroups->layers();
  host.cgroup_mode = cgroups == nullptr ? CgroupMode::none : cgroups->mode();
  for (const Layer layer :
       {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids, Layer::cgroup_io}) {
    if (!layers.has(layer)) miss(host, layer, why.empty() ? "controller not available" : why);
  }
}

}  // namespace

HostCapabilities probe_host(const CgroupBackend* cgroups, const std::string& cgroup_explanation) {
  HostCapabilities host;
  host.available = LayerSet::all();
  host.privileged =
      has_capability(CAP_SETUID) && has_capability(CAP_SETGID) && has_capability(CAP_CHOWN);
  host.network_admin = has_capability(CAP_NET_ADMIN) && has_capability(CAP_SYS_ADMIN);
  host.detached_mounts = host.privileged && has_capability(CAP_SYS_ADMIN);
  probe_namespaces(host);
  if (!host.privileged) {
    miss(host, Layer::own_uid, "shared uid: an unprivileged supervisor cannot use other uids");
  }
  probe_kernel_features(host);
  probe_cgroups(host, cgroups, cgroup_explanation);
  return host;
}

std::string layer_list(LayerSet layers) {
  std::string text;
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    if (!layers.has(static_cast<Layer>(i))) continue;
    if (!text.empty()) text += ',';
    text += layer_names[i];
  }
  return text;
}

LayerSet required_layers(const ResourceLimits& limits, bool use_cgroup) {
  LayerSet required = LayerSet::all();
  if (limits.io_count == 0) required.remove(Layer::cgroup_io);
  if (use_cgroup) return required;
  for (const Layer layer :
       {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids, Layer::cgroup_io}) {
    required.remove(layer);
  }
  return required;
}

Status check_layers(const HostCapabilities& host, LayerSet required, LayerSet tolerated) {
  const LayerSet missing = required.without(host.available).without(tolerated);
  if (missing.empty()) return {};
  std::string message = "this host lacks required confinement layers: " + layer_list(missing);
  for (const std::string& line : host.explanations) {
    for (std::size_t i = 0; i < layer_names.size(); ++i) {
      const bool about = line.starts_with(std::string(layer_names[i]) + ":");
      if (about && missing.has(static_cast<Layer>(i))) message += "; " + line;
    }
  }
  LayerSet flag(tolerated.bits() | missing.bits());
  return fail(ErrorCode::layer_missing, message,
              "to go on without them: --tolerate-missing=" + layer_list(flag) +
                  ", or tolerate_missing in tenantd.toml");
}

Status drop_supplementary_groups() {
  if (::setgroups(0, nullptr) != 0) return fail_errno("setgroups", errno);
  return {};
}

}  // namespace tenantd

#include "tests/isolation/driver/mutations.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace tenantd {
namespace {

constexpr LeftOut jail(JailStep step) { return {.jail = mask_of(step)}; }
constexpr LeftOut launcher(LauncherStep step) { return {.launcher = mask_of(step)}; }
constexpr LeftOut layer(Layer one) {
  LeftOut out;
  out.layers.add(one);
  return out;
}
constexpr LeftOut with(LeftOut out, JailStep step) {
  out.jail |= mask_of(step);
  return out;
}

constexpr LeftOut no_filter = jail(JailStep::system_call_filter);
constexpr LeftOut no_user_namespace = layer(Layer::user_namespace);
constexpr std::string_view filter_first = "the filter would answer first";
constexpr std::string_view user_namespace_does = "a user namespace does the same";
constexpr std::string_view other_side = "launcher and jail both do it";

// A supervisor with capabilities that its children inherit.
void hand_capabilities_on(bool before) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  (void)::syscall(SYS_capget, &header, sets.data());
  for (auto& set : sets) set.inheritable = before ? set.permitted : 0;
  (void)::syscall(SYS_capset, &header, sets.data());
  if (before) (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
}
// A supervisor that may give its children a higher priority.
void offer_priorities(bool before) {
  const rlimit limit{before ? 10U : 0U, before ? 10U : 0U};
  (void)::setrlimit(RLIMIT_RTPRIO, &limit);
  (void)::setrlimit(RLIMIT_NICE, &limit);
}
void join_group(bool before) {
  constexpr gid_t group = 600'003;
  (void)::setgroups(before ? 1 : 0, &group);
}

constexpr std::array list = {
    // Namespaces and identity, by the launcher.
    Mutation{"user namespace", layer(Layer::user_namespace), "ns_user"},
    Mutation{"mount namespace", layer(Layer::mount_namespace), "ns_mnt"},
    Mutation{"pid namespace", layer(Layer::pid_namespace), "ns_pid"},
    Mutation{"network namespace", layer(Layer::network_namespace), "ns_net"},
    Mutation{"ipc namespace", layer(Layer::ipc_namespace), "ns_ipc"},
    Mutation{"uts namespace", layer(Layer::uts_namespace), "ns_uts"},
    Mutation{"setgroups denied", launcher(LauncherStep::deny_setgroups), "setgroups"},
    Mutation{"uid map", launcher(LauncherStep::map_uid), ""},
    Mutation{"gid map", launcher(LauncherStep::map_gid), "gid_map"},
    Mutation{"uid taken in the namespace", launcher(LauncherStep::become_uid), ""},
    Mutation{"gid taken in the namespace", launcher(LauncherStep::become_gid), ""},
    Mutation{"signals as they were", launcher(LauncherStep::default_signals), "",
             "exhaust_files.large_file", "SIGXFSZ", layer(Layer::pid_namespace),
             "process 1 of a namespace ends by no signal that it has no handler for"},
    Mutation{"descriptors, by the launcher", launcher(LauncherStep::close_descriptors), "",
             "descriptors.use_inherited", "allowed", jail(JailStep::close_descriptors), other_side},
    Mutation{"nosuid, by the launcher", launcher(LauncherStep::mount_nosuid), "mount /data", "", "",
             jail(JailStep::bind_nosuid), other_side},
    Mutation{"nodev, by the launcher", launcher(LauncherStep::mount_nodev), "mount /data", "", "",
             jail(JailStep::bind_nodev), other_side},

    // Control groups.
    Mutation{"control groups", {.group = true}, "cgroup_memory"},
    Mutation{"memory maximum",
             {.limits = [](ResourceLimits& limits) { limits.memory_max_bytes = 0; }},
             "",
             "exhaust_memory.anonymous",
             "allowed"},
    Mutation{"pids maximum",
             {.limits = [](ResourceLimits& limits) { limits.pids_max = 0; }},
             "",
             "exhaust_processes.threads",
             "allowed"},
    Mutation{"cpu quota",
             {.limits = [](ResourceLimits& limits) { limits.cpu_millicores = 0; }},
             "",
             "exhaust_processes.cpu",
             "allowed"},

    // The jail, in its order.
    Mutation{"umask", jail(JailStep::umask), "umask"},
    Mutation{"own session", jail(JailStep::own_session), "session"},
    Mutation{"cgroup namespace", jail(JailStep::cgroup_namespace), "ns_cgroup"},
    Mutation{"private mounts", jail(JailStep::private_mounts), "", "", "", no_user_namespace,
             user_namespace_does},
    Mutation{"tmpfs nosuid", jail(JailStep::tmpfs_nosuid), "mount /tmp"},
    Mutation{"tmpfs nodev", jail(JailStep::tmpfs_nodev), "mount /tmp"},
    Mutation{"tmpfs noexec", jail(JailStep::tmpfs_noexec), "mount /tmp"},
    Mutation{"data nosuid", jail(JailStep::bind_nosuid), "mount /data", "", "",
             launcher(LauncherStep::mount_nosuid), other_side},
    Mutation{"data nodev", jail(JailStep::bind_nodev), "", "devices.open_node_in_data", "allowed",
             launcher(LauncherStep::mount_nodev), other_side},
    Mutation{"data noexec", jail(JailStep::bind_noexec), "mount /data"},
    Mutation{"data nosymfollow", jail(JailStep::bind_nosymfollow), "mount /data"},
    Mutation{"link directory read-only", jail(JailStep::bind_read_only), "mount /link"},
    Mutation{"host's root detached", jail(JailStep::detach_host_root), "mounts"},
    Mutation{"root read-only", jail(JailStep::read_only_root), "mount /"},
    Mutation{"host name", jail(JailStep::host_name), "", "identity.read_host_name", "allowed",
             no_filter, filter_first},
    Mutation{"descriptors, by the jail", jail(JailStep::close_descriptors), "",
             "descriptors.hold_any", "allowed"},
    Mutation{"limit core", jail(JailStep::limit_core), "limit_core"},
    Mutation{"limit nofile", jail(JailStep::limit_open_files), "limit_nofile"},
    Mutation{"limit fsize", jail(JailStep::limit_file_size), "limit_fsize"},
    Mutation{"limit nproc", jail(JailStep::limit_processes), "limit_nproc"},
    Mutation{"limit memlock", jail(JailStep::limit_locked_memory), "limit_memlock"},
    Mutation{"limit stack", jail(JailStep::limit_stack), "limit_stack"},
    Mutation{"limit msgqueue", jail(JailStep::limit_message_queues), "limit_msgqueue"},
    Mutation{"limit rtprio",
             jail(JailStep::limit_real_time),
             "limit_rtprio",
             "",
             "",
             {},
             "",
             offer_priorities},
    Mutation{
        "limit nice", jail(JailStep::limit_nice), "limit_nice", "", "", {}, "", offer_priorities},
    Mutation{"securebits",
             jail(JailStep::securebits),
             "",
             "capabilities.keep_root_special",
             "allowed",
             {.jail = mask_of(JailStep::system_call_filter), .second_stage = true},
             filter_first},
    Mutation{"bounding set", jail(JailStep::bounding_set), "cap_bounding"},
    Mutation{"ambient set", jail(JailStep::ambient_set), "cap_ambient", "", "",
             with(no_user_namespace, JailStep::clear_capabilities),
             "a new user namespace and capset empty it too", hand_capabilities_on},
    Mutation{"capset", jail(JailStep::clear_capabilities), "cap_inheritable", "", "",
             no_user_namespace, "a new user namespace empties it too", hand_capabilities_on},
    Mutation{"groups", jail(JailStep::clear_groups), "groups", "", "", no_user_namespace,
             user_namespace_does, join_group},
    Mutation{"gid", jail(JailStep::take_gid), "gid", "", "", no_user_namespace,
             user_namespace_does},
    Mutation{"uid", jail(JailStep::take_uid), "", "", "", no_user_namespace, user_namespace_does},
    Mutation{"no_new_privs", jail(JailStep::no_new_privileges), ""},
    Mutation{"Landlock", jail(JailStep::landlock), "", "exhaust_files.files_in_data", "allowed"},
    Mutation{"system call filter", jail(JailStep::system_call_filter), "seccomp_filters"},

    // The program itself.
    Mutation{"second stage", {.second_stage = true}, "dumpable"},
};

}  // namespace

std::span<const Mutation> mutations() { return list; }

}  // namespace tenantd

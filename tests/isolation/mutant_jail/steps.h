// The single steps of the jail that its mutant can leave out while it reports success.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

namespace tenantd {

enum class JailStep : std::uint32_t {
  umask,
  own_session,
  cgroup_namespace,
  private_mounts,
  tmpfs_nosuid,
  tmpfs_nodev,
  tmpfs_noexec,
  bind_nosuid,
  bind_nodev,
  bind_noexec,
  bind_nosymfollow,
  bind_read_only,
  detach_host_root,
  read_only_root,
  host_name,
  close_descriptors,
  limit_core,
  limit_open_files,
  limit_file_size,
  limit_processes,
  limit_locked_memory,
  limit_stack,
  limit_message_queues,
  limit_real_time,
  limit_nice,
  securebits,
  bounding_set,
  ambient_set,
  clear_groups,
  take_gid,
  take_uid,
  clear_capabilities,
  no_new_privileges,
  landlock,
  system_call_filter,
  count,
};

using StepMask = std::uint64_t;

constexpr StepMask mask_of(JailStep step) {
  return StepMask{1} << static_cast<std::uint32_t>(step);
}
constexpr StepMask mask_of(std::initializer_list<JailStep> steps) {
  StepMask mask = 0;
  for (const JailStep step : steps) mask |= mask_of(step);
  return mask;
}

}  // namespace tenantd

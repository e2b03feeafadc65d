// The single steps of the launcher that the driver can leave out: it is linked with --wrap.
#pragma once

#include <cstdint>

namespace tenantd {

enum class LauncherStep : std::uint32_t {
  close_descriptors,
  deny_setgroups,
  map_uid,
  map_gid,
  mount_nosuid,
  mount_nodev,
  become_uid,
  become_gid,
  default_signals,
  count,
};

using LauncherMask = std::uint32_t;
constexpr LauncherMask mask_of(LauncherStep step) {
  return LauncherMask{1} << static_cast<std::uint32_t>(step);
}

// Of the next launches of this process.
void skip_launcher_steps(LauncherMask steps) noexcept;

}  // namespace tenantd

// What each confinement layer needs of the kernel, and what newer kernels give beyond it.
//
// The required versions are met by Debian 12 (6.1). Sources: namespaces(7), capabilities(7),
// landlock(7), seccomp(2), mount_setattr(2), close_range(2), cgroups(7). docs/security.md shows
// this table; a test compares.
#pragma once

#include <array>
#include <string_view>

#include "shared/contract/process_contract.h"

namespace tenantd {

struct LayerNeed {
  std::string_view mechanism;
  std::string_view since;  // Linux
};

// By the number of the layer.
inline constexpr std::array<LayerNeed, static_cast<std::size_t>(Layer::count)> layer_needs = {{
    {"CLONE_NEWUSER, one uid and gid mapped, setgroups denied", "3.19"},
    {"CLONE_NEWNS, fsmount, mount_setattr with nosymfollow, pivot_root", "5.14"},
    {"CLONE_NEWPID", "3.8"},
    {"CLONE_NEWNET, no interface up", "3.8"},
    {"CLONE_NEWIPC", "3.8"},
    {"CLONE_NEWUTS", "3.8"},
    {"CLONE_NEWCGROUP", "4.6"},
    {"a uid and gid that nobody else has, no supplementary group", "2.6"},
    {"every set empty, bounding and ambient too, securebits locked", "4.3"},
    {"PR_SET_NO_NEW_PRIVS", "3.5"},
    {"Landlock ABI 2: reading, writing, making, removing, linking", "5.19"},
    {"seccomp filters that kill the process", "4.14"},
    {"nine resource limits, close_range", "5.9"},
    {"cgroup cpu: quota and weight", "4.5"},
    {"cgroup memory: maximum, out of memory kills the group alone", "4.19"},
    {"cgroup pids: maximum", "4.5"},
    {"cgroup io: bytes and operations a second", "4.5"},
}};
static_assert(!layer_needs.back().since.empty());

// Used where the kernel has it, never required.
struct LandlockBonus {
  int abi;
  std::string_view name;
  std::string_view since;
};
inline constexpr std::array landlock_bonuses = {
    LandlockBonus{3, "landlock: truncating files", "6.2"},
    LandlockBonus{4, "landlock: TCP bind and connect", "6.7"},
    LandlockBonus{5, "landlock: ioctl on devices", "6.10"},
    LandlockBonus{6, "landlock: abstract sockets and signals", "6.12"},
};

}  // namespace tenantd

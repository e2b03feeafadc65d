// The sealed record that tells the jail how to confine a program and the program what it is for.
//
// Written by the supervisor, read once by the jail and once by the program, both at launch_spec_fd.
// It holds no secret: the program may keep it readable. Layout is private to one build: the version
// is checked.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "shared/contract/fixed_text.h"
#include "shared/contract/process_contract.h"
#include "shared/contract/shards.h"
#include "shared/contract/tenant_settings.h"

namespace tenantd {

enum class ProgramKind : std::uint32_t {
  worker = 1,
  control = 2,
  encoder_compiler = 3,
  isolation_probe = 4,  // confined as the worker that it stands for
};

// What a program may do beyond what all may: bits of LaunchSpec::allowances.
enum class Allowance : std::uint32_t {
  internet_sockets = 1U << 0U,  // TCP and UDP, to whom its network's filter lets it
  any_tcp_port = 1U << 1U,      // more ports than connect_ports holds: Landlock bounds none
};
inline constexpr std::uint32_t all_allowances = (1U << 2U) - 1;

// How a mount gets into the program's root, which is a tmpfs, read-only once complete.
struct MountSpec {
  enum class Kind : std::uint32_t {
    none = 0,
    read_only_bind = 1,
    data_bind = 2,
    scratch_tmpfs = 3
  };
  Kind kind = Kind::none;
  // ≥ 0: the source is the detached mount (open_tree(2)) at first_mount_fd + index, made by a
  // supervisor that may. -1: the source is the path below, resolved by the jail itself.
  std::int32_t detached_index = -1;
  std::uint64_t size_bytes = 0;  // of a tmpfs
  FixedText<240> source{};
  FixedText<112> target{};  // absolute, inside the new root; created by the jail
};

struct LaunchSpec {
  static constexpr std::uint32_t magic_value = 0x746e7464;  // "tntd"
  static constexpr std::uint32_t version_value = 5;
  static constexpr std::size_t max_mounts = 12;
  static constexpr std::size_t max_data_files = 8;
  static constexpr std::size_t max_connect_ports = 64;

  std::uint32_t magic = magic_value;
  std::uint32_t version = version_value;
  ProgramKind kind = ProgramKind::worker;
  std::uint32_t mount_count = 0;
  std::uint64_t generation = 0;        // this run of the tenant's worker, from 1
  std::uint32_t tolerated_layers = 0;  // LayerSet bits that may be missing, from tenantd.toml
  std::uint32_t supervisor_layers =
      0;  // bits the supervisor has already provided (namespaces, cgroups, uid)
  std::uint32_t orphan_grace_ms = 60'000;
  std::uint32_t drain_timeout_ms = 10'000;
  std::uint64_t open_files_limit = 1024;    // RLIMIT_NOFILE
  std::uint64_t file_size_limit_bytes = 0;  // RLIMIT_FSIZE; 0: unlimited
  std::uint64_t memory_max_bytes = 0;       // what the cgroup enforces; bounds rings; 0: unknown
  std::uint64_t processes_limit = 64;       // RLIMIT_NPROC (threads of the uid)
  std::uint32_t host_uid = 0;  // taken by the jail itself only where there is no user namespace
  std::uint32_t host_gid = 0;
  // The only files of /data: made by the jail where they are missing, none can be added or removed.
  // None named: a program of somebody else's, which may make its own, as many as it likes.
  std::uint32_t data_file_count = 0;
  std::uint32_t allowances = 0;
  std::array<FixedText<32>, max_data_files> data_files{};
  // Of a pooled worker: how many home shards there are in all, and those of either kind that are
  // its. Each is a directory of /data with files of these names; /data itself holds
  // `running_file_name` then. 0: a worker of one tenant.
  std::uint32_t shard_count = 0;
  std::uint32_t reserved_too = 0;
  ShardSet shards{};
  FixedText<64> hostname{};
  // Zero for control. Of a pooled worker: its own id and bounds; tenants' come with link messages.
  TenantSettings tenant{};
  std::array<MountSpec, max_mounts> mounts{};
  // With internet_sockets: the only TCP ports that Landlock lets it connect to.
  std::uint32_t connect_port_count = 0;
  std::array<std::uint16_t, max_connect_ports> connect_ports{};
};

static_assert(std::is_trivially_copyable_v<LaunchSpec>);

[[nodiscard]] constexpr bool has_allowance(const LaunchSpec& spec, Allowance one) noexcept {
  return (spec.allowances & static_cast<std::uint32_t>(one)) != 0;
}

// Names the files that a program keeps in /data.
template <std::size_t N>
void set_data_files(LaunchSpec& spec, const std::array<std::string_view, N>& names) noexcept {
  static_assert(N <= LaunchSpec::max_data_files);
  spec.data_file_count = N;
  for (std::size_t i = 0; i < N; ++i) spec.data_files[i].assign_truncated(names[i]);
}

}  // namespace tenantd

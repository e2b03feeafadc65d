// Everything the supervisor and a confined program (worker, control, a tenant's own) agree on:
// descriptor numbers, exit codes, names of the confinement layers, places inside the program's
// root.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace tenantd {

// Descriptors of a confined program after the jail's exec. Nothing else is open.
inline constexpr int null_fd = 0;         // /dev/null
inline constexpr int log_out_fd = 1;      // pipe to the supervisor, one line a record
inline constexpr int log_err_fd = 2;      // the same pipe
inline constexpr int link_fd = 3;         // SEQPACKET to the supervisor, see link.h
inline constexpr int launch_spec_fd = 4;  // sealed memfd with a LaunchSpec
// Only until the jail has used them: the program to execute (O_PATH), then detached mounts.
inline constexpr int program_fd = 5;
inline constexpr int first_mount_fd = 6;

// Paths inside the program's root.
inline constexpr std::string_view data_path = "/data";  // the tenant's own data, writable, noexec
// The files that our programs keep there. They exist, if need be empty, before the program runs,
// and no other can be made: with the bound on a file's size they are the bound on the tenant's
// disk.
inline constexpr std::array<std::string_view, 8> worker_data_files = {
    "routes.db",    "routes.db-wal",  "routes.db-journal", "routes.db.lock",
    "routes.index", "routes.vectors", "routes.image-0",    "routes.image-1"};
// Of each shard's directory in a pooled worker.
inline constexpr std::array<std::string_view, 4> shard_data_files = {
    "routes.db", "routes.db-wal", "routes.db-journal", "routes.db.lock"};
inline constexpr std::array<std::string_view, 3> control_data_files = {"ledger.db", "ledger.db-wal",
                                                                       "ledger.db-journal"};
inline constexpr std::array<std::string_view, 1> compiler_data_files = {"model"};
// Files of the encoder that the tenant uses, read-only (tenantd-encoder: the directory to compile).
inline constexpr std::string_view encoders_path = "/encoders";
inline constexpr std::string_view scratch_path = "/tmp";  // small tmpfs, noexec
inline constexpr std::string_view link_socket_path = "/link/supervisor.sock";  // to register again

enum class ExitCode : int {
  clean = 0,             // asked to stop
  failed = 1,            // see the log
  bad_launch_spec = 64,  // the launch spec did not validate
  confinement = 65,      // a required layer could not be applied; a ConfinementReport said which
  exec_failed = 66,      // the program could not be executed
  store_locked = 67,     // another process writes this tenant's data
  orphaned = 68,         // nobody adopted the worker within orphan_grace; it drained
  barrier_closed = 69,   // who was to release the child died, or could not make its network
};

// One bit a layer. Names are what tenantd.toml's tolerate_missing and tenantctl status use.
enum class Layer : std::uint32_t {
  user_namespace = 0,
  mount_namespace,
  pid_namespace,
  network_namespace,
  ipc_namespace,
  uts_namespace,
  cgroup_namespace,
  own_uid,       // a uid no other tenant has
  capabilities,  // none, bounding set empty, securebits locked
  no_new_privs,
  landlock,
  seccomp,
  rlimits,
  cgroup_cpu,
  cgroup_memory,
  cgroup_pids,
  cgroup_io,
  count,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Layer::count)> layer_names =
    {
        "user_namespace", "mount_namespace",  "pid_namespace", "network_namespace", "ipc_namespace",
        "uts_namespace",  "cgroup_namespace", "own_uid",       "capabilities",      "no_new_privs",
        "landlock",       "seccomp",          "rlimits",       "cgroup_cpu",        "cgroup_memory",
        "cgroup_pids",    "cgroup_io",
};

// A set of layers.
class LayerSet {
 public:
  constexpr LayerSet() noexcept = default;
  explicit constexpr LayerSet(std::uint32_t bits) noexcept : bits_(bits & all_bits()) {}
  [[nodiscard]] static constexpr LayerSet all() noexcept { return LayerSet(all_bits()); }
  [[nodiscard]] constexpr bool has(Layer layer) const noexcept { return (bits_ & bit(layer)) != 0; }
  constexpr void add(Layer layer) noexcept { bits_ |= bit(layer); }
  constexpr void remove(Layer layer) noexcept { bits_ &= ~bit(layer); }
  [[nodiscard]] constexpr std::uint32_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] constexpr LayerSet without(LayerSet other) const noexcept {
    return LayerSet(bits_ & ~other.bits_);
  }
  friend constexpr bool operator==(LayerSet, LayerSet) noexcept = default;

 private:
  [[nodiscard]] static constexpr std::uint32_t bit(Layer layer) noexcept {
    return 1U << static_cast<std::uint32_t>(layer);
  }
  [[nodiscard]] static constexpr std::uint32_t all_bits() noexcept {
    return (1U << static_cast<std::uint32_t>(Layer::count)) - 1;
  }
  std::uint32_t bits_ = 0;
};

}  // namespace tenantd

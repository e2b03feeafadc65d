// tenantd.toml: the instance's own settings and what no tenant's file may exceed.
//
// Runs in: the supervisor, before anything else. The file belongs to root or to tenantd's own user
// and is the only place where confinement can be weakened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/contract/process_contract.h"
#include "shared/contract/shards.h"
#include "supervisor/config/diagnostics.h"
#include "supervisor/config/field_spec.h"
#include "supervisor/config/physical_config.h"
#include "supervisor/config/uid_range.h"

namespace tenantd {

enum class LogFormat : std::uint8_t { text = 0, json = 1 };
enum class LogLevel : std::uint8_t { debug = 0, info = 1, warn = 2, error = 3 };

struct RestartPolicyConfig {
  std::uint64_t backoff_min_ms = 0;
  std::uint64_t backoff_max_ms = 0;
  std::uint32_t crash_loop_count = 0;      // this many deaths ...
  std::uint64_t crash_loop_window_ms = 0;  // ... within this time: quarantine
};

// A rescan that would remove this many tenants at once waits for confirmation.
struct RemovalConfirmation {
  std::uint32_t max_tenants = 0;   // more than these, or
  std::uint32_t max_percent = 0;   // more than this share,
  std::uint32_t percent_from = 0;  // which counts from so many removals on
  [[nodiscard]] bool needed(std::uint64_t removed, std::uint64_t total) const noexcept {
    if (removed == 0) return false;
    return removed > max_tenants ||
           (removed >= percent_from && removed * 100 > std::uint64_t{max_percent} * total);
  }
};

struct LogConfig {
  LogFormat format = LogFormat::text;
  LogLevel level = LogLevel::info;
  std::uint32_t lines_per_second = 0;  // of one tenant's worker
};

// A tenant's file above these is refused; a plan's default above them is lowered to them.
struct Ceilings {
  std::uint32_t cpu_millicores = 0;
  std::uint64_t memory_max_bytes = 0;
  std::uint32_t pids_max = 0;
};

struct CgroupConfig {
  std::string root;                      // empty: the cgroup that tenantd was started in
  std::string name;                      // the group below it that holds all tenants
  std::vector<std::string> controllers;  // "cpu", "memory", "pids", "io"
};

struct WorkerConfig {
  std::string program;                     // empty: tenantd-worker of this installation
  std::vector<std::string> library_paths;  // bound read-only into every worker's root
};

inline constexpr std::uint32_t max_pool_workers = 64;

// The processes that standard tenants share.
struct PoolConfig {
  std::uint32_t workers = 0;  // 0: no standard tenant is run
  std::uint32_t shards = 0;   // fixed once there is data
  std::uint32_t cpu_millicores = 0;
  std::uint32_t cpu_weight = 0;
  std::uint64_t memory_max_bytes = 0;
  std::uint32_t pids_max = 0;
  std::uint32_t max_attachments = 0;
  std::uint64_t max_shard_bytes = 0;
  std::string problem;  // no key: why this host runs no standard tenant; found out at the start
};

struct HelloConfig {
  std::uint32_t max_per_second = 0;  // accepted connections of all users
  std::uint32_t max_per_second_per_uid = 0;
  std::uint32_t max_pending = 0;  // connections that have not said hello yet
};

// The isolation verifier.
struct VerifyConfig {
  bool on_start = true;           // of a tenant that is new
  std::uint64_t interval_ms = 0;  // between rounds over all tenants; 0: none
  std::string on_violation;       // a program; empty: none
};

// What became of an EncoderConfig at the start of the daemon.
struct PreparedEncoder {
  std::string name;
  std::string id;  // name@digest; empty while there is a problem
  std::uint32_t dimension = 0;
  std::string problem;  // why no tenant can have it
};

struct DaemonConfig {
  std::string tenants_dir;
  std::string state_dir;
  std::string run_dir;
  std::vector<std::string> accept_unenforced;  // of unenforced_names()
  std::vector<std::string> tolerate_missing;   // of layer_names; see tolerated_layers()
  std::uint32_t max_workers = 0;
  std::uint32_t start_concurrency = 0;
  std::uint64_t start_timeout_ms = 0;
  std::uint64_t hello_timeout_ms = 0;
  std::uint64_t drain_timeout_ms = 0;
  std::uint64_t orphan_grace_ms = 0;
  std::string admin_group;
  std::string region;  // empty: data_residency is not enforced
  UidRange uid_range;
  RestartPolicyConfig restart;
  RemovalConfirmation removal_confirmation;
  LogConfig log;
  Ceilings ceilings;
  CgroupConfig cgroup;
  WorkerConfig worker;
  PoolConfig pool;
  PhysicalHostConfig physical;
  HelloConfig hello;
  VerifyConfig verify;
  std::vector<EncoderConfig> encoders;
  std::vector<PreparedEncoder> prepared_encoders;  // no key: filled in at the start

  // Whether accept_unenforced covers a key: by its name or by its section's.
  [[nodiscard]] bool accepts_unenforced(const FieldSpec& row) const;
  [[nodiscard]] LayerSet tolerated_layers() const;
};

// Values of command line flags; they win over the file. Checked like the file's.
struct DaemonOverrides {
  std::optional<std::string> tenants_dir;
  std::optional<std::string> state_dir;
  std::optional<std::string> run_dir;
  std::optional<std::string> cgroup_root;
  std::vector<std::string> tolerate_missing;  // added to the file's
};

// `file` is for messages. Failure: every problem, invalid_config. The uid range is checked against
// `uid_files`.
[[nodiscard]] Checked<DaemonConfig> parse_daemon_config(std::string_view text,
                                                        const std::string& file,
                                                        const DaemonOverrides& overrides,
                                                        const UidFiles& uid_files);
// Reads the file at an absolute path (see secure_file.h for what is refused) and the host's uid
// files.
[[nodiscard]] Checked<DaemonConfig> load_daemon_config(const std::string& path,
                                                       const DaemonOverrides& overrides);
// What an empty tenantd.toml means.
[[nodiscard]] DaemonConfig default_daemon_config();

[[nodiscard]] std::span<const FieldSpec> daemon_fields();

}  // namespace tenantd

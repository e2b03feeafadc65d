// The part of the link between supervisor and control: commands, their answers, events and log
// lines.
//
// Control is confined and has no /proc, no cgroups and no tenants' data: what it shows of live
// tenants comes from these records. Fixed size; a Command is answered by any number of records and
// one CommandDone with the command's id. Paged, so that neither side ever queues more than one
// page.
#pragma once

#include <cstdint>

#include "shared/contract/link.h"
#include "shared/contract/verification.h"

namespace tenantd {

enum class CommandVerb : std::uint32_t {
  list_tenants = 1,  // TenantRecords in id order after `tenant_id`, at most `page_size`
  show_tenant = 2,
  restart_tenant = 3,   // also lifts a quarantine or a backoff
  reload = 4,           // rescan the tenants directory
  confirm_removal = 5,  // let a mass removal that waits for confirmation happen
  posture = 6,          // one PostureRecord of a live worker
  daemon_status = 7,    // one TenantRecord-free CommandDone with `daemon`
  verify = 8,           // VerifyProbeRecords of one tenant; `message` says what its plan is
};

struct Command {
  static constexpr LinkKind kind = LinkKind::command;
  LinkHeader header{};
  std::uint64_t command_id = 0;
  CommandVerb verb{};
  std::uint32_t page_size = 64;  // ≤ 64
  FixedText<64> tenant_id{};
  std::uint32_t requester_uid = 0;  // for the audit event
  std::uint32_t checks = 0;         // of verify: a CheckMask, not empty
};

enum class TenantState : std::uint32_t {
  sleeping = 0,  // no worker; the first attach starts one
  starting = 1,
  running = 2,
  draining = 3,
  backoff = 4,      // died; restarts at retry_at
  quarantined = 5,  // crash loop; restarts only by hand or by a changed file
  refused = 6,      // the file has never been valid, or this host cannot do what it asks
  adopting = 7,     // a survivor of an earlier supervisor is expected to register
  stopping = 8,     // file removed, worker going
};

struct TenantRecord {
  static constexpr LinkKind kind = LinkKind::tenant_record;
  static constexpr std::uint32_t pressure_unknown = UINT32_MAX;
  LinkHeader header{};
  std::uint64_t command_id = 0;
  FixedText<64> tenant_id{};
  FixedText<128> name{};
  FixedText<16> plan{};
  FixedText<16> isolation_level{};
  TenantState state{};
  std::int32_t pid = 0;  // 0: no worker
  std::uint32_t uid = 0;
  std::uint32_t shared_uid = 0;  // 1: unprivileged mode, all tenants have the daemon's uid
  std::uint64_t generation = 0;
  std::uint64_t restarts = 0;  // unexpected deaths since the supervisor started
  std::uint64_t uptime_ms = 0;
  std::uint64_t retry_in_ms = 0;   // of backoff
  std::uint64_t memory_bytes = 0;  // cgroup usage now; 0 with has_memory = 0
  std::uint64_t memory_max_bytes = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t cpu_usage_us = 0;
  std::uint32_t has_memory = 0;
  std::uint32_t cpu_quota_millicores = 0;  // 0: no quota
  std::uint32_t pids_max = 0;
  std::uint32_t pids_now = 0;
  std::uint32_t applied_layers = 0;
  std::uint32_t missing_layers = 0;
  // Of the tenant's cgroup, from its oldest living generation on.
  std::uint64_t throttled_us = 0;       // waited for its CPU quota
  std::uint64_t throttled_periods = 0;  // of 100 ms
  std::uint64_t memory_high_events = 0;
  // Hundredths of a percent of the last 10 s in which some task waited; pressure_unknown without.
  std::uint32_t memory_pressure = pressure_unknown;
  std::uint32_t cpu_pressure = pressure_unknown;
  std::uint64_t oom_deaths = 0;      // of the worker, since the supervisor started
  std::uint64_t oom_peak_bytes = 0;  // at the last of them
  WorkerStatus worker{};             // header unused; zero when unknown
  FixedText<256> reason{};           // why it is in this state, for people
  FixedText<512>
      config_error{};  // the newest file is broken: where and why; the last good one runs
  FixedText<256> not_enforced{};  // comma-separated keys
  FixedText<64> worker_id{};      // of a standard tenant: the pooled worker that has it
  // Of a platinum tenant's worker, for itself.
  FixedText<128> dedicated_cpus{};  // "2-3"; empty: none
  FixedText<32> numa_nodes{};       // that its memory comes from; empty: any
  std::uint64_t guaranteed_memory_bytes = 0;
  std::uint32_t cpu_partition = 0;   // 1: nobody else on the host runs on them
  std::uint32_t retention_days = 0;  // 0: none set
};

struct DaemonRecord {
  std::uint64_t tenants = 0;
  std::uint64_t running = 0;
  std::uint64_t uptime_ms = 0;
  std::uint64_t hellos = 0;
  std::uint64_t hellos_accepted = 0;
  std::uint64_t hellos_malformed = 0;
  std::uint64_t hellos_unknown_tenant = 0;
  std::uint64_t hellos_denied = 0;
  std::uint64_t hellos_late = 0;
  std::uint64_t hellos_overload = 0;
  std::uint64_t pending_removals = 0;  // > 0: `tenantctl reload --confirm-removal` is awaited
  // Of the isolation verifier, since the supervisor's start.
  std::uint64_t verifications = 0;
  std::uint64_t verifications_failed = 0;
  std::uint64_t isolation_violations = 0;  // probes that failed in them
  std::int64_t last_verification_ms = 0;   // UTC since the epoch; 0: none yet
  std::int32_t pid = 0;
  std::uint32_t cgroup_mode = 0;  // 0 none, 1 v1, 2 hybrid, 3 v2
  std::uint32_t privileged = 0;
  std::uint32_t missing_layers = 0;  // tolerated and missing on this host
  std::int32_t landlock_abi = 0;
  std::uint32_t cpu_partition = 0;  // 1: dedicated CPUs are taken from the whole host
  FixedText<16> version{};
  FixedText<96> cgroup_writer{};  // "libcgroup", "direct writes: <why>"
  FixedText<256> warning{};       // e.g. the tenants directory is unreadable
  // For platinum tenants: what tenantd.toml sets aside, and what of it tenants have.
  FixedText<128> set_aside_cpus{};
  FixedText<128> dedicated_cpus{};
  std::uint64_t set_aside_memory_bytes = 0;
  std::uint64_t guaranteed_memory_bytes = 0;
};

struct CommandDone {
  static constexpr LinkKind kind = LinkKind::command_done;
  LinkHeader header{};
  std::uint64_t command_id = 0;
  std::uint32_t error_code = 0;  // 0: done; else an ErrorCode
  std::uint32_t more = 0;        // list_tenants: more follow after the last id
  FixedText<256> message{};
  DaemonRecord daemon{};  // with daemon_status
};

// The posture of a live worker, read from /proc and cgroup files by the supervisor. One line a
// finding, "name=value" pairs separated by newlines, names sorted; see the posture page.
struct PostureRecord {
  static constexpr LinkKind kind = LinkKind::posture_record;
  LinkHeader header{};
  std::uint64_t command_id = 0;
  FixedText<64> tenant_id{};
  std::uint32_t as_expected = 0;  // 1: everything matches the expected posture
  std::uint32_t reserved = 0;
  FixedText<4096> facts{};
  FixedText<1024> deviations{};
};

enum class EventType : std::uint32_t {
  supervisor_started = 1,
  worker_started = 2,
  worker_ready = 3,
  worker_died = 4,
  worker_adopted = 5,
  worker_stopped = 6,
  tenant_quarantined = 7,
  config_applied = 8,
  config_rejected = 9,
  tenant_removed = 10,
  tenant_restarted = 11,  // by hand
  removal_held = 12,
  supervisor_stopping = 13,
  isolation_verified = 14,
  isolation_violated = 15,
  tenant_suspected = 16,  // a pooled worker died while it ran its request
  hook_failed = 17,       // on_start, on_stop or on_violation
  records_deleted = 18,   // control's own: of the ledger, past the tenant's retention_days
};

struct Event {
  static constexpr LinkKind kind = LinkKind::event;
  LinkHeader header{};
  std::int64_t wall_ms = 0;
  EventType type{};
  std::int32_t pid = 0;
  std::uint64_t worker_generation = 0;
  FixedText<64> tenant_id{};
  FixedText<256> detail{};
};

struct LogLine {
  static constexpr LinkKind kind = LinkKind::log_line;
  LinkHeader header{};
  std::int64_t wall_ms = 0;
  std::uint64_t worker_generation = 0;
  FixedText<64> tenant_id{};
  FixedText<512> text{};
  std::uint64_t suppressed_before = 0;  // lines dropped by the rate bound since the last one sent
};

}  // namespace tenantd

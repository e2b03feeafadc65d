// What operators (root, the daemon's own uid, the admin group) and control say to each other. The
// same structs, through json.h, are the bodies of --json output and of the HTTP API.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/protocol/messages.h"
#include "shared/protocol/verification_messages.h"

namespace tenantd {

struct AdminTenantsRequest {
  static constexpr MessageType type = MessageType::admin_tenants_request;
  std::string only_tenant;  // empty: all, paged
  std::string after_tenant;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("only_tenant", self.only_tenant, Bound{63});
    visit("after_tenant", self.after_tenant, Bound{63});
  }
};

struct TenantInfo {
  std::string id;
  std::string name;
  std::string plan;
  std::string isolation_level;
  std::string state;         // sleeping, starting, running, draining, backoff, quarantined, ...
  std::string reason;        // why, for people
  std::string config_error;  // the newest file is broken; the last good one runs
  std::vector<std::string> not_enforced;  // keys that are parsed but not enforced
  std::int32_t pid = 0;
  std::uint32_t uid = 0;
  bool shared_uid = false;
  std::uint64_t generation = 0;
  std::uint64_t restarts = 0;
  std::uint64_t uptime_ms = 0;
  std::uint64_t retry_in_ms = 0;
  bool has_memory = false;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t memory_max_bytes = 0;
  std::uint64_t cpu_usage_us = 0;
  std::uint32_t cpu_quota_millicores = 0;
  std::uint32_t pids_now = 0;
  std::uint32_t pids_max = 0;
  std::vector<std::string> confinement;          // layers in force
  std::vector<std::string> missing_confinement;  // tolerated and missing
  std::uint64_t routes = 0;
  std::uint64_t utterances = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t attachments = 0;
  std::uint64_t peer_faults = 0;
  bool store_degraded = false;
  std::string store_reason;
  std::uint64_t throttled_us = 0;       // waited for its CPU quota
  std::uint64_t throttled_periods = 0;  // of 100 ms
  std::uint64_t memory_high_events = 0;
  bool has_memory_pressure = false;   // the kernel keeps it
  std::uint32_t memory_pressure = 0;  // hundredths of a percent of the last 10 s
  bool has_cpu_pressure = false;
  std::uint32_t cpu_pressure = 0;
  std::uint64_t oom_deaths = 0;      // since the supervisor started
  std::uint64_t oom_peak_bytes = 0;  // at the last of them
  std::string worker_id;             // of a standard tenant: the pooled worker that has it
  std::string dedicated_cpus;        // of a platinum tenant: "2-3"; empty: none
  std::string cpu_exclusivity;       // of these: "host" (nobody else) or "tenantd"; empty: none
  std::string numa_nodes;            // that its memory comes from; empty: any
  std::uint64_t guaranteed_memory_bytes = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("id", self.id, Bound{63});
    visit("name", self.name, Bound{256});
    visit("plan", self.plan, Bound{32});
    visit("isolation_level", self.isolation_level, Bound{32});
    visit("state", self.state, Bound{32});
    visit("reason", self.reason, Bound{512});
    visit("config_error", self.config_error, Bound{1024});
    visit("not_enforced", self.not_enforced, Bound{64});
    visit("pid", self.pid);
    visit("uid", self.uid);
    visit("shared_uid", self.shared_uid);
    visit("generation", self.generation);
    visit("restarts", self.restarts);
    visit("uptime_ms", self.uptime_ms);
    visit("retry_in_ms", self.retry_in_ms);
    visit("has_memory", self.has_memory);
    visit("memory_bytes", self.memory_bytes);
    visit("memory_peak_bytes", self.memory_peak_bytes);
    visit("memory_max_bytes", self.memory_max_bytes);
    visit("cpu_usage_us", self.cpu_usage_us);
    visit("cpu_quota_millicores", self.cpu_quota_millicores);
    visit("pids_now", self.pids_now);
    visit("pids_max", self.pids_max);
    visit("confinement", self.confinement, Bound{32});
    visit("missing_confinement", self.missing_confinement, Bound{32});
    visit("routes", self.routes);
    visit("utterances", self.utterances);
    visit("requests", self.requests);
    visit("errors", self.errors);
    visit("attachments", self.attachments);
    visit("peer_faults", self.peer_faults);
    visit("store_degraded", self.store_degraded);
    visit("store_reason", self.store_reason, Bound{256});
    visit("throttled_us", self.throttled_us);
    visit("throttled_periods", self.throttled_periods);
    visit("memory_high_events", self.memory_high_events);
    visit("has_memory_pressure", self.has_memory_pressure);
    visit("memory_pressure", self.memory_pressure);
    visit("has_cpu_pressure", self.has_cpu_pressure);
    visit("cpu_pressure", self.cpu_pressure);
    visit("oom_deaths", self.oom_deaths);
    visit("oom_peak_bytes", self.oom_peak_bytes);
    visit("worker_id", self.worker_id, Bound{63});
    visit("dedicated_cpus", self.dedicated_cpus, Bound{128});
    visit("cpu_exclusivity", self.cpu_exclusivity, Bound{16});
    visit("numa_nodes", self.numa_nodes, Bound{32});
    visit("guaranteed_memory_bytes", self.guaranteed_memory_bytes);
  }
};

struct AdminTenants {
  static constexpr MessageType type = MessageType::admin_tenants;
  std::vector<TenantInfo> tenants;
  bool more = false;  // go on with after_tenant = the last id

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenants", self.tenants, Bound{64});
    visit("more", self.more);
  }
};

struct AdminRestart {
  static constexpr MessageType type = MessageType::admin_restart;
  std::string tenant;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
  }
};

struct AdminReload {
  static constexpr MessageType type = MessageType::admin_reload;
  bool confirm_removal = false;  // let a held mass removal happen

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("confirm_removal", self.confirm_removal);
  }
};

struct AdminDone {
  static constexpr MessageType type = MessageType::admin_done;
  std::string message;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("message", self.message, Bound{512});
  }
};

struct AdminLogsRequest {
  static constexpr MessageType type = MessageType::admin_logs_request;
  std::string tenant;
  std::uint32_t lines = 100;         // the newest, ≤ 256
  std::uint64_t after_sequence = 0;  // only newer ones, for following

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("lines", self.lines);
    visit("after_sequence", self.after_sequence);
  }
};

struct LogEntry {
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 0;  // UTC since the epoch
  std::uint64_t generation = 0;
  std::uint64_t suppressed_before = 0;
  std::string text;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("sequence", self.sequence);
    visit("time_ms", self.time_ms);
    visit("generation", self.generation);
    visit("suppressed_before", self.suppressed_before);
    visit("text", self.text, Bound{1024});
  }
};

struct AdminLogs {
  static constexpr MessageType type = MessageType::admin_logs;
  std::vector<LogEntry> entries;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("entries", self.entries, Bound{256});
  }
};

struct AdminEventsRequest {
  static constexpr MessageType type = MessageType::admin_events_request;
  std::string tenant;        // empty: all
  std::uint32_t limit = 50;  // the newest, ≤ 256
  std::uint64_t after_sequence = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("limit", self.limit);
    visit("after_sequence", self.after_sequence);
  }
};

struct EventInfo {
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 0;
  std::string event;
  std::string tenant;
  std::int32_t pid = 0;
  std::uint64_t generation = 0;
  std::string detail;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("sequence", self.sequence);
    visit("time_ms", self.time_ms);
    visit("event", self.event, Bound{64});
    visit("tenant", self.tenant, Bound{63});
    visit("pid", self.pid);
    visit("generation", self.generation);
    visit("detail", self.detail, Bound{512});
  }
};

struct AdminEvents {
  static constexpr MessageType type = MessageType::admin_events;
  std::vector<EventInfo> events;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("events", self.events, Bound{256});
  }
};

struct AdminPostureRequest {
  static constexpr MessageType type = MessageType::admin_posture_request;
  std::string tenant;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
  }
};

struct AdminPosture {
  static constexpr MessageType type = MessageType::admin_posture;
  std::string tenant;
  bool as_expected = false;
  std::vector<std::string> facts;  // "name=value"
  std::vector<std::string> deviations;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("as_expected", self.as_expected);
    visit("facts", self.facts, Bound{256});
    visit("deviations", self.deviations, Bound{256});
  }
};

struct AdminDaemonRequest {
  static constexpr MessageType type = MessageType::admin_daemon_request;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};

struct AdminDaemon {
  static constexpr MessageType type = MessageType::admin_daemon;
  std::string version;
  std::int32_t pid = 0;
  std::uint64_t uptime_ms = 0;
  std::uint64_t tenants = 0;
  std::uint64_t running = 0;
  bool privileged = false;
  std::string cgroup_mode;  // none, v1, hybrid, v2
  std::vector<std::string> missing_confinement;
  std::uint64_t pending_removals = 0;
  std::string warning;
  std::uint64_t hellos = 0;
  std::uint64_t hellos_accepted = 0;
  std::uint64_t hellos_malformed = 0;
  std::uint64_t hellos_unknown_tenant = 0;
  std::uint64_t hellos_denied = 0;
  std::uint64_t hellos_late = 0;
  std::uint64_t hellos_overload = 0;
  std::string cgroup_writer;                   // "libcgroup", "direct writes: <why>"
  std::vector<std::string> bonus_confinement;  // beyond what is required, as the kernel has it
  // Of the isolation verifier, since the supervisor's start.
  std::uint64_t verifications = 0;
  std::uint64_t verifications_failed = 0;
  std::uint64_t isolation_violations = 0;     // probes that failed in them
  std::int64_t last_verification_ms = 0;      // UTC since the epoch; 0: none yet
  std::string set_aside_cpus;                 // for platinum tenants: "2-5,8"; empty: none
  std::string dedicated_cpus;                 // those of them that tenants have
  std::string cpu_exclusivity;                // "host" or "tenantd"; empty: none are set aside
  std::uint64_t set_aside_memory_bytes = 0;   // that may be guaranteed
  std::uint64_t guaranteed_memory_bytes = 0;  // that is

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("version", self.version, Bound{32});
    visit("pid", self.pid);
    visit("uptime_ms", self.uptime_ms);
    visit("tenants", self.tenants);
    visit("running", self.running);
    visit("privileged", self.privileged);
    visit("cgroup_mode", self.cgroup_mode, Bound{16});
    visit("missing_confinement", self.missing_confinement, Bound{32});
    visit("pending_removals", self.pending_removals);
    visit("warning", self.warning, Bound{512});
    visit("hellos", self.hellos);
    visit("hellos_accepted", self.hellos_accepted);
    visit("hellos_malformed", self.hellos_malformed);
    visit("hellos_unknown_tenant", self.hellos_unknown_tenant);
    visit("hellos_denied", self.hellos_denied);
    visit("hellos_late", self.hellos_late);
    visit("hellos_overload", self.hellos_overload);
    visit("bonus_confinement", self.bonus_confinement, Bound{16});
    visit("cgroup_writer", self.cgroup_writer, Bound{96});
    visit("verifications", self.verifications);
    visit("verifications_failed", self.verifications_failed);
    visit("isolation_violations", self.isolation_violations);
    visit("last_verification_ms", self.last_verification_ms);
    visit("set_aside_cpus", self.set_aside_cpus, Bound{128});
    visit("dedicated_cpus", self.dedicated_cpus, Bound{128});
    visit("cpu_exclusivity", self.cpu_exclusivity, Bound{16});
    visit("set_aside_memory_bytes", self.set_aside_memory_bytes);
    visit("guaranteed_memory_bytes", self.guaranteed_memory_bytes);
  }
};

}  // namespace tenantd

// One run of a tenant's worker, and what makes them: behind interfaces, so that a simulation can
// play them.
//
// Runs in: supervisor. The worker's process is hostile; what it says comes back as WorkerEvents, in
// the loop's turn, after its messages have been validated.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/control_link.h"
#include "shared/contract/resource_limits.h"
#include "shared/os/fd.h"
#include "supervisor/config/tenant_config.h"
#include "supervisor/physical/allotment.h"

namespace tenantd {

struct DeathCause {
  enum class Kind : std::uint8_t { exited, signalled, out_of_memory, unknown };
  Kind kind = Kind::unknown;
  int value = 0;                 // exit code or signal number
  std::uint64_t peak_bytes = 0;  // of its memory, when out of it; 0: the kernel does not say

  // "exit code 1", "signal 11 (Segmentation fault)", "out of memory, peak 64M", "cause unknown".
  [[nodiscard]] std::string describe() const;
};

// From the worker's cgroup, now.
struct WorkerUsage {
  bool has_memory = false;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t cpu_usage_us = 0;
  std::uint32_t pids_now = 0;
  std::uint64_t throttled_us = 0;
  std::uint64_t throttled_periods = 0;
  std::uint64_t memory_high_events = 0;
  std::optional<std::uint32_t> memory_pressure;  // hundredths of a percent
  std::optional<std::uint32_t> cpu_pressure;
  // What of the file this host's cgroups do not enforce.
  bool enforces_memory_high = false;
  bool enforces_io_weight = false;
};

// A process that lives, or has lived and was not reaped. Destroying it neither kills nor waits.
class Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  virtual ~Worker() = default;

  [[nodiscard]] virtual pid_t pid() const = 0;
  [[nodiscard]] virtual uid_t uid() const = 0;
  [[nodiscard]] virtual std::uint64_t generation() const = 0;
  [[nodiscard]] virtual LayerSet applied_layers() const = 0;
  [[nodiscard]] virtual LayerSet missing_layers() const = 0;
  // Started with what another file would have changed: a new worker is needed.
  [[nodiscard]] virtual bool outdated_by(const TenantConfig& config) const = 0;
  // Of a pooled worker: those that its process may write.
  [[nodiscard]] virtual ShardSet shards() const = 0;
  [[nodiscard]] virtual WorkerUsage usage() const = 0;
  // What it has for itself; nothing but for platinum tenants.
  [[nodiscard]] virtual Allotment allotment() const { return {}; }

  virtual void drain(DrainReason reason, std::uint32_t timeout_ms) = 0;
  virtual void kill() = 0;  // SIGKILL; on_died follows
  virtual void update_settings(const TenantSettings& settings) = 0;
  [[nodiscard]] virtual Status apply_limits(const ResourceLimits& limits) = 0;
  // Takes the socket in any case. Error: it was not passed on.
  [[nodiscard]] virtual Status attach(Attach attach, UniqueFd socket) = 0;
  virtual void request_status() = 0;

  // Of a pooled worker, about one of its tenants. The settings go with each attachment.
  [[nodiscard]] virtual Status attach_tenant(const TenantSettings& settings, Attach attach,
                                             UniqueFd socket) = 0;
  virtual void update_tenant(const TenantSettings& settings) = 0;
  virtual void release_tenant(const TenantId& tenant, DrainReason reason) = 0;
  // WorkerEvents::on_rows_moved follows, unless it dies before.
  virtual void move_rows(const TenantId& tenant, std::uint32_t from, std::uint32_t to) = 0;
};

// What workers tell. `generation` tells a late word of an earlier run apart. After on_died the
// worker is not called again and may be destroyed, also within the call.
class WorkerEvents {
 public:
  WorkerEvents() = default;
  WorkerEvents(const WorkerEvents&) = delete;
  WorkerEvents& operator=(const WorkerEvents&) = delete;
  virtual ~WorkerEvents() = default;
  virtual void on_ready(const TenantId& tenant, std::uint64_t generation) = 0;
  virtual void on_registered(const TenantId& tenant, std::uint64_t generation) = 0;
  virtual void on_status(const TenantId& tenant, std::uint64_t generation,
                         const WorkerStatus& status) = 0;
  // `worker` is a pooled one; what it says of which tenant is its word only.
  virtual void on_rows_moved(const TenantId& worker, std::uint64_t generation,
                             const RowsMoved& moved) = 0;
  virtual void on_misbehaved(const TenantId& tenant, std::uint64_t generation,
                             const std::string& how) = 0;
  virtual void on_died(const TenantId& tenant, std::uint64_t generation, const DeathCause& cause,
                       const std::string& detail) = 0;
};

// What the tenants need from outside: time, processes, and somebody to tell.
class TenantHost {
 public:
  TenantHost() = default;
  TenantHost(const TenantHost&) = delete;
  TenantHost& operator=(const TenantHost&) = delete;
  virtual ~TenantHost() = default;

  [[nodiscard]] virtual std::uint64_t now_ms() const = 0;  // monotonic
  // Tenants::on_alarm is to be called at this time (or soon after); replaces the alarm before. 0:
  // none.
  virtual void set_alarm(std::uint64_t at_ms) = 0;
  // Launches; on_ready or on_died follow. Errors: layer_missing, invalid_config, unsupported and
  // permission_denied are for good (the host cannot do it), others are worth another try.
  [[nodiscard]] virtual Result<std::unique_ptr<Worker>> start_worker(const TenantId& tenant,
                                                                     const TenantConfig& config,
                                                                     std::uint64_t generation) = 0;
  // The newest generation that any supervisor of this run directory started; 0: none.
  [[nodiscard]] virtual std::uint64_t last_generation(const TenantId& tenant) const = 0;
  virtual void journal(EventType type, const TenantId& tenant, pid_t pid, std::uint64_t generation,
                       const std::string& detail) = 0;
  // Clients that wait for the tenant's worker: it is there, or will not be for now.
  virtual void worker_ready(const TenantId& tenant) = 0;
  virtual void worker_unavailable(const TenantId& tenant, const Error& error) = 0;
  // Its process is gone; also told while the tenants are in the middle of a step.
  // `crash`: why, if it died without being asked to; null: it was, or it never ran.
  virtual void worker_gone(const TenantId& tenant, const DeathCause* crash) = 0;
  // A running pooled worker's answer to Worker::move_rows.
  virtual void rows_moved(const TenantId& worker, const RowsMoved& moved) = 0;
  // A table cell that only a bug of ours reaches.
  virtual void impossible(const TenantId& tenant, const std::string& what) = 0;
};

}  // namespace tenantd

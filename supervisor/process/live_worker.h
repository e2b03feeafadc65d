// A worker's real process behind the interface of the tenants' state machine.
//
// Runs in: supervisor. Validates what the worker's link says; anything malformed, a flood or a
// closed link is misbehaviour. After its death it removes the record and the cgroup of its
// generation.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "supervisor/launch/launcher.h"
#include "supervisor/physical/physical_host.h"
#include "supervisor/process/cgroup_reaper.h"
#include "supervisor/process/program_process.h"
#include "supervisor/process/run_record.h"
#include "supervisor/tenant/worker.h"

namespace tenantd {

// What all workers share; outlives them.
struct WorkerServices {
  Loop& loop;
  CgroupBackend& cgroups;
  CgroupReaper& reaper;
  const RunRecords& records;
  ProgramBounds bounds;
  const PhysicalHost& physical;
  WorkerEvents* events = nullptr;
  std::function<void(const TenantId& tenant, pid_t pid, std::uint64_t generation,
                     std::string_view line, std::uint64_t suppressed)>
      on_line;
  // A worker's process is gone, and what it had of the host is free again.
  std::function<void(const TenantId& tenant, std::uint64_t generation)> on_ended = nullptr;
};

// RLIMIT_NOFILE of a worker: each attachment takes a socket, a ring's two memories and an eventfd.
[[nodiscard]] std::uint64_t open_files_limit(std::uint32_t max_attachments) noexcept;

// RLIMIT_FSIZE of a worker: the database's bound, and room for its log while a transaction grows.
// 0: no bound.
[[nodiscard]] std::uint64_t file_size_limit_bytes(std::uint64_t max_storage_bytes) noexcept;

class LiveWorker final : public Worker {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LiveWorker>> launched(const WorkerServices& services,
                                                                    RunRecord record,
                                                                    LaunchedProcess process);
  // Known from its record, verified against the kernel; has no link until connect().
  [[nodiscard]] static Result<std::unique_ptr<LiveWorker>> survivor(const WorkerServices& services,
                                                                    RunRecord record,
                                                                    UniqueFd pidfd);
  // It registered, and whoever is at the other end is this process. Error: `link` is closed.
  [[nodiscard]] Status connect(UniqueFd link);

  [[nodiscard]] const RunRecord& record() const noexcept { return record_; }
  [[nodiscard]] bool linked() const noexcept { return process_->linked(); }
  [[nodiscard]] CgroupName cgroup() const { return {record_.tenant, record_.generation}; }

  [[nodiscard]] pid_t pid() const override { return record_.pid; }
  [[nodiscard]] uid_t uid() const override { return record_.uid; }
  [[nodiscard]] std::uint64_t generation() const override { return record_.generation; }
  [[nodiscard]] LayerSet applied_layers() const override { return record_.applied; }
  [[nodiscard]] LayerSet missing_layers() const override { return record_.missing; }
  [[nodiscard]] bool outdated_by(const TenantConfig& config) const override;
  [[nodiscard]] ShardSet shards() const override { return record_.shards; }
  [[nodiscard]] WorkerUsage usage() const override;
  [[nodiscard]] Allotment allotment() const override { return record_.allotment; }
  void drain(DrainReason reason, std::uint32_t timeout_ms) override;
  void kill() override { process_->kill(); }
  void update_settings(const TenantSettings& settings) override;
  [[nodiscard]] Status apply_limits(const ResourceLimits& limits) override;
  [[nodiscard]] Status attach(Attach attach, UniqueFd socket) override;
  void request_status() override;
  [[nodiscard]] Status attach_tenant(const TenantSettings& settings, Attach attach,
                                     UniqueFd socket) override;
  void update_tenant(const TenantSettings& settings) override;
  void release_tenant(const TenantId& tenant, DrainReason reason) override;
  void move_rows(const TenantId& tenant, std::uint32_t from, std::uint32_t to) override;

 private:
  LiveWorker(const WorkerServices& services, RunRecord record);
  [[nodiscard]] Status watch(UniqueFd pidfd, UniqueFd link, UniqueFd log);
  void on_message(std::span<const std::byte> packet);
  void on_confinement(const ConfinementReport& report);
  void on_died(DeathCause cause);
  template <class T>
  void tell(const T& message);
  void misbehaved(const std::string& how);

  const WorkerServices& services_;
  RunRecord record_;
  std::unique_ptr<ProgramProcess> process_;
  std::uint64_t oom_kills_before_ = 0;
  std::string failure_;      // the jail's reason, told with the death
  UniqueFd network_report_;  // tenantd-network's, if it could not release the worker
  bool reported_ = false;
};

}  // namespace tenantd

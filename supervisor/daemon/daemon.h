// The supervisor as a whole: joins the tenants, their processes, the sockets, the files and
// control.
//
// Runs in: supervisor. One thread, one loop; nothing here waits. Owned by main.cpp, which wires it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/attach/broker.h"
#include "supervisor/attach/listener.h"
#include "supervisor/control/control_process.h"
#include "supervisor/daemon/options.h"
#include "supervisor/daemon/tenant_directory.h"
#include "supervisor/log/log.h"
#include "supervisor/pool/crash_witness.h"
#include "supervisor/pool/pooled_tenants.h"
#include "supervisor/process/hook_runner.h"
#include "supervisor/process/registration.h"
#include "supervisor/process/workforce.h"
#include "supervisor/retention/sleeper_sweep.h"
#include "supervisor/verify/verifier.h"

namespace tenantd {

// What main has found out and opened before; outlives the daemon.
struct DaemonParts {
  Loop& loop;
  Log& log;
  Options options;
  DaemonConfig config;
  InstallationPaths paths;
  CgroupBackend& cgroups;
  Launcher& launcher;
  PhysicalHost& physical;
  const AccountResolver& accounts;
};

class Daemon final : public TenantHost, public AttachTargets {
 public:
  explicit Daemon(DaemonParts parts);
  ~Daemon() override;

  // Adopts survivors, opens the sockets, reads the tenants directory. Errors: a socket cannot be
  // opened.
  [[nodiscard]] Status start();
  // SIGTERM: drains all workers, or leaves them to the next supervisor; then the loop ends.
  void stop();
  // SIGHUP: reads tenantd.toml and every tenant's file again.
  void reload();

  // TenantHost
  [[nodiscard]] std::uint64_t now_ms() const override;
  void set_alarm(std::uint64_t at_ms) override;
  [[nodiscard]] Result<std::unique_ptr<Worker>> start_worker(const TenantId& tenant,
                                                             const TenantConfig& config,
                                                             std::uint64_t generation) override;
  [[nodiscard]] std::uint64_t last_generation(const TenantId& tenant) const override;
  void journal(EventType type, const TenantId& tenant, pid_t pid, std::uint64_t generation,
               const std::string& detail) override;
  void worker_ready(const TenantId& tenant) override;
  void worker_unavailable(const TenantId& tenant, const Error& error) override;
  void worker_gone(const TenantId& tenant, const DeathCause* crash) override;
  void rows_moved(const TenantId& worker, const RowsMoved& moved) override;
  void impossible(const TenantId& tenant, const std::string& what) override;

  // AttachTargets
  [[nodiscard]] const AccessConfig* access_of(const TenantId& tenant) override;
  [[nodiscard]] Result<Readiness> request_worker(const TenantId& tenant) override;
  [[nodiscard]] Status hand_to_worker(const TenantId& tenant, Attach attach,
                                      UniqueFd socket) override;
  [[nodiscard]] Status hand_to_control(Attach attach, UniqueFd socket) override;

 private:
  [[nodiscard]] ControlServices control_services();
  [[nodiscard]] CommandTargets command_targets();
  [[nodiscard]] VerificationServices verification_services();
  [[nodiscard]] SleeperSweep::Services sweep_services();
  void sweep_sleepers();
  void run_hook(const TenantId& tenant, std::string PhysicalConfig::*program,
                std::uint64_t generation);
  void run_missed_hooks();
  void on_hook(bool problem, const std::string& message, std::string_view tenant);
  void on_verified(const VerifyReport& report, std::string_view why);
  [[nodiscard]] TenantDirectoryCallbacks directory_callbacks();
  void prepare_encoders();
  void check_pool();
  // What is on disk of tenants with a shard of their own.
  [[nodiscard]] static OwnShards read_own_shards(const DaemonParts& parts);
  // Moves shards as far as it can be done now, and wakes who has clients that wait.
  void reconcile_pool();
  // Those whose shard the pooled worker is to have, of `tenants`.
  [[nodiscard]] std::vector<TenantId> tenants_of(const TenantId& pool_worker,
                                                 std::vector<TenantId> tenants) const;
  // Standard tenants whose file went while no supervisor looked: the survivor lets go of them.
  void release_unknown(bool confirmed);
  void adopt_survivors();
  [[nodiscard]] std::uint64_t last_control_generation() const;
  [[nodiscard]] Status open_registration();
  [[nodiscard]] Status open_client_socket();
  void on_first_scan();
  // The tenant's survivor that has not registered yet, or none.
  [[nodiscard]] static LiveWorker* unregistered_worker(const Tenant& tenant);
  [[nodiscard]] bool is_awaited(const PeerCredentials& peer) const;
  [[nodiscard]] bool register_worker(const PeerCredentials& peer, const WorkerHello& hello,
                                     UniqueFd& socket);
  void on_worker_line(const TenantId& tenant, pid_t pid, std::uint64_t generation,
                      std::string_view line, std::uint64_t suppressed);
  void tell(EventType type, std::string_view tenant, pid_t pid, std::uint64_t generation,
            const std::string& detail);
  // Some tenant's phase has changed: what nobody needs any more is free for others, soon.
  void check_allotments();
  void release_allotments();
  // Before Linux 6.2 a change of any cpuset above gives a process all of its CPUs again: looked at
  // now and then where CPUs are set aside.
  void watch_affinity();
  void put_affinity_back();
  [[nodiscard]] std::size_t known_tenants() const;
  [[nodiscard]] std::size_t running_tenants() const;
  [[nodiscard]] DaemonRecord daemon_record() const;
  [[nodiscard]] Result<PostureRecord> posture_of(const Tenant& tenant) const;
  void apply_reloadable(const DaemonConfig& fresh);
  void finish_if_done();
  [[nodiscard]] LayerSet missing_layers() const;

  DaemonParts parts_;
  std::uint64_t started_ms_;
  CgroupReaper reaper_;
  RunRecords records_;
  WorkerServices services_;
  Workforce workforce_;
  Tenants tenants_;
  OwnShards own_shards_;
  PoolWorkers pool_workers_;
  PooledTenants pooled_;
  PoolMembers members_;
  HelloCounters counters_;
  Broker broker_;
  HelloReception reception_;
  ControlProcess control_;
  Verifier verifier_;
  HookRunner violation_hook_;
  HookRunner hooks_;  // of tenants' files
  struct VerifiedSums {
    std::uint64_t runs = 0;
    std::uint64_t failed = 0;
    std::uint64_t violations = 0;
    std::int64_t last_ms = 0;  // UTC
  };
  VerifiedSums verified_;
  TenantDirectory directory_;
  std::unique_ptr<Listener> clients_;
  std::unique_ptr<Registration> registration_;
  Timer alarm_;
  struct Accusation {
    TenantId tenant;
    TenantId worker;
    std::string how;
  };
  std::vector<Accusation> accusations_;  // to be brought once the tenants are between two steps
  std::vector<TenantId> adopted_pool_workers_;  // that may serve tenants whose file has gone
  Timer pool_timer_;
  static constexpr std::uint64_t affinity_period_ms = 5000;
  SleeperSweep sleepers_;
  Timer sleepers_timer_;
  Timer allotment_timer_;
  Timer affinity_timer_;
  Timer finish_;
  bool stopping_ = false;
  bool control_gone_ = false;
  std::uint64_t hooks_end_ms_ = 0;  // when an orderly stop waits for them no longer
};

}  // namespace tenantd

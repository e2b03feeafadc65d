// Makes workers: data directory, uid, launch spec, record, launch. And finds those that already
// live.
//
// Runs in: supervisor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "supervisor/config/daemon_config.h"
#include "supervisor/launch/data_directory.h"
#include "supervisor/launch/pool_directory.h"
#include "supervisor/process/live_worker.h"
#include "supervisor/process/network_claims.h"
#include "supervisor/process/network_helpers.h"

namespace tenantd {

// Where this instance keeps things.
struct InstallationPaths {
  std::string state_dir;
  std::string run_dir;
  std::string jail_program;
  std::string worker_program;
  std::string control_program;
  // Beside the jail, as all confined programs are.
  [[nodiscard]] std::string encoder_program() const {
    return jail_program.substr(0, jail_program.rfind('/') + 1) + "tenantd-encoder";
  }
  [[nodiscard]] std::string network_program() const {
    return jail_program.substr(0, jail_program.rfind('/') + 1) + "tenantd-network";
  }
  [[nodiscard]] std::string probe_program() const {
    return jail_program.substr(0, jail_program.rfind('/') + 1) + "tenantd-probe";
  }
  [[nodiscard]] std::string link_directory() const { return run_dir + "/link"; }
  [[nodiscard]] std::string record_directory() const { return run_dir + "/workers"; }
};

class Workforce {
 public:
  Workforce(WorkerServices& services, Launcher& launcher, UidAllocator uids,
            InstallationPaths paths);
  // Settings of tenantd.toml that workers are started with.
  void configure(const DaemonConfig& config);

  // Errors: as of prepare_data_directory and Launcher::launch.
  [[nodiscard]] Result<std::unique_ptr<Worker>> start(const TenantId& tenant,
                                                      const TenantConfig& config,
                                                      std::uint64_t generation);
  // Live workers of an earlier supervisor: record, boot, start ticks, uid and cgroup all agree.
  // Records of others are marked as ended.
  [[nodiscard]] std::vector<std::unique_ptr<LiveWorker>> find_survivors();
  // The newest generation of this tenant that this or an earlier supervisor started; 0: none.
  [[nodiscard]] std::uint64_t last_generation(const TenantId& tenant) const;
  // Whoever launches something else with a network has its helper reaped here too.
  [[nodiscard]] NetworkHelpers& network_helpers() noexcept { return network_helpers_; }
  // Everything that a worker of this tenant with this uid is launched with, but its generation and
  // before_release.
  [[nodiscard]] LaunchRequest request_for(const TenantId& tenant, const TenantConfig& config,
                                          uid_t uid) const;
  // The same for the worker itself, which alone has a network: a probe beside it would take its
  // address.
  [[nodiscard]] Status add_network(const TenantId& tenant, const TenantConfig& config,
                                   LaunchRequest& request, RunRecord& record);
  // What such a worker is launched with; of its mounts only the targets.
  [[nodiscard]] LaunchSpec spec_for(const TenantId& tenant, const TenantConfig& config) const;

 private:
  [[nodiscard]] std::unique_ptr<LiveWorker> verify(const RunRecord& record,
                                                   const std::string& boot_id);
  [[nodiscard]] bool in_its_cgroup(const RunRecord& record) const;
  [[nodiscard]] Result<uid_t> prepare_data(const TenantId& tenant,
                                           const TenantConfig& config) const;
  // On the host; empty: the tenant's encoder is built in, or not here at all.
  [[nodiscard]] std::string encoder_directory_of(const TenantConfig& config) const;

  WorkerServices& services_;
  Launcher& launcher_;
  UidAllocator uids_;
  InstallationPaths paths_;
  std::string boot_id_;
  std::unordered_map<TenantId, std::uint64_t> last_generations_;
  NetworkClaims networks_;
  NetworkHelpers network_helpers_;
  std::string program_;
  std::vector<std::string> library_paths_;
  std::vector<PreparedEncoder> encoders_;
  LayerSet tolerated_;
  std::uint32_t orphan_grace_ms_ = 0;
  std::uint32_t drain_timeout_ms_ = 0;
};

}  // namespace tenantd

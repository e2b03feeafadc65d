// Makes workers: data directory, uid, launch spec, record, launch. And finds those that already
// live.
//
// Runs in: supervisor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "supervisor/config/daemon_config.h"
#include "supervisor/launch/data_place.h"
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
  Workforce(WorkerServices& services, Launcher& launcher, PhysicalHost& physical, UidAllocator uids,
            InstallationPaths paths);
  // Settings of tenantd.toml that workers are started with.
  void configure(const DaemonConfig& config);

  // Errors: as of prepare_data and Launcher::launch; invalid_config and permission_denied about a
  // storage root or a program that the host does not offer any more or others could have written.
  // Errors: as of PhysicalHost::allot, prepare_data_directory and Launcher::launch.
  [[nodiscard]] Result<std::unique_ptr<Worker>> start(const TenantId& tenant,
                                                      const TenantConfig& config,
                                                      std::uint64_t generation);
  // Live workers of an earlier supervisor: record, boot, start ticks, uid and cgroup all agree.
  // Records of others are marked as ended.
  [[nodiscard]] std::vector<std::unique_ptr<LiveWorker>> find_survivors();
  // Tenants and generations of workers that had ended when they were looked for.
  [[nodiscard]] std::vector<std::pair<TenantId, std::uint64_t>> take_unseen_ends() {
    return std::exchange(unseen_ends_, {});
  }
  // A survivor keeps what it has for itself, and stays or goes off what others have: its control
  // groups and every thread. Errors: as of CgroupBackend::place and set_process_cpus.
  [[nodiscard]] Status keep_in_place(const RunRecord& record);
  // The newest generation of this tenant that this or an earlier supervisor started; 0: none.
  [[nodiscard]] std::uint64_t last_generation(const TenantId& tenant) const;
  // The uid of the tenant's data directory, which is made where it is to be if need be. Errors: as
  // of prepare_placed_directory, or prepare_pool_directory.
  [[nodiscard]] Result<uid_t> prepare_data(const TenantId& tenant,
                                           const TenantConfig& config) const;
  // Beside the usual place, where data of tenants may be.
  [[nodiscard]] std::vector<std::string> storage_roots() const;
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
  // The CPUs that every thread of it may run on; empty: none are dedicated, so nobody cares.
  [[nodiscard]] CpuSet cpus_of(const Allotment& allotment) const;

 private:
  [[nodiscard]] std::unique_ptr<LiveWorker> verify(const RunRecord& record,
                                                   const std::string& boot_id);
  [[nodiscard]] bool in_its_cgroup(const RunRecord& record) const;
  [[nodiscard]] const std::string& program_of(const TenantConfig& config) const;
  [[nodiscard]] Status check_offers(const PhysicalConfig& wanted) const;
  // On the host; empty: the tenant's encoder is built in, or not here at all.
  [[nodiscard]] std::string encoder_directory_of(const TenantConfig& config) const;

  WorkerServices& services_;
  Launcher& launcher_;
  PhysicalHost& physical_;
  UidAllocator uids_;
  InstallationPaths paths_;
  std::string boot_id_;
  std::unordered_map<TenantId, std::uint64_t> last_generations_;
  std::vector<std::pair<TenantId, std::uint64_t>> unseen_ends_;
  NetworkClaims networks_;
  NetworkHelpers network_helpers_;
  std::string program_;
  std::vector<std::string> library_paths_;
  PhysicalHostConfig offers_;  // of the host to platinum tenants
  std::vector<PreparedEncoder> encoders_;
  LayerSet tolerated_;
  std::uint32_t orphan_grace_ms_ = 0;
  std::uint32_t drain_timeout_ms_ = 0;
};

}  // namespace tenantd

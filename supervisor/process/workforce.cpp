#include "supervisor/process/workforce.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "shared/os/process.h"
#include "supervisor/config/secure_file.h"
#include "supervisor/jail/launch_spec_check.h"
#include "supervisor/process/encoder_store.h"

namespace tenantd {
namespace {

// A database, its log, its index of the log, its journal and its lock.
constexpr std::uint32_t files_per_shard = 8;

}  // namespace

Workforce::Workforce(WorkerServices& services, Launcher& launcher, UidAllocator uids,
                     InstallationPaths paths)
    : services_(services), launcher_(launcher), uids_(uids), paths_(std::move(paths)) {
  if (auto boot_id = current_boot_id()) boot_id_ = std::move(*boot_id);
}

void Workforce::configure(const DaemonConfig& config) {
  program_ = config.worker.program.empty() ? paths_.worker_program : config.worker.program;
  library_paths_ = config.worker.library_paths;
  physical_ = config.physical;
  encoders_ = config.prepared_encoders;
  tolerated_ = config.tolerated_layers();
  orphan_grace_ms_ = static_cast<std::uint32_t>(config.orphan_grace_ms);
  drain_timeout_ms_ = static_cast<std::uint32_t>(config.drain_timeout_ms);
}

LaunchSpec Workforce::spec_for(const TenantId& tenant, const TenantConfig& config) const {
  LaunchSpec spec;
  spec.kind = ProgramKind::worker;
  spec.orphan_grace_ms = orphan_grace_ms_;
  spec.drain_timeout_ms = drain_timeout_ms_;
  spec.open_files_limit = open_files_limit(config.limits.max_attachments);
  spec.memory_max_bytes = config.resources.memory_max_bytes;
  (void)spec.hostname.assign(tenant.view());  // a TenantId fits
  spec.tenant = to_tenant_settings(config);
  spec.file_size_limit_bytes = file_size_limit_bytes(spec.tenant.max_storage_bytes);
  // A program of the host's owner makes files as it likes.
  if (program_of(config) == paths_.worker_program) set_data_files(spec, worker_data_files);
  if (config.pool) {
    set_data_files(spec, shard_data_files);
    spec.shard_count = config.pool->shard_count;
    spec.shards = config.pool->shards;
    spec.open_files_limit += std::uint64_t{files_per_shard} * config.pool->shards.count();
  }
  std::vector<std::string_view> targets = {data_path, scratch_path, link_directory_path};
  if (!encoder_directory_of(config).empty()) targets.push_back(encoders_path);
  targets.insert(targets.end(), library_paths_.begin(), library_paths_.end());
  for (const std::string_view target : targets) {
    if (spec.mount_count == LaunchSpec::max_mounts) break;  // the launcher refuses it
    spec.mounts[spec.mount_count++].target.assign_truncated(target);
  }
  return spec;
}

// A pooled worker sees all models: /encoders/<name>/<digest>.model.
std::string Workforce::encoder_directory_of(const TenantConfig& config) const {
  if (config.pool) return config.pool->has_encoders ? paths_.state_dir + "/encoders" : "";
  for (const PreparedEncoder& encoder : encoders_) {
    if (!encoder.id.empty() && encoder.id == config.router.encoder) {
      return encoder_directory_path(paths_.state_dir, encoder.name);
    }
  }
  return {};
}

const std::string& Workforce::program_of(const TenantConfig& config) const {
  return config.physical.program_path.empty() ? program_ : config.physical.program_path;
}

std::vector<std::string> Workforce::storage_roots() const {
  std::vector<std::string> roots;
  for (const NamedPath& root : physical_.storage_roots) roots.push_back(root.path);
  return roots;
}

// The last good file of a tenant can name what tenantd.toml does not list any more.
Status Workforce::check_offers(const PhysicalConfig& wanted) const {
  PhysicalConfig now = wanted;
  resolve_paths(now, physical_);
  if (now.storage_root != wanted.storage_root) {
    return fail(ErrorCode::invalid_config, "its storage root " + wanted.storage_root +
                                               " is not listed in tenantd.toml any more");
  }
  if (now.program_path != wanted.program_path) {
    return fail(ErrorCode::invalid_config,
                "its program " + wanted.program_path + " is not listed in tenantd.toml any more");
  }
  if (wanted.program_path.empty()) return {};
  const Status sound = check_secure_program(wanted.program_path, ::geteuid());
  if (sound) return {};
  return fail(ErrorCode::permission_denied,
              "its program " + sound.error().file + ' ' + sound.error().message,
              sound.error().hint);
}

Result<uid_t> Workforce::prepare_data(const TenantId& tenant, const TenantConfig& config) const {
  if (!config.pool) {
    const StorageWish wish{config.physical.storage_root, storage_roots()};
    return prepare_placed_directory(paths_.state_dir, wish, tenant, uids_);
  }
  return prepare_pool_directory(paths_.state_dir, tenant, config.pool->shard_count,
                                config.pool->shards, uids_);
}

LaunchRequest Workforce::request_for(const TenantId& tenant, const TenantConfig& config,
                                     uid_t uid) const {
  LaunchRequest request;
  request.spec = spec_for(tenant, config);
  request.program_path = program_of(config);
  request.jail_path = paths_.jail_program;
  request.data_directory = config.pool ? pool_directory_path(paths_.state_dir, tenant)
                                       : data_directory_path(paths_.state_dir, tenant);
  request.link_directory = paths_.link_directory();
  request.encoder_directory = encoder_directory_of(config);
  request.library_paths = library_paths_;
  request.uid = uid;
  request.gid = uid;
  request.tolerated = tolerated_;
  request.cgroup = CgroupName{tenant, 0};
  request.limits = to_resource_limits(config);
  request.use_cgroup = services_.cgroups.mode() != CgroupMode::none;
  return request;
}

Result<std::unique_ptr<Worker>> Workforce::start(const TenantId& tenant, const TenantConfig& config,
                                                 std::uint64_t generation) {
  if (Status offered = check_offers(config.physical); !offered) {
    return tl::unexpected(offered.error());
  }
  const auto uid = prepare_data(tenant, config);
  if (!uid) return tl::unexpected(uid.error());
  RunRecord record{tenant,
                   0,
                   0,
                   boot_id_,
                   generation,
                   *uid,
                   {},
                   {},
                   worker_fingerprint(config),
                   config.pool ? config.pool->shards : ShardSet{}};
  LaunchRequest request = request_for(tenant, config, *uid);
  request.cgroup.generation = generation;
  request.before_release = [this, &record](pid_t pid) -> Status {
    const auto ticks = process_start_ticks(pid);
    if (!ticks) return tl::unexpected(ticks.error());
    record.pid = pid;
    record.start_ticks = *ticks;
    return services_.records.write(record);
  };
  last_generations_[tenant] = generation;
  auto process = launcher_.launch(request);
  if (!process) {
    services_.records.end(record);
    return tl::unexpected(process.error());
  }
  record.applied = process->provided;
  record.missing = required_layers(request.limits, true).without(process->provided);
  const pid_t pid = process->pid;
  auto worker = LiveWorker::launched(services_, record, std::move(*process));
  if (!worker) {
    // Nobody would notice its death: it must not live. Our child, not reaped: the pid is still its
    // own.
    (void)::kill(pid, SIGKILL);
    (void)::waitpid(pid, nullptr, 0);
    services_.records.end(record);
    services_.reaper.reap({tenant, generation});
    return tl::unexpected(worker.error());
  }
  return std::unique_ptr<Worker>(std::move(*worker));
}

std::vector<std::unique_ptr<LiveWorker>> Workforce::find_survivors() {
  std::vector<std::unique_ptr<LiveWorker>> survivors;
  for (const RunRecord& record : services_.records.load_all()) {
    last_generations_[record.tenant] = record.generation;
    if (auto worker = verify(record, boot_id_)) {
      survivors.push_back(std::move(worker));
    } else if (record.pid != 0) {
      services_.records.end(record);
      unseen_ends_.emplace_back(record.tenant, record.generation);
    }
  }
  return survivors;
}

std::uint64_t Workforce::last_generation(const TenantId& tenant) const {
  const auto found = last_generations_.find(tenant);
  return found == last_generations_.end() ? 0 : found->second;
}

// The pidfd comes first: what is checked after it is about that process, not about a later one of
// its pid.
std::unique_ptr<LiveWorker> Workforce::verify(const RunRecord& record, const std::string& boot_id) {
  if (record.pid == 0 || record.boot_id != boot_id) return nullptr;
  auto pidfd = open_pidfd(record.pid);
  if (!pidfd) return nullptr;
  const auto ticks = process_start_ticks(record.pid);
  if (!ticks || *ticks != record.start_ticks) return nullptr;
  if (!in_its_cgroup(record)) return nullptr;
  auto worker = LiveWorker::survivor(services_, record, std::move(*pidfd));
  return worker ? std::move(*worker) : nullptr;
}

bool Workforce::in_its_cgroup(const RunRecord& record) const {
  if (services_.cgroups.mode() == CgroupMode::none) return true;
  const auto members = services_.cgroups.processes({record.tenant, record.generation});
  return members && std::find(members->begin(), members->end(), record.pid) != members->end();
}

}  // namespace tenantd

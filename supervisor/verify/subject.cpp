#include "supervisor/verify/subject.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace tenantd {
namespace {

constexpr std::string_view database_name = "/routes.db";

// Empty: it has none, or none that is there.
std::string database_of(const std::string& state_dir, const Tenant& process) {
  std::string path = data_path_of(state_dir, process);
  if (process.config->pool) {
    const ShardSet shards = shards_of(process);
    std::uint32_t shard = 0;
    while (shard < max_shards && !shards.has(shard)) ++shard;
    path.append("/").append(shard_directory_name(shard));
  }
  path += database_name;
  return ::access(path.c_str(), F_OK) == 0 ? path : std::string();
}

// The first of the others, in turn from `process` on, that `accept` takes.
template <class Accept>
const Tenant* next_other(const KnownTenants& known, const Tenant& process, Accept accept) {
  const auto& all = known.own.all();
  auto next = all.upper_bound(process.id);
  for (std::size_t i = 0; i + 1 < all.size(); ++i, ++next) {
    if (next == all.end()) next = all.begin();
    if (next->second.worker && next->second.config && accept(next->second)) return &next->second;
  }
  return nullptr;
}

}  // namespace

const Tenant* process_of(const KnownTenants& known, const TenantId& tenant) {
  const bool shares = known.pooled.find(tenant) != nullptr;
  const Tenant* const process =
      shares ? known.pool_workers.entry_of(tenant) : known.own.find(tenant);
  return process != nullptr && process->config != nullptr ? process : nullptr;
}

std::string data_path_of(const std::string& state_dir, const Tenant& process) {
  return process.config->pool ? pool_directory_path(state_dir, process.id)
                              : data_directory_path(state_dir, process.id);
}

ShardSet shards_of(const Tenant& process) {
  if (!process.config->pool) return {};
  return process.worker ? process.worker->shards() : process.config->pool->shards;
}

std::string foreign_database(const KnownTenants& known, const Tenant& process,
                             const std::string& state_dir) {
  const auto has_own = [&](const Tenant& other) {
    return !other.config->pool && !database_of(state_dir, other).empty();
  };
  if (const Tenant* const other = next_other(known, process, has_own)) {
    return database_of(state_dir, *other);
  }
  std::string shard = foreign_shard(known, process, state_dir);
  return shard.empty() ? state_dir + "/control/ledger.db" : shard;
}

std::string foreign_shard(const KnownTenants& known, const Tenant& process,
                          const std::string& state_dir) {
  const Tenant* const other = next_other(known, process, [&](const Tenant& one) {
    return one.config->pool && !database_of(state_dir, one).empty();
  });
  return other == nullptr ? std::string() : database_of(state_dir, *other);
}

pid_t foreign_process(const KnownTenants& known, const Tenant& process) {
  const Tenant* const other = next_other(known, process, [](const Tenant&) { return true; });
  return other == nullptr ? ::getpid() : other->worker->pid();
}

Result<uid_t> uid_of(const std::string& state_dir, const Tenant& process,
                     const UidAllocator& uids) {
  struct stat info {};
  if (::lstat(data_path_of(state_dir, process).c_str(), &info) == 0) return info.st_uid;
  if (!process.config->pool) return prepare_data_directory(state_dir, process.id, uids);
  const std::array<std::string, 2> taken = {state_dir + "/tenants", pool_path(state_dir)};
  const std::string marker =
      taken[1] + "/shards-" + std::to_string(process.config->pool->shard_count);
  if (::lstat(marker.c_str(), &info) == 0) return info.st_uid;
  return uids.lowest_free(taken);
}

}  // namespace tenantd

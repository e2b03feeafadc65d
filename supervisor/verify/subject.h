// Whose process a verification looks at, and whose files it must not reach.
//
// Runs in: the supervisor. A tenant with a worker of its own is looked at by that; a standard
// tenant by the pooled worker that is to have its shard; a pooled worker by itself.
#pragma once

#include <string>

#include "supervisor/pool/pooled_tenants.h"
#include "supervisor/process/workforce.h"

namespace tenantd {

struct KnownTenants {
  const Tenants& own;  // with a worker of their own, and the pooled workers
  const PooledTenants& pooled;
  const PoolWorkers& pool_workers;
};

// Null: there is no such tenant, it has no valid file, or no pooled worker is to have its shard
// now.
[[nodiscard]] const Tenant* process_of(const KnownTenants& known, const TenantId& tenant);

// What becomes /data of `process`.
[[nodiscard]] std::string data_path_of(const std::string& state_dir, const Tenant& process);

// The shards that `process` has, or is to have; none of a worker of one tenant.
[[nodiscard]] ShardSet shards_of(const Tenant& process);

// A database that another process writes and that is really there: of a tenant with a worker of its
// own, else of a pooled worker, else control's.
[[nodiscard]] std::string foreign_database(const KnownTenants& known, const Tenant& process,
                                           const std::string& state_dir);
// The same of a pooled worker only; empty: no other has one.
[[nodiscard]] std::string foreign_shard(const KnownTenants& known, const Tenant& process,
                                        const std::string& state_dir);
// Another tenant's worker, else the supervisor.
[[nodiscard]] pid_t foreign_process(const KnownTenants& known, const Tenant& process);

// The uid that `process` runs with, or would run with: of its data, of the pool's marker, or the
// one that it would be given. Makes nothing of what is the pool's.
[[nodiscard]] Result<uid_t> uid_of(const std::string& state_dir, const Tenant& process,
                                   const UidAllocator& uids);

}  // namespace tenantd

// Where the shards of standard tenants lie, and how they move between pooled workers.
//
// Runs in: the supervisor. <state_dir>/pool/
//   shards-64/            of the pool's uid: says how many shards there are, and whose they are
//   <worker-id>/NNN/      a shard, with the worker that had it last; <worker-id>/ is its /data
//   parked/NNN/           a shard on its way: given up by one worker, not yet taken by another
// A shard is in one of these places. It moves by rename(2), and only while no process has it open.
#pragma once

#include <sys/types.h>

#include <string>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/shards.h"
#include "supervisor/launch/data_directory.h"

namespace tenantd {

[[nodiscard]] std::string pool_path(const std::string& state_dir);
// The worker's /data.
[[nodiscard]] std::string pool_directory_path(const std::string& state_dir, const TenantId& worker);

// Whether data is there and divided otherwise. Errors: invalid_config, permission_denied.
[[nodiscard]] Status check_shard_count(const std::string& state_dir, std::uint32_t shard_count);

// Numbers of the shards that lie there, wherever.
[[nodiscard]] ShardSet shards_on_disk(const std::string& state_dir);

// Makes the worker's directory hold exactly `shards`: takes the missing ones from wherever they
// are, makes those that are nowhere, parks what it is to have no more. Returns the pool's uid,
// which no tenant ever gets. The worker must not run, nor any other that has one of `shards`.
// Errors: as of check_shard_count; unavailable (a process has a shard open all the same);
// resource_exhausted (no uid left); internal with errno.
[[nodiscard]] Result<uid_t> prepare_pool_directory(const std::string& state_dir,
                                                   const TenantId& worker,
                                                   std::uint32_t shard_count,
                                                   const ShardSet& shards,
                                                   const UidAllocator& uids);

}  // namespace tenantd

// Which pooled worker has which shard, and with what such a worker runs.
//
// Runs in: supervisor. Rendezvous hashing: a worker more takes shards from the others and a worker
// less leaves its own to them; no other shard moves.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/base/tenant_id.h"
#include "shared/contract/shards.h"
#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {

// "tenantd-pool-0": a tenant of the state machine, though no file says so.
[[nodiscard]] TenantId pool_worker_id(std::uint32_t number);

// "tenantd-pool-probation": has the shards of tenants whose requests killed another one.
[[nodiscard]] TenantId probation_worker_id();

// Which of `workers` (≥ 1) has the shard.
[[nodiscard]] std::uint32_t worker_of_shard(std::uint32_t shard, std::uint32_t workers);

// By the worker's number. With more workers than shards some may have none.
[[nodiscard]] std::vector<ShardSet> plan_shards(std::uint32_t shard_count, std::uint32_t workers);

[[nodiscard]] TenantConfig pool_worker_config(const TenantId& worker, const DaemonConfig& daemon,
                                              const ShardSet& shards, StartMode start);

}  // namespace tenantd

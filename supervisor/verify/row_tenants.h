// The two tenants by whom a shard's isolation is shown: they share the shard and nothing else.
//
// Runs in: the supervisor. Their ids are reserved, so no file can be theirs and no client can reach
// them; whose rows they could meet is decided by the shard, as of any tenant.
#pragma once

#include "shared/contract/tenant_settings.h"
#include "supervisor/config/reserved_id.h"
#include "supervisor/verify/probe_run.h"

namespace tenantd {

// "tenantd-verify-a-17": the same for a shard whenever it is asked for, so that what an interrupted
// run has left is met by the next one.
[[nodiscard]] TenantId row_tenant_id(RowSide side, std::uint32_t shard, std::uint32_t shard_count);

// Small bounds, the built-in encoder, both caches on.
[[nodiscard]] TenantSettings row_tenant_settings(const TenantId& id);

// Hands one end of a connection to `worker`, as of a client of the tenant, and returns the other.
// `own_shard`: as of TenantSettings.
[[nodiscard]] Result<UniqueFd> connect_row_tenant(Worker& worker, const TenantId& id,
                                                  std::uint32_t own_shard);

}  // namespace tenantd

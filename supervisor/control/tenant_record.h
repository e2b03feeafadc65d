// What control and its clients get to see of a tenant.
//
// Runs in: supervisor.
#pragma once

#include "shared/contract/control_link.h"
#include "supervisor/pool/pooled_tenants.h"
#include "supervisor/tenant/tenant.h"

namespace tenantd {

// Header and command id are left to the sender. Reads the tenant's cgroup.
[[nodiscard]] TenantRecord make_tenant_record(const Tenant& tenant, std::uint64_t now_ms,
                                              bool shared_uid);
// Of a standard tenant: `worker` is the pooled worker that has its shard, null if there is none.
[[nodiscard]] TenantRecord make_pooled_record(const TenantId& id, const PooledTenant& tenant,
                                              const TenantId& worker_id, const Tenant* worker,
                                              std::uint64_t now_ms, bool shared_uid);

}  // namespace tenantd

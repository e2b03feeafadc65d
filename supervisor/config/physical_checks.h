// What a tenant's [physical] section must satisfy, and what this host must have for it.
//
// Runs in: the supervisor.
#pragma once

#include "supervisor/config/tenant_checks.h"

namespace tenantd {

// The section belongs to the physical level alone, and what it names is in tenantd.toml.
void check_physical(const TenantConfig& config, const PlacedFields& fields,
                    const DaemonConfig& daemon, Diagnostics& diagnostics);

}  // namespace tenantd

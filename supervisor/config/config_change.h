// What a changed tenant file asks of a running worker.
//
// Runs in: the supervisor.
#pragma once

#include "supervisor/config/tenant_config.h"

namespace tenantd {

// Several can be set; all false: nothing but what only the supervisor uses has changed, or nothing
// at all.
struct ConfigChange {
  bool any = false;             // the two differ somewhere
  bool live_settings = false;   // send TenantSettings to the worker
  bool live_resources = false;  // write ResourceLimits to the cgroup
  bool access = false;          // judge the next hello by the new file
  bool needs_new_worker = false;
  friend bool operator==(const ConfigChange&, const ConfigChange&) = default;
};

// Both loaded by parse_tenant_config or load_tenant_config, for one tenant.
[[nodiscard]] ConfigChange diff(const TenantConfig& old, const TenantConfig& now);

}  // namespace tenantd

#include "supervisor/config/config_change.h"

namespace tenantd {

ConfigChange diff(const TenantConfig& old, const TenantConfig& now) {
  ConfigChange change;
  for (const FieldSpec& row : tenant_fields()) {
    if (row.same(&old, &now)) continue;
    change.any = true;
    change.live_settings |= row.applies == Applies::live_settings;
    change.live_resources |= row.applies == Applies::live_resources;
    change.access |= row.applies == Applies::access;
    change.needs_new_worker |= row.applies == Applies::new_worker;
  }
  // A share of memory_max unless the file says otherwise, and the worker's to keep.
  const auto cache_bytes = [](const TenantConfig& config) {
    return to_tenant_settings(config).max_cache_bytes;
  };
  change.live_settings |= cache_bytes(old) != cache_bytes(now);
  // What a pooled worker divides among its tenants it is told once, at its start.
  const bool pooled = old.pool || now.pool;
  if (old.pool != now.pool ||
      (pooled && (change.live_settings ||
                  old.resources.memory_max_bytes != now.resources.memory_max_bytes))) {
    change.any = true;
    change.needs_new_worker = true;
  }
  // Other paths by the same names, when tenantd.toml has changed.
  const PhysicalConfig& before = old.physical;
  const PhysicalConfig& after = now.physical;
  if (before.storage_root != after.storage_root || before.program_path != after.program_path) {
    change.any = true;
    change.needs_new_worker = true;
  }
  change.any |=
      before.on_start_path != after.on_start_path || before.on_stop_path != after.on_stop_path;
  // The defaults of accepted keys can change with tenantd.toml alone.
  change.any |= old.not_enforced != now.not_enforced;
  return change;
}

}  // namespace tenantd

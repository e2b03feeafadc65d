// What a tenant's file must satisfy beyond each key by itself.
//
// Runs in: the supervisor.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/tenant_id.h"
#include "supervisor/config/daemon_config.h"
#include "supervisor/config/diagnostics.h"
#include "supervisor/config/schema_reader.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {

// Where the file sets a key; refers to the fields it was made from.
class PlacedFields {
 public:
  explicit PlacedFields(std::span<const ReadField> fields) : fields_(fields) {}
  // {0, 0}: the file does not set it.
  [[nodiscard]] Place place(std::string_view full_name) const;
  [[nodiscard]] bool has(std::string_view full_name) const { return place(full_name).line != 0; }

 private:
  std::span<const ReadField> fields_;
};

// Keys that this version does not enforce, or not for this plan: into `not_enforced`, or into the
// diagnostics if they refuse the tenant. A boolean `false` asks for nothing.
void check_enforcement(std::span<const ReadField> fields, const DaemonConfig& daemon, Plan plan,
                       Diagnostics& diagnostics, std::vector<std::string>& not_enforced);

// The id, the plan's isolation level, contradictions and ceilings.
void check_tenant(const TenantConfig& config, const PlacedFields& fields, const TenantId& file_id,
                  const DaemonConfig& daemon, Diagnostics& diagnostics);

}  // namespace tenantd

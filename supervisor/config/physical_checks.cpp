#include "supervisor/config/physical_checks.h"

#include <algorithm>

#include "shared/base/units.h"
#include "supervisor/config/network_rules.h"

namespace tenantd {
namespace {

constexpr std::string_view section = "physical";

void check_level(const TenantConfig& config, const PlacedFields& fields, Diagnostics& diagnostics) {
  if (config.isolation_level == IsolationLevel::physical) return;
  for (const FieldSpec& row : tenant_fields()) {
    const std::string name = row.full_name();
    if (row.section != section || !fields.has(name)) continue;
    diagnostics.add(fields.place(name), name,
                    "belongs to isolation level \"physical\", and this tenant's is " +
                        quoted(isolation_level_name(*config.isolation_level)),
                    "remove it, or take plan \"platinum\"");
  }
}

void check_name(std::string_view key, const std::string& name, const std::vector<NamedPath>& known,
                std::string_view host_key, const PlacedFields& fields, Diagnostics& diagnostics) {
  if (name.empty() || find_named_path(known, name) != nullptr) return;
  std::vector<std::string_view> names;
  for (const NamedPath& path : known) names.push_back(path.name);
  const auto near = nearest_name(name, names);
  const std::string field = "physical." + std::string(key);
  diagnostics.add(
      fields.place(field), field,
      quoted(name) + " is not in [physical] " + std::string(host_key) + " of tenantd.toml",
      near ? "did you mean " + quoted(*near) + "?"
           : "an operator can add it there, a path of this host by that name",
      ErrorCode::unsupported);
}

void check_memory(const TenantConfig& config, const PlacedFields& fields,
                  Diagnostics& diagnostics) {
  const std::uint64_t wanted = config.physical.guaranteed_memory_bytes.value_or(0);
  const std::uint64_t most = config.resources.memory_max_bytes;
  if (most == 0 || wanted <= most) return;
  diagnostics.add(fields.place("physical.guaranteed_memory"), "physical.guaranteed_memory",
                  format_size(wanted) + " is more than the tenant may have, " + format_size(most),
                  "resources.memory_max is what it may have");
}

}  // namespace

void check_physical(const TenantConfig& config, const PlacedFields& fields,
                    const DaemonConfig& daemon, Diagnostics& diagnostics) {
  check_level(config, fields, diagnostics);
  if (config.isolation_level != IsolationLevel::physical) return;
  check_memory(config, fields, diagnostics);
  const PhysicalConfig& wanted = config.physical;
  const PhysicalHostConfig& host = daemon.physical;
  check_name("storage", wanted.storage, host.storage_roots, "storage_roots", fields, diagnostics);
  check_name("program", wanted.program, host.programs, "programs", fields, diagnostics);
  check_name("on_start", wanted.on_start, host.hooks, "hooks", fields, diagnostics);
  check_name("on_stop", wanted.on_stop, host.hooks, "hooks", fields, diagnostics);
  check_network(config, fields, host, diagnostics);
}

}  // namespace tenantd

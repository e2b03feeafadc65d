#include "supervisor/config/tenant_checks.h"

#include "supervisor/config/physical_checks.h"
#include "supervisor/config/reserved_id.h"

namespace tenantd {
namespace {

void check_id(const TenantConfig& config, const PlacedFields& fields, const TenantId& file_id,
              Diagnostics& diagnostics) {
  if (is_reserved_id(file_id.view())) {
    diagnostics.add({}, "id",
                    "ids that begin with " + quoted(reserved_id_prefix) + " are tenantd's own",
                    "rename the file");
  }
  if (!fields.has("id") || config.id == file_id.view()) return;
  const std::string file_name = file_id.str() + ".toml";
  diagnostics.add(fields.place("id"), "id",
                  quoted(config.id) + " is not the name of the file, " + file_name,
                  "rename the file to <id>.toml, or leave the id out");
}

// Why this host runs no standard tenant, if it does not.
std::string pool_problem(const PoolConfig& pool) {
  return pool.workers == 0 ? "there are no pooled workers" : pool.problem;
}

void check_plan(const TenantConfig& config, const PlacedFields& fields, const DaemonConfig& daemon,
                Diagnostics& diagnostics) {
  if (!fields.has("plan")) return;  // reported as missing or wrong
  const IsolationLevel level = *config.isolation_level;
  const std::string pair = "plan " + quoted(plan_name(config.plan)) + " with isolation level " +
                           quoted(isolation_level_name(level));
  const bool explicit_level = fields.has("isolation_level");
  const Place place = fields.place(explicit_level ? "isolation_level" : "plan");
  const std::string field = explicit_level ? "isolation_level" : "plan";
  switch (combination(config.plan, level)) {
    case Combination::runs: {
      if (config.plan != Plan::standard || pool_problem(daemon.pool).empty()) return;
      diagnostics.add(place, field,
                      pair + " cannot be run by this host: " + pool_problem(daemon.pool),
                      "look at [pool] of tenantd.toml", ErrorCode::unsupported);
      return;
    }
    case Combination::refused:
      diagnostics.add(place, field, pair + " is not offered",
                      "the plan's level is " +
                          quoted(isolation_level_name(plan_row(config.plan).default_level)));
      return;
  }
}

void check_residency(const TenantConfig& config, const PlacedFields& fields,
                     const DaemonConfig& daemon, Diagnostics& diagnostics) {
  if (daemon.region.empty() || config.data_residency.empty() ||
      config.data_residency == daemon.region) {
    return;
  }
  diagnostics.add(fields.place("data_residency"), "data_residency",
                  "the tenant's data must stay in " + quoted(config.data_residency) +
                      ", and this host is in " + quoted(daemon.region),
                  "run the tenant on a host there", ErrorCode::unsupported);
}

void check_contradictions(const TenantConfig& config, const PlacedFields& fields,
                          Diagnostics& diagnostics) {
  const RouterConfig& router = config.router;
  if (router.dense_weight == 0 && router.lexical_weight == 0) {
    const bool dense = fields.has("router.dense_weight");
    const std::string field = dense ? "router.dense_weight" : "router.lexical_weight";
    diagnostics.add(fields.place(field), field, "both weights are 0",
                    "give dense_weight or lexical_weight a value above 0");
  }
  const ResourceConfig& resources = config.resources;
  if (resources.memory_high_bytes && *resources.memory_high_bytes > resources.memory_max_bytes) {
    diagnostics.add(fields.place("resources.memory_high"), "resources.memory_high",
                    format_size(*resources.memory_high_bytes) + " is above memory_max, " +
                        format_size(resources.memory_max_bytes),
                    "lower memory_high, or leave it out for 7/8 of memory_max");
  }
  const auto cache_bytes = config.limits.max_cache_bytes;
  if (cache_bytes && *cache_bytes > resources.memory_max_bytes / 2) {
    diagnostics.add(fields.place("limits.max_cache_bytes"), "limits.max_cache_bytes",
                    format_size(*cache_bytes) + " is more than half of memory_max, " +
                        format_size(resources.memory_max_bytes),
                    "lower max_cache_bytes, or leave it out for 1/16 of memory_max");
  }
}

void check_devices(const TenantConfig& config, const PlacedFields& fields,
                   Diagnostics& diagnostics) {
  const std::vector<IoLimit>& io = config.resources.io;
  for (std::size_t i = 0; i < io.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (io[i].major != io[j].major || io[i].minor != io[j].minor) continue;
      diagnostics.add(fields.place("resources.io"), "resources.io",
                      "device " + std::to_string(io[i].major) + ':' + std::to_string(io[i].minor) +
                          " is listed twice",
                      "put its limits into one table");
    }
  }
}

// An encoder of this host must work and fit; any other name says whose vectors the tenant sends.
void check_encoder(const TenantConfig& config, const PlacedFields& fields,
                   const DaemonConfig& daemon, Diagnostics& diagnostics) {
  for (const PreparedEncoder& encoder : daemon.prepared_encoders) {
    if (encoder.name != config.router.encoder) continue;
    if (!encoder.problem.empty()) {
      diagnostics.add(fields.place("router.encoder"), "router.encoder",
                      quoted(encoder.name) + " cannot be used: " + encoder.problem,
                      "mend [encoders." + encoder.name + "] of tenantd.toml and restart tenantd");
    } else if (encoder.dimension != config.router.dimension) {
      const bool set = fields.has("router.dimension");
      const std::string field = set ? "router.dimension" : "router.encoder";
      diagnostics.add(fields.place(field), "router.dimension",
                      std::to_string(config.router.dimension) + " is not what the encoder " +
                          quoted(encoder.name) + " makes: " + std::to_string(encoder.dimension),
                      "set dimension = " + std::to_string(encoder.dimension));
    }
  }
}

void check_ceilings(const TenantConfig& config, const PlacedFields& fields,
                    const Ceilings& ceilings, Diagnostics& diagnostics) {
  const auto check = [&](std::string_view key, bool above, const std::string& value,
                         const std::string& ceiling) {
    if (!above) return;
    const std::string field = "resources." + std::string(key);
    diagnostics.add(fields.place(field), field, value + " is above this host's ceiling, " + ceiling,
                    "an operator can raise [ceilings] in tenantd.toml");
  };
  const ResourceConfig& resources = config.resources;
  check("cpu", resources.cpu_millicores > ceilings.cpu_millicores,
        format_cpu(resources.cpu_millicores), format_cpu(ceilings.cpu_millicores));
  check("memory_max", resources.memory_max_bytes > ceilings.memory_max_bytes,
        format_size(resources.memory_max_bytes), format_size(ceilings.memory_max_bytes));
  check("pids_max", resources.pids_max > ceilings.pids_max, std::to_string(resources.pids_max),
        std::to_string(ceilings.pids_max));
}

}  // namespace

Place PlacedFields::place(std::string_view full_name) const {
  const std::size_t dot = full_name.find('.');
  const std::string_view section =
      dot == std::string_view::npos ? std::string_view{} : full_name.substr(0, dot);
  const std::string_view key =
      dot == std::string_view::npos ? full_name : full_name.substr(dot + 1);
  for (const ReadField& field : fields_) {
    if (field.row->section == section && field.row->key == key) return field.place;
  }
  return {};
}

void check_enforcement(std::span<const ReadField> fields, const DaemonConfig& daemon, Plan plan,
                       Diagnostics& diagnostics, std::vector<std::string>& not_enforced) {
  const bool standard = plan == Plan::standard;
  for (const ReadField& field : fields) {
    const FieldSpec& row = *field.row;
    const bool* const flag = std::get_if<bool>(&field.value);
    const std::string name = row.full_name();
    if (standard && row.section == "resources") {
      not_enforced.push_back(name);  // it has no process of its own
      continue;
    }
    if (row.enforcement == Enforcement::enforced || (flag != nullptr && !*flag)) continue;
    if (name == "data_residency" && !daemon.region.empty()) continue;
    if (row.enforcement == Enforcement::not_enforced || daemon.accepts_unenforced(row)) {
      not_enforced.push_back(name);
    } else {
      diagnostics.add(
          field.place, name, "is not enforced by this version, so the tenant is refused",
          "remove it, or list it in accept_unenforced of tenantd.toml to run without it",
          ErrorCode::unsupported);
    }
  }
}

void check_tenant(const TenantConfig& config, const PlacedFields& fields, const TenantId& file_id,
                  const DaemonConfig& daemon, Diagnostics& diagnostics) {
  check_id(config, fields, file_id, diagnostics);
  check_plan(config, fields, daemon, diagnostics);
  check_residency(config, fields, daemon, diagnostics);
  check_contradictions(config, fields, diagnostics);
  check_devices(config, fields, diagnostics);
  check_ceilings(config, fields, daemon.ceilings, diagnostics);
  check_encoder(config, fields, daemon, diagnostics);
  check_physical(config, fields, daemon, diagnostics);
}

}  // namespace tenantd

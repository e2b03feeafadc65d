#include "supervisor/config/tenant_config.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "supervisor/config/daemon_config.h"
#include "supervisor/config/schema_reader.h"
#include "supervisor/config/secure_file.h"
#include "supervisor/config/tenant_checks.h"

namespace tenantd {
namespace {

// The defaults are text in the table and pass through the same reader as a file's values.
TenantConfig build_defaults(Plan plan) {
  const NoAccounts accounts;
  Diagnostics diagnostics("defaults");
  ReadContext context{accounts, diagnostics};
  TenantConfig config;
  config.plan = plan;
  TomlNode root;
  const std::string text = default_toml(tenant_fields(), static_cast<std::size_t>(plan));
  if (!parse_toml(text, diagnostics, root)) return config;
  for (ReadField& field : read_fields(tenant_fields(), root, {}, context)) {
    field.row->store(&config, std::move(field.value));
  }
  return config;
}

const TenantConfig& defaults_of(Plan plan) {
  static const std::array<TenantConfig, 3> all = {build_defaults(Plan::standard),
                                                  build_defaults(Plan::premium),
                                                  build_defaults(Plan::platinum)};
  return all[static_cast<std::size_t>(plan)];
}

Plan plan_of(const std::vector<ReadField>& fields) {
  for (const ReadField& field : fields) {
    if (field.row->section.empty() && field.row->key == "plan") {
      return static_cast<Plan>(std::get<std::uint64_t>(field.value));
    }
  }
  return Plan::premium;  // missing or wrong, which has been reported
}

void lower_to_ceilings(ResourceConfig& resources, const Ceilings& ceilings) {
  resources.cpu_millicores = std::min(resources.cpu_millicores, ceilings.cpu_millicores);
  resources.memory_max_bytes = std::min(resources.memory_max_bytes, ceilings.memory_max_bytes);
  resources.pids_max = std::min(resources.pids_max, ceilings.pids_max);
}

// Nobody else gains by a quota below CPUs that are the tenant's alone.
void raise_to_own_cpus(TenantConfig& config) {
  if (config.isolation_level != IsolationLevel::physical) return;
  std::uint32_t& quota = config.resources.cpu_millicores;
  if (quota != 0) quota = std::max(quota, 1000 * config.physical.cpus);
}

// The rows bound every such value to [0,1].
std::uint16_t to_e4(double fraction) {
  return static_cast<std::uint16_t>(std::lround(fraction * 10'000));
}

// Likewise.
std::uint32_t to_e6(double fraction) {
  return static_cast<std::uint32_t>(std::lround(fraction * 1'000'000));
}

template <class T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

Checked<TenantConfig> parse_tenant_config(std::string_view text, const std::string& file,
                                          const TenantId& file_id, const DaemonConfig& daemon,
                                          const AccountResolver& accounts) {
  Diagnostics diagnostics(file, file_id.str());
  ReadContext context{accounts, diagnostics};
  TomlNode root;
  if (!parse_toml(text, diagnostics, root)) return tl::unexpected(diagnostics.take());
  std::vector<ReadField> fields = read_fields(tenant_fields(), root, {}, context);
  // In the table's order, so that lists made from them do not depend on the file's.
  std::sort(fields.begin(), fields.end(),
            [](const ReadField& a, const ReadField& b) { return std::less<>()(a.row, b.row); });

  TenantConfig config = defaults_of(plan_of(fields));
  lower_to_ceilings(config.resources, daemon.ceilings);
  check_enforcement(fields, daemon, config.plan, diagnostics, config.not_enforced);
  for (ReadField& field : fields) field.row->store(&config, std::move(field.value));
  check_tenant(config, PlacedFields(fields), file_id, daemon, diagnostics);
  if (!diagnostics.empty()) return tl::unexpected(diagnostics.take());

  raise_to_own_cpus(config);
  // With the model's version, so that another one is a change of the file's meaning.
  for (const PreparedEncoder& encoder : daemon.prepared_encoders) {
    if (encoder.name == config.router.encoder) config.router.encoder = encoder.id;
  }
  resolve_paths(config.physical, daemon.physical);
  config.id = file_id.str();
  if (config.name.empty()) config.name = config.id;
  sort_unique(config.access.users);
  sort_unique(config.access.groups);
  sort_unique(config.access.token_sha256);
  return config;
}

Checked<TenantConfig> load_tenant_config(int directory_fd, const std::string& directory,
                                         const TenantId& id, const DaemonConfig& daemon,
                                         const AccountResolver& accounts) {
  const std::string name = id.str() + ".toml";
  const Result<std::string> text = read_secure_file(directory_fd, directory, name, ::geteuid());
  const std::string path = directory + '/' + name;
  if (!text) {
    Diagnostics diagnostics(path, id.str());
    diagnostics.add(text.error());
    return tl::unexpected(diagnostics.take());
  }
  return parse_tenant_config(*text, path, id, daemon, accounts);
}

TenantSettings to_tenant_settings(const TenantConfig& config) {
  TenantSettings settings;
  // The table bounds every text below its FixedText.
  (void)settings.tenant_id.assign(config.id);
  (void)settings.router.encoder.assign(config.router.encoder);
  (void)settings.router.fallback_route.assign(config.router.fallback_route);
  settings.router.dimension = config.router.dimension;
  settings.router.threshold = static_cast<float>(config.router.threshold);
  settings.router.dense_weight = static_cast<float>(config.router.dense_weight);
  settings.router.lexical_weight = static_cast<float>(config.router.lexical_weight);
  settings.router.rule_weight = static_cast<float>(config.router.rule_weight);
  settings.router.top_k = config.router.top_k;
  settings.router.aggregation = config.router.aggregation;
  settings.router.prototype_weight_e4 = to_e4(config.router.prototype_weight);
  settings.router.margin_e4 = to_e4(config.router.margin);
  settings.router.cache_enabled = config.router.cache_enabled ? 1 : 0;
  settings.router.index = config.router.index;
  settings.router.index_recall_e4 = to_e4(config.router.index_recall);
  settings.max_routes = config.limits.max_routes;
  settings.max_batch_size = config.limits.max_batch_size;
  settings.max_embeddings = config.limits.max_embeddings;
  settings.max_storage_bytes = config.limits.max_storage_bytes;
  settings.max_attachments = config.limits.max_attachments;
  settings.max_concurrent_requests = config.limits.max_concurrent_requests.value_or(0);
  settings.max_cache_bytes =
      config.limits.max_cache_bytes.value_or(config.resources.memory_max_bytes / 16);
  settings.max_cache_entries = config.limits.max_cache_entries;
  settings.cache_similarity_e4 = to_e4(config.router.cache_similarity);
  settings.executions_sample_e6 = to_e6(config.executions.sample);
  settings.max_executions = config.executions.max_entries;
  settings.retention_days = config.retention_days.value_or(0);
  return settings;
}

ResourceLimits to_resource_limits(const TenantConfig& config) {
  const ResourceConfig& resources = config.resources;
  ResourceLimits limits;
  limits.memory_max_bytes = resources.memory_max_bytes;
  limits.memory_high_bytes = resources.memory_high_bytes.value_or(resources.memory_max_bytes -
                                                                  resources.memory_max_bytes / 8);
  limits.cpu_millicores = resources.cpu_millicores;
  limits.cpu_weight = resources.cpu_weight;
  limits.pids_max = resources.pids_max;
  limits.io_weight = resources.io_weight;
  limits.io_count = static_cast<std::uint16_t>(resources.io.size());  // ≤ max_io by the table
  std::copy(resources.io.begin(), resources.io.end(), limits.io.begin());
  return limits;
}

}  // namespace tenantd

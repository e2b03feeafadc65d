// A tenant's file, read, checked and completed with its plan's defaults.
//
// Runs in: the supervisor. The text may be anything: whoever may write the file decides about one
// tenant, never about the host. Ceilings and what may go unenforced come from the root-owned
// tenantd.toml.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/tenant_id.h"
#include "shared/contract/resource_limits.h"
#include "shared/contract/shards.h"
#include "shared/contract/tenant_settings.h"
#include "supervisor/config/account_resolver.h"
#include "supervisor/config/diagnostics.h"
#include "supervisor/config/field_spec.h"
#include "supervisor/config/physical_config.h"
#include "supervisor/config/plan_matrix.h"

namespace tenantd {

struct DaemonConfig;

enum class StartMode : std::uint8_t { eager = 0, on_demand = 1 };

struct RouterConfig {
  std::uint32_t dimension = 0;
  std::string encoder;
  double threshold = 0;
  std::string fallback_route;
  Aggregation aggregation = Aggregation::max;
  std::uint16_t top_k = 0;
  double prototype_weight = 0;
  double margin = 0;
  double dense_weight = 0;
  double lexical_weight = 0;
  double rule_weight = 0;
  bool cache_enabled = false;
  double cache_similarity = 1;
  VectorIndexKind index = VectorIndexKind::exact;
  double index_recall = 0;
};

struct ResourceConfig {
  std::uint32_t cpu_millicores = 0;
  std::uint32_t cpu_weight = 0;
  std::optional<std::uint64_t> memory_high_bytes;  // unset: 7/8 of memory_max
  std::uint64_t memory_max_bytes = 0;
  std::uint32_t pids_max = 0;
  std::uint16_t io_weight = 0;
  std::vector<IoLimit> io;
};

// Who may attach. Root and the daemon's own uid may too, if `operators`.
struct AccessConfig {
  std::vector<std::uint32_t> users;   // uids, sorted
  std::vector<std::uint32_t> groups;  // gids, sorted
  std::vector<Sha256Digest> token_sha256;
  bool operators = true;
};

// Unset: no bound.
struct LimitConfig {
  std::optional<std::uint64_t> max_requests_per_second;
  std::optional<std::uint64_t> max_requests_per_day;
  std::uint32_t max_routes = 0;
  std::uint64_t max_embeddings = 0;
  std::uint64_t max_storage_bytes = 0;
  std::optional<std::uint64_t> max_cache_bytes;  // unset: 1/16 of memory_max
  std::uint32_t max_cache_entries = 0;
  std::optional<Money> daily_budget;
  std::optional<Money> monthly_budget;
  std::optional<std::uint32_t> max_concurrent_requests;
  std::uint32_t max_batch_size = 0;
  std::uint32_t max_attachments = 0;
};

// The history of what was routed.
struct ExecutionsConfig {
  double sample = 0;
  std::uint32_t max_entries = 0;
};

struct SecurityConfig {
  std::optional<bool> mfa_required;
  std::vector<std::string> ip_allowlist;
  std::optional<std::uint64_t> session_timeout_ms;
};

struct DatabaseConfig {
  std::optional<std::uint64_t> strategy;  // 0: database_per_tenant
  std::string host;
  std::string database;
  std::string credentials;  // a path, never a secret
};

struct IntegrationConfig {
  std::vector<std::string> providers;
  std::string cache_backend;
  std::string audit_backend;
};

// What makes a configuration that of a pooled worker, which no file asks for.
struct PoolShare {
  std::uint32_t shard_count = 0;  // in all
  ShardSet shards;                // its own
  bool has_encoders = false;      // those of tenantd.toml are mounted
  friend bool operator==(const PoolShare&, const PoolShare&) = default;
};

struct TenantConfig {
  std::string id;    // valid, equal to the file's name
  std::string name;  // for people; the id if the file gives none
  Plan plan = Plan::premium;
  std::optional<IsolationLevel> isolation_level;  // always set after loading
  std::optional<StartMode> start;                 // always set after loading
  std::string data_residency;
  std::optional<std::uint32_t> retention_days;
  std::optional<Money> budget_limit;
  RouterConfig router;
  ResourceConfig resources;
  AccessConfig access;
  LimitConfig limits;
  ExecutionsConfig executions;
  SecurityConfig security;
  DatabaseConfig database;
  IntegrationConfig integrations;
  PhysicalConfig physical;
  std::optional<PoolShare> pool;  // no key: of tenantd's own pooled workers only
  // Keys the file sets that this version does not enforce, in the table's order.
  std::vector<std::string> not_enforced;
};

// `text` of the file `<file_id>.toml`; `file` is its path for messages. The daemon's part:
// accept_unenforced and ceilings. Failure: every problem of the file, in its order;
// ErrorCode::invalid_config, or unsupported for what is valid but cannot run here. Pure but for the
// resolver. About 50 µs for a long file.
[[nodiscard]] Checked<TenantConfig> parse_tenant_config(std::string_view text,
                                                        const std::string& file,
                                                        const TenantId& file_id,
                                                        const DaemonConfig& daemon,
                                                        const AccountResolver& accounts);

// Reads `<id>.toml` in the open, checked directory (open_secure_directory) and parses it. Besides
// the above: not_found, permission_denied (see secure_file.h) or unavailable (being written: try
// again).
[[nodiscard]] Checked<TenantConfig> load_tenant_config(int directory_fd,
                                                       const std::string& directory,
                                                       const TenantId& id,
                                                       const DaemonConfig& daemon,
                                                       const AccountResolver& accounts);

// What the worker applies, and what the kernel enforces.
[[nodiscard]] TenantSettings to_tenant_settings(const TenantConfig& config);
[[nodiscard]] ResourceLimits to_resource_limits(const TenantConfig& config);

// The table behind it all, and what accept_unenforced may list (keys and whole sections).
[[nodiscard]] std::span<const FieldSpec> tenant_fields();
[[nodiscard]] std::span<const std::string_view> unenforced_names();

}  // namespace tenantd

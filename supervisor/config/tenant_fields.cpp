// The table of a tenant's file: one row a key.
#include <algorithm>

#include "shared/base/id_limits.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {
namespace {

template <auto Access>
FieldSpec at(FieldSpec row) {
  return bind_field<TenantConfig, Access>(row);
}
// The member a row fills.
#define TENANTD_AT(member)                                 \
  at < [](auto& config) -> auto& { return config.member; } \
  >

using enum ValueType;
constexpr auto not_enforced = Enforcement::not_enforced;
constexpr auto refuse_unless_accepted = Enforcement::refuse_unless_accepted;
constexpr auto settings = Applies::live_settings;
constexpr auto kernel = Applies::live_resources;
constexpr auto new_worker = Applies::new_worker;

constexpr std::uint64_t kibibyte = 1ULL << 10U;
constexpr std::uint64_t mebibyte = 1ULL << 20U;
constexpr std::uint64_t tebibyte = 1ULL << 40U;
constexpr std::uint64_t day_ms = 86'400'000;

constexpr std::string_view start_names[] = {"eager", "on_demand"};
constexpr std::string_view aggregation_names[] = {"max",      "mean",          "top_k_mean",
                                                  "centroid", "prototype_mix", "auto"};
constexpr std::string_view index_names[] = {"exact", "ivf"};
constexpr std::string_view strategy_names[] = {"database_per_tenant"};

using Rows = std::vector<FieldSpec>;

// One row a key, its parts in the order of FieldSpec.
// clang-format off
void add_top(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(id)({.key = "id", .type = text, .min = 1, .max = 63, .example = "\"acme-corp\"",
        .applies = new_worker,
        .doc = "The tenant's id: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`. Must equal the file's "
               "name without `.toml`, which is also its default."}),
    TENANTD_AT(name)({.key = "name", .type = text, .min = 1, .max = 127,
        .example = "\"Acme Corporation\"",
        .doc = "Shown to people. Default: the id."}),
    TENANTD_AT(plan)({.key = "plan", .type = choice, .choices = plan_names,
        .example = "\"premium\"", .applies = new_worker, .required = true,
        .doc = "What the tenant bought. Decides the defaults below."}),
    TENANTD_AT(isolation_level)({.key = "isolation_level", .type = choice,
        .choices = isolation_level_names,
        .plan_defaults = {"\"logical\"", "\"process\"", "\"physical\""}, .example = "\"process\"",
        .applies = new_worker,
        .doc = "How far the tenant is kept apart. See the matrix of plans."}),
    TENANTD_AT(data_residency)({.key = "data_residency", .type = text, .min = 1, .max = 63,
        .example = "\"us-east-1\"", .enforcement = refuse_unless_accepted, .applies = new_worker,
        .doc = "The region that the tenant's data must not leave. Enforced where `region` of "
               "tenantd.toml is set: another one refuses the tenant."}),
    TENANTD_AT(retention_days)({.key = "retention_days", .type = integer, .min = 1, .max = 36'500,
        .example = "90", .applies = settings,
        .doc = "Days that records of the tenant are kept: its history of executions, and its events "
               "in the ledger. What is older is deleted once a day. Default: no bound in time. "
               "`tenantctl tenant retention` tells."}),
    TENANTD_AT(budget_limit)({.key = "budget_limit", .type = money, .example = "\"10000.00 USD\"",
        .enforcement = not_enforced,
        .doc = "What the tenant may spend in all."}),
    TENANTD_AT(start)({.key = "start", .type = choice, .choices = start_names,
        .plan_defaults = {"\"on_demand\"", "\"eager\"", "\"eager\""}, .example = "\"on_demand\"",
        .doc = "`eager`: the worker runs from the start; `on_demand`: the first attachment "
               "starts it."}),
  });
}

void add_router(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(router.dimension)({.section = "router", .key = "dimension", .type = integer,
        .min = 1, .max = 8192, .fallback = "384", .example = "384", .applies = new_worker,
        .doc = "Length of every embedding of the tenant."}),
    TENANTD_AT(router.encoder)({.section = "router", .key = "encoder", .type = text, .min = 1,
        .max = max_encoder_id_bytes, .fallback = "\"hash\"", .example = "\"hash\"",
        .applies = new_worker,
        .doc = "`hash` is built in and encodes text; so does a model under `[encoders]` of "
               "tenantd.toml, whose dimension must be the tenant's. Any other name identifies the "
               "model that the tenant's own embeddings come from; text without an embedding is "
               "then refused."}),
    TENANTD_AT(router.threshold)({.section = "router", .key = "threshold", .type = real,
        .real_max = 1, .fallback = "0.5", .example = "0.5", .applies = settings,
        .doc = "Confidence below which the fallback answers. 0 is a threshold: everything "
               "matches."}),
    TENANTD_AT(router.fallback_route)({.section = "router", .key = "fallback_route", .type = text,
        .max = max_route_id_bytes, .fallback = "\"\"", .example = "\"general\"",
        .applies = settings,
        .doc = "The route answered below the threshold. Need not exist; empty: none."}),
    TENANTD_AT(router.aggregation)({.section = "router", .key = "aggregation", .type = choice,
        .choices = aggregation_names, .fallback = "\"auto\"", .example = "\"max\"",
        .applies = settings,
        .doc = "How the similarities of a route's utterances become the route's: the nearest "
               "(`max`), the mean of all, of the `top_k` nearest (`top_k_mean`), that of their "
               "`centroid`, or `prototype_mix`. `auto`: what finds the routes of most of the "
               "tenant's own utterances when each is left out."}),
    TENANTD_AT(router.top_k)({.section = "router", .key = "top_k", .type = integer, .min = 1,
        .max = 1000, .fallback = "3", .example = "5", .applies = settings,
        .doc = "Utterances that `top_k_mean` and `prototype_mix` average."}),
    TENANTD_AT(router.prototype_weight)({.section = "router", .key = "prototype_weight",
        .type = real, .real_max = 1, .fallback = "0.5", .example = "0.25", .applies = settings,
        .doc = "The centroid's share of `prototype_mix`; the rest is `top_k_mean`."}),
    TENANTD_AT(router.margin)({.section = "router", .key = "margin", .type = real, .real_max = 1,
        .fallback = "0", .example = "0.05", .applies = settings,
        .doc = "Lead in confidence over the second route below which the fallback answers, as "
               "ambiguous; also where several routes are asked for. Not where an `always` rule "
               "has decided."}),
    TENANTD_AT(router.dense_weight)({.section = "router", .key = "dense_weight", .type = real,
        .real_max = 1000, .fallback = "0.7", .example = "0.64", .applies = settings,
        .doc = "Weight of the embeddings' similarity."}),
    TENANTD_AT(router.lexical_weight)({.section = "router", .key = "lexical_weight", .type = real,
        .real_max = 1000, .fallback = "0.3", .example = "0.29", .applies = settings,
        .doc = "Weight of the words' score (BM25). Not both weights may be 0."}),
    TENANTD_AT(router.index)({.section = "router", .key = "index", .type = choice,
        .choices = index_names, .fallback = "\"exact\"", .example = "\"ivf\"",
        .applies = settings,
        .doc = "`exact`: a query reads every vector. `ivf`: from 10,000 vectors on, an inverted "
               "file is built in the background and a query reads the vectors near it, as long as "
               "`index_recall` is met on the tenant's own vectors. `tenantctl routes status` "
               "tells."}),
    TENANTD_AT(router.index_recall)({.section = "router", .key = "index_recall", .type = real,
        .real_min = 0.5, .real_max = 1, .fallback = "0.99", .example = "0.995",
        .applies = settings,
        .doc = "Share of queries that must find the best route of all through the index, with 95 % "
               "confidence; otherwise every query reads every vector. 1 is never met."}),
    TENANTD_AT(router.rule_weight)({.section = "router", .key = "rule_weight", .type = real,
        .real_max = 1000, .fallback = "1", .example = "0.5", .applies = settings,
        .doc = "How much a route's keywords and patterns say for it where they match: at 1 the "
               "first one multiplies its odds by seven. 0: nothing; `always` and `never` rules "
               "hold all the same."}),
    TENANTD_AT(router.cache_enabled)({.section = "router", .key = "cache_enabled", .type = boolean,
        .fallback = "false", .example = "true", .applies = settings,
        .doc = "Remember answers of repeated queries, for as long as routes and settings stay: the "
               "same query has the same answer without a search. A quarter of the tenant's cache is "
               "kept for that."}),
    TENANTD_AT(router.cache_similarity)({.section = "router", .key = "cache_similarity",
        .type = real, .real_min = 0.5, .real_max = 1, .fallback = "1", .example = "0.98",
        .applies = settings,
        .doc = "With `cache_enabled`: the cosine from which one of the last 256 queries, with the "
               "same options, answers for another one. 1: only for the same. Not for texts where "
               "routes have rules."}),
  });
}

void add_resources(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(resources.cpu_millicores)({.section = "resources", .key = "cpu", .type = cpu,
        .min = 10, .max = 1'024'000, .plan_defaults = {"\"50%\"", "\"100%\"", "\"400%\""},
        .example = "\"150%\"", .applies = kernel,
        .doc = "CPU time at most, in percent of one CPU: `\"50%\"` is half a CPU, `\"200%\"` "
               "two."}),
    TENANTD_AT(resources.cpu_weight)({.section = "resources", .key = "cpu_weight", .type = integer,
        .min = 1, .max = 10'000, .plan_defaults = {"50", "100", "400"}, .example = "200",
        .applies = kernel,
        .doc = "Share of CPU time when tenants compete (cgroup v2 scale; 100 is usual)."}),
    TENANTD_AT(resources.memory_high_bytes)({.section = "resources", .key = "memory_high",
        .type = size, .min = 16 * mebibyte, .max = tebibyte, .example = "\"224M\"",
        .applies = kernel,
        .doc = "Memory from which the worker is slowed and reclaimed (cgroup v2). Default: 7/8 "
               "of `memory_max`."}),
    TENANTD_AT(resources.memory_max_bytes)({.section = "resources", .key = "memory_max",
        .type = size, .min = 16 * mebibyte, .max = tebibyte,
        .plan_defaults = {"\"128M\"", "\"256M\"", "\"2G\""}, .example = "\"256M\"",
        .applies = kernel,
        .doc = "Memory above which the worker is killed and restarted."}),
    TENANTD_AT(resources.pids_max)({.section = "resources", .key = "pids_max", .type = integer,
        .min = 4, .max = 32'768, .plan_defaults = {"32", "64", "256"}, .example = "64",
        .applies = kernel,
        .doc = "Processes and threads at most."}),
    TENANTD_AT(resources.io_weight)({.section = "resources", .key = "io_weight", .type = integer,
        .min = 1, .max = 10'000, .fallback = "100", .example = "50", .enforcement = not_enforced,
        .applies = kernel,
        .doc = "Share of block I/O when tenants compete. Written on cgroup v2; works, and is then not "
               "listed as not enforced, where the host uses BFQ or io.cost."}),
    TENANTD_AT(resources.io)({.section = "resources", .key = "io", .type = io_list,
        .max = ResourceLimits::max_io, .fallback = "[]",
        .example = "[{ device = \"8:0\", read_bps = \"10M\", write_iops = 500 }]",
        .applies = kernel,
        .doc = "Bounds per block device: `device` (major:minor), `read_bps` and `write_bps` "
               "(sizes), `read_iops` and `write_iops`."}),
  });
}

void add_access(Rows& rows) {
  constexpr auto access = Applies::access;
  rows.insert(rows.end(), {
    TENANTD_AT(access.users)({.section = "access", .key = "users", .type = user_list, .max = 256,
        .fallback = "[]", .example = "[\"root\", 1001]", .applies = access,
        .doc = "Users that may attach. Names are looked up when the file is read."}),
    TENANTD_AT(access.groups)({.section = "access", .key = "groups", .type = group_list, .max = 64,
        .fallback = "[]", .example = "[\"root\", \"1002\"]", .applies = access,
        .doc = "Groups, primary or supplementary, whose members may attach."}),
    TENANTD_AT(access.token_sha256)({.section = "access", .key = "token_sha256",
        .type = digest_list, .max = 32, .fallback = "[]",
        .example = "[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]",
        .applies = access,
        .doc = "SHA-256 of tokens that may attach. A token has at least 128 random bits."}),
    TENANTD_AT(access.operators)({.section = "access", .key = "operators", .type = boolean,
        .fallback = "true", .example = "false", .applies = access,
        .doc = "Whether root and tenantd's own user may attach."}),
  });
}

void add_limits(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(limits.max_requests_per_second)({.section = "limits",
        .key = "max_requests_per_second", .type = integer, .min = 1, .max = 100'000'000,
        .example = "100", .enforcement = not_enforced, .applies = settings,
        .doc = "Requests in one second."}),
    TENANTD_AT(limits.max_requests_per_day)({.section = "limits", .key = "max_requests_per_day",
        .type = integer, .min = 1, .max = 1'000'000'000'000, .example = "1000000",
        .enforcement = not_enforced, .applies = settings,
        .doc = "Requests in one day (UTC)."}),
    TENANTD_AT(limits.max_routes)({.section = "limits", .key = "max_routes", .type = integer,
        .min = 1, .max = 1'000'000, .plan_defaults = {"100", "1000", "10000"}, .example = "1000",
        .applies = settings,
        .doc = "Routes."}),
    TENANTD_AT(limits.max_embeddings)({.section = "limits", .key = "max_embeddings",
        .type = integer, .min = 1, .max = 100'000'000,
        .plan_defaults = {"10000", "1000000", "10000000"}, .example = "1000000",
        .applies = settings,
        .doc = "Utterances of all routes together."}),
    TENANTD_AT(limits.max_storage_bytes)({.section = "limits", .key = "max_storage", .type = size,
        .min = mebibyte, .max = 1024 * tebibyte, .plan_defaults = {"\"1G\"", "\"10G\"", "\"100G\""},
        .example = "\"100G\"", .applies = settings,
        .doc = "Size of the tenant's database."}),
    TENANTD_AT(limits.max_cache_bytes)({.section = "limits", .key = "max_cache_bytes",
        .type = size, .min = 64 * kibibyte, .max = tebibyte, .example = "\"32M\"",
        .applies = settings,
        .doc = "Memory for the tenant's caches, keys and administration included; not there for "
               "routes then. At most half of `memory_max`. Default: 1/16 of `memory_max`."}),
    TENANTD_AT(limits.max_cache_entries)({.section = "limits", .key = "max_cache_entries",
        .type = integer, .min = 1, .max = 10'000'000, .plan_defaults = {"10000", "100000", "1000000"},
        .example = "50000", .applies = settings,
        .doc = "Entries of the tenant's caches."}),
    TENANTD_AT(limits.daily_budget)({.section = "limits", .key = "daily_budget", .type = money,
        .example = "\"500.00 USD\"", .enforcement = not_enforced, .applies = settings,
        .doc = "Spending in one day (UTC)."}),
    TENANTD_AT(limits.monthly_budget)({.section = "limits", .key = "monthly_budget", .type = money,
        .example = "\"10000.00 USD\"", .enforcement = not_enforced, .applies = settings,
        .doc = "Spending in one month (UTC)."}),
    TENANTD_AT(limits.max_concurrent_requests)({.section = "limits",
        .key = "max_concurrent_requests", .type = integer, .min = 1, .max = 1'000'000,
        .example = "50", .applies = settings,
        .doc = "Requests in flight over all attachments. Default: no bound but the rings'."}),
    TENANTD_AT(limits.max_batch_size)({.section = "limits", .key = "max_batch_size",
        .type = integer, .min = 1, .max = 1024, .fallback = "32", .example = "32",
        .applies = settings,
        .doc = "Queries in one request."}),
    TENANTD_AT(limits.max_attachments)({.section = "limits", .key = "max_attachments",
        .type = integer, .min = 1, .max = 4096, .plan_defaults = {"16", "64", "256"},
        .example = "64", .applies = settings,
        .doc = "Attachments at once."}),
  });
}

void add_executions(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(executions.sample)({.section = "executions", .key = "sample", .type = real,
        .real_max = 1, .fallback = "0", .example = "0.1", .applies = settings,
        .doc = "Share of the requests that the tenant's history of executions keeps: when, by whom, "
               "which route, how sure, how long; never a text. 0: none is kept."}),
    TENANTD_AT(executions.max_entries)({.section = "executions", .key = "max_entries",
        .type = integer, .min = 1, .max = 10'000'000,
        .plan_defaults = {"10000", "100000", "1000000"}, .example = "50000", .applies = settings,
        .doc = "Executions kept; the oldest go first. They are not part of `max_storage`: each may "
               "take 512 bytes beside it."}),
  });
}

void add_unenforced(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(security.mfa_required)({.section = "security", .key = "mfa_required",
        .type = boolean, .example = "true", .enforcement = refuse_unless_accepted,
        .doc = "Users must prove a second factor."}),
    TENANTD_AT(security.ip_allowlist)({.section = "security", .key = "ip_allowlist",
        .type = cidr_list, .max = 256, .example = "[\"203.0.113.0/24\", \"2001:db8::/32\"]",
        .enforcement = refuse_unless_accepted,
        .doc = "Networks that may call through HTTP."}),
    TENANTD_AT(security.session_timeout_ms)({.section = "security", .key = "session_timeout",
        .type = duration, .min = 1000, .max = 365 * day_ms, .example = "\"1h\"",
        .enforcement = refuse_unless_accepted,
        .doc = "Idle sessions end after this time."}),
    TENANTD_AT(database.strategy)({.section = "database", .key = "strategy", .type = choice,
        .choices = strategy_names, .example = "\"database_per_tenant\"",
        .enforcement = refuse_unless_accepted, .applies = new_worker,
        .doc = "An external database. Without it a tenant has its own SQLite file."}),
    TENANTD_AT(database.host)({.section = "database", .key = "host", .type = text, .min = 1,
        .max = 253, .example = "\"db1.example.com\"", .enforcement = refuse_unless_accepted,
        .applies = new_worker,
        .doc = "The external database's host."}),
    TENANTD_AT(database.database)({.section = "database", .key = "database", .type = text, .min = 1,
        .max = 63, .example = "\"stratarouter_acme\"", .enforcement = refuse_unless_accepted,
        .applies = new_worker,
        .doc = "Its name there."}),
    TENANTD_AT(database.credentials)({.section = "database", .key = "credentials", .type = path,
        .example = "\"/secrets/acme-db\"", .enforcement = refuse_unless_accepted,
        .applies = new_worker,
        .doc = "The file that holds its credentials."}),
    TENANTD_AT(integrations.providers)({.section = "integrations", .key = "providers",
        .type = text_list, .max = 32, .example = "[\"openai\", \"anthropic\"]",
        .enforcement = not_enforced,
        .doc = "Model providers of the tenant."}),
    TENANTD_AT(integrations.cache_backend)({.section = "integrations", .key = "cache_backend",
        .type = text, .min = 1, .max = 63, .example = "\"redis\"", .enforcement = not_enforced,
        .doc = "An external cache."}),
    TENANTD_AT(integrations.audit_backend)({.section = "integrations", .key = "audit_backend",
        .type = text, .min = 1, .max = 63, .example = "\"splunk\"", .enforcement = not_enforced,
        .doc = "Where audit records go."}),
  });
}

// clang-format on

Rows build_rows() {
  Rows rows;
  rows.reserve(80);
  add_top(rows);
  add_router(rows);
  add_resources(rows);
  add_access(rows);
  add_limits(rows);
  add_physical_tenant_fields(rows);
  add_executions(rows);
  add_unenforced(rows);
  return rows;
}

// Full names of refuse_unless_accepted rows and of their sections.
std::vector<std::string> build_unenforced_names() {
  std::vector<std::string> names;
  const auto add = [&names](std::string name) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  };
  for (const FieldSpec& row : tenant_fields()) {
    if (row.enforcement != refuse_unless_accepted) continue;
    if (!row.section.empty()) add(std::string(row.section));
    add(row.full_name());
  }
  return names;
}

}  // namespace

std::span<const FieldSpec> tenant_fields() {
  static const Rows rows = build_rows();
  return rows;
}

std::span<const std::string_view> unenforced_names() {
  static const std::vector<std::string> names = build_unenforced_names();
  static const std::vector<std::string_view> views(names.begin(), names.end());
  return views;
}

}  // namespace tenantd

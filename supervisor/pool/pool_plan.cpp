#include "supervisor/pool/pool_plan.h"

#include <string>

#include "supervisor/config/reserved_id.h"

namespace tenantd {

TenantId pool_worker_id(std::uint32_t number) {
  std::string name(reserved_id_prefix);
  name.append("pool-").append(std::to_string(number));
  return TenantId::parse(name).value();  // well-formed
}

TenantId probation_worker_id() {
  return TenantId::parse(std::string(reserved_id_prefix) + "pool-probation").value();
}

std::uint32_t worker_of_shard(std::uint32_t shard, std::uint32_t workers) {
  std::uint32_t best = 0;
  std::uint64_t best_weight = 0;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    std::string pair = shard_directory_name(shard);
    pair.append("/").append(pool_worker_id(worker).view());
    const std::uint64_t weight = shard_hash(pair);
    if (worker != 0 && weight <= best_weight) continue;
    best = worker;
    best_weight = weight;
  }
  return best;
}

std::vector<ShardSet> plan_shards(std::uint32_t shard_count, std::uint32_t workers) {
  std::vector<ShardSet> plan(workers);
  if (workers == 0) return plan;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    plan[worker_of_shard(shard, workers)].add(shard);
  }
  return plan;
}

namespace {

// No tenant's, but one that the worker's check of its launch spec passes.
RouterConfig any_router() {
  const RouterSettings defaults;
  RouterConfig router;
  router.dimension = defaults.dimension;
  router.encoder = "hash";
  router.threshold = defaults.threshold;
  router.aggregation = defaults.aggregation;
  router.top_k = defaults.top_k;
  router.prototype_weight = defaults.prototype_weight_e4 / 10'000.0;
  router.dense_weight = defaults.dense_weight;
  router.lexical_weight = defaults.lexical_weight;
  router.rule_weight = defaults.rule_weight;
  router.index = defaults.index;
  router.index_recall = defaults.index_recall_e4 / 10'000.0;
  return router;
}

}  // namespace

TenantConfig pool_worker_config(const TenantId& worker, const DaemonConfig& daemon,
                                const ShardSet& shards, StartMode start) {
  const PoolConfig& pool = daemon.pool;
  TenantConfig config;
  config.id = worker.str();
  config.name = "pooled worker";
  config.plan = Plan::standard;
  config.isolation_level = IsolationLevel::logical;
  config.start = start;
  config.pool = PoolShare{pool.shards, shards, !daemon.prepared_encoders.empty()};
  config.router = any_router();
  config.resources.cpu_millicores = pool.cpu_millicores;
  config.resources.cpu_weight = pool.cpu_weight;
  config.resources.memory_max_bytes = pool.memory_max_bytes;
  config.resources.pids_max = pool.pids_max;
  config.resources.io_weight = 100;
  config.access.operators = false;
  config.limits.max_attachments = pool.max_attachments;
  config.limits.max_storage_bytes = pool.max_shard_bytes;
  config.limits.max_routes = UINT32_MAX;
  config.limits.max_embeddings = UINT64_MAX;
  config.limits.max_batch_size = 1024;
  return config;
}

}  // namespace tenantd

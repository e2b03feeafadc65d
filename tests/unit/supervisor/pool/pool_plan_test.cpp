#include "supervisor/pool/pool_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "supervisor/config/reserved_id.h"

using namespace tenantd;

TEST_CASE("every shard has exactly one worker") {
  for (const std::uint32_t workers : {1U, 2U, 3U, 7U, max_pool_workers}) {
    CAPTURE(workers);
    const auto plan = plan_shards(max_shards, workers);
    REQUIRE(plan.size() == workers);
    for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
      const auto owners = std::count_if(plan.begin(), plan.end(),
                                        [shard](const ShardSet& set) { return set.has(shard); });
      CHECK(owners == 1);
      CHECK(plan[worker_of_shard(shard, workers)].has(shard));
    }
  }
  CHECK(plan_shards(64, 0).empty());
}

TEST_CASE("a worker more takes shards and nobody else gets one; every worker gets its share") {
  for (std::uint32_t workers = 1; workers < 16; ++workers) {
    CAPTURE(workers);
    std::uint32_t moved = 0;
    for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
      const std::uint32_t before = worker_of_shard(shard, workers);
      const std::uint32_t after = worker_of_shard(shard, workers + 1);
      if (before == after) continue;
      CHECK(after == workers);
      ++moved;
    }
    const std::uint32_t even = max_shards / (workers + 1);
    CHECK(moved >= even / 3);
    CHECK(moved <= even * 3);
  }
}

// The plan is written to disk by its effect: another one would move everybody's data.
TEST_CASE("shards and workers of today are those of tomorrow") {
  CHECK(shard_of("acme-corp", 64) == 32);
  const auto plan = plan_shards(64, 2);
  CHECK(plan[0].count() + plan[1].count() == 64);
  CHECK(pool_worker_id(3).view() == "tenantd-pool-3");
  CHECK(is_reserved_id(pool_worker_id(0).view()));
}

TEST_CASE("a pooled worker's launch has the bounds of [pool] and settings that a worker takes") {
  DaemonConfig daemon = default_daemon_config();
  daemon.pool.max_attachments = 77;
  const TenantConfig config =
      pool_worker_config(pool_worker_id(1), daemon, plan_shards(64, 2)[1], StartMode::eager);
  const TenantSettings settings = to_tenant_settings(config);
  CHECK(settings.tenant_id.view() == "tenantd-pool-1");
  CHECK(settings.max_attachments == 77);
  CHECK(settings.max_storage_bytes == daemon.pool.max_shard_bytes);
  RouterSettings defaults;
  CHECK(settings.router.dense_weight == defaults.dense_weight);
  CHECK(settings.router.top_k == defaults.top_k);
  CHECK(settings.router.index_recall_e4 == defaults.index_recall_e4);
  CHECK(to_resource_limits(config).memory_max_bytes == daemon.pool.memory_max_bytes);
  CHECK_FALSE(config.access.operators);
}

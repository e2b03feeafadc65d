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

// A sweep of shards, step by step with a clock of the test's: each tenant by its own bounds,
// whoever sleeps, in steps between which edits may go.
#include "worker/runtime/shard_sweep.h"

#include <doctest/doctest.h>

#include <map>

#include "shared/loop/loop.h"
#include "tests/unit/worker/runtime/desk.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/history_store.h"

namespace tenantd::test {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;
constexpr std::int64_t now_us = 1'790'000'000'000'000;
constexpr std::uint32_t swept_shards = 4;

struct SweptShards {
  TemporaryDirectory directory;
  std::map<std::uint32_t, std::shared_ptr<StoreFile>> files;
  Loop loop;
  EditThread edits{loop, [] { return EditThread::Idle::nothing; }};
  ShardSweep sweep{edits,
                   [this](std::uint32_t shard) {
                     const auto file = files.find(shard);
                     return file == files.end() ? nullptr : file->second;
                   },
                   swept_shards, [] {}};

  HistoryStore store(std::uint32_t shard, const TenantBinding& tenant) {
    auto& file = files[shard];
    if (file == nullptr) {
      file = StoreFile::open(directory.path() + '/' + std::to_string(shard) + ".db").value();
    }
    return {tenant.context().tenant(), file};
  }
  // `count` executions, each a day older than the one before.
  void append(std::uint32_t shard, const std::string& id, std::size_t count, HistoryBounds bounds) {
    const TenantBinding tenant(TenantId::parse(id).value());
    std::vector<ExecutionRecord> records(count);
    for (std::size_t i = 0; i < count; ++i) {
      records[i].time_us = now_us - static_cast<std::int64_t>(i) * day_us;
    }
    REQUIRE(store(shard, tenant).append(tenant.context(), records, {}, bounds));
  }
  HistorySummary summary(std::uint32_t shard, const std::string& id) {
    const TenantBinding tenant(TenantId::parse(id).value());
    return store(shard, tenant).summary(tenant.context(), 10).value();
  }
  int run(std::int64_t at_us) {
    int steps = 1;
    while (sweep.step(at_us)) REQUIRE(++steps < 1000);
    return steps;
  }
};

}  // namespace

TEST_CASE("a sweep deletes of each tenant what its own bounds say, and of nobody else") {
  SweptShards world;
  world.append(0, "month", 40, {30, 0});
  world.append(0, "week", 40, {7, 0});
  world.append(2, "forever", 40, {0, 0});
  world.append(2, "few", 40, {0, 100});
  (void)world.run(now_us);
  CHECK(world.summary(0, "month").executions == 31);
  CHECK(world.summary(0, "week").executions == 8);
  CHECK(world.summary(2, "forever").executions == 40);
  CHECK(world.summary(2, "few").executions == 40);
  const auto deletions = world.summary(0, "week").deletions;
  REQUIRE(deletions.size() == 1);
  CHECK(deletions[0].time_us == now_us);
  CHECK(deletions[0].count == 32);
  CHECK(deletions[0].oldest_us == now_us - 39 * day_us);
  CHECK(deletions[0].newest_us == now_us - 8 * day_us);
  // Again at the same time: nothing. A day later: one more of each.
  (void)world.run(now_us);
  CHECK(world.summary(0, "week").deletions.size() == 1);
  (void)world.run(now_us + day_us);
  CHECK(world.summary(0, "month").executions == 30);
  CHECK(world.summary(0, "week").executions == 7);
  CHECK(world.summary(0, "week").deletions.size() == 2);
}

TEST_CASE("a step deletes a bounded number of rows, so that an edit waits for no more") {
  SweptShards world;
  const std::size_t rows = 3 * HistoryStore::step_rows + 5;
  world.append(1, "long", rows, {1, 0});
  std::uint64_t held = rows;
  while (world.sweep.step(now_us)) {
    const std::uint64_t left = world.summary(1, "long").executions;
    CHECK(held - left <= HistoryStore::step_rows);
    held = left;
  }
  CHECK(held == 2);
  CHECK(world.summary(1, "long").deletions.size() == 1);
}

}  // namespace tenantd::test

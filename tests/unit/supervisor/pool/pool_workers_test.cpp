#include "supervisor/pool/pool_workers.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "pool_fixture.h"
#include "supervisor/launch/pool_directory.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

void check_everybody_has_their_share(PoolWorld& world) {
  const auto plan = plan_shards(world.config.pool.shards, world.config.pool.workers);
  CHECK(world.processes.size() == plan.size());
  for (std::uint32_t i = 0; i < plan.size(); ++i) {
    CAPTURE(i);
    REQUIRE(world.processes.contains(pool_worker_id(i)));
    CHECK(world.processes.at(pool_worker_id(i))->shards() == plan[i]);
  }
}

}  // namespace

TEST_CASE("there are pooled workers while there are standard tenants") {
  PoolWorld world(2);
  world.workers->all_files_read();
  world.settle();
  CHECK(world.tenants->all().empty());
  world.add("acme");
  world.settle();
  check_everybody_has_their_share(world);
  world.pooled->remove_file(TenantId::parse("acme").value());
  world.settle();
  CHECK(world.processes.empty());
  CHECK(world.tenants->all().empty());
}

TEST_CASE("tenants that start on demand start their worker with the first attachment") {
  PoolWorld world(2);
  const TenantId acme = TenantId::parse("acme").value();
  world.add("acme", StartMode::on_demand);
  world.settle();
  CHECK(world.processes.empty());
  CHECK(world.workers->request(acme) == Tenants::Readiness::wait);
  world.settle();
  CHECK(world.processes.size() == 1);
  CHECK(world.processes.contains(world.workers->worker_of(acme)));
  CHECK(world.workers->request(acme) == Tenants::Readiness::now);
  CHECK(world.workers->holder_of(acme) == world.processes.begin()->second);
}

TEST_CASE("another number of workers replaces those whose shards change, and no shard has two") {
  PoolWorld world(2);
  world.add("acme");
  world.workers->all_files_read();
  world.settle();
  world.set_workers(3);
  world.settle();
  check_everybody_has_their_share(world);
  CHECK(world.starts[pool_worker_id(0)] == 2);  // gave some, once
  CHECK(world.starts[pool_worker_id(2)] == 1);  // got all of its own at once
  world.set_workers(2);
  world.settle();
  check_everybody_has_their_share(world);
  CHECK(world.starts[pool_worker_id(0)] == 3);
  world.set_workers(2);
  world.settle();
  CHECK(world.starts[pool_worker_id(0)] == 3);  // nothing changed
}

TEST_CASE("whoever gets shards goes on as it is while their old holder lives") {
  PoolWorld world(3);
  world.add("acme");
  world.workers->all_files_read();
  world.settle();
  std::string moving = "t0";
  const auto moves = [](const std::string& id) {
    return worker_of_shard(shard_of(id, 64), 3) == 2;
  };
  for (int i = 1; !moves(moving); ++i) moving = "t" + std::to_string(i);
  world.add(moving);
  const TenantId id = TenantId::parse(moving).value();
  const Worker* const old_holder = world.workers->holder_of(id);
  world.set_workers(2);
  CHECK(world.draining == std::set<TenantId>{pool_worker_id(2)});
  CHECK(world.workers->holder_of(id) == old_holder);  // who is told of changes until it is gone
  CHECK(world.workers->request(id) == Tenants::Readiness::wait);
  CHECK(world.starts[pool_worker_id(0)] == 1);
  world.settle();
  check_everybody_has_their_share(world);
  CHECK(world.workers->request(id) == Tenants::Readiness::now);
}

TEST_CASE("any order of changes, deaths and drains ends with everybody's share") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 engine(static_cast<std::uint32_t>(seed));
    const auto random = [&engine] { return static_cast<std::uint32_t>(engine()); };
    PoolWorld world(1 + random() % 5);
    world.add("acme");
    world.workers->all_files_read();
    for (int i = 0; i < 60; ++i) {
      if (random() % 8 == 0) world.set_workers(1 + random() % 5);
      if (random() % 10 == 0 && !world.processes.empty()) {
        const auto [id, process] = *world.processes.begin();
        const std::uint64_t generation = process->generation();
        world.processes.erase(world.processes.begin());
        world.draining.erase(id);
        world.tenants->on_died(id, generation, {DeathCause::Kind::signalled, 9}, "");
        world.now += 40'000;  // neither a backoff nor a crash loop
      }
      world.starts_first = random() % 2 == 0;
      (void)world.step();
    }
    world.now += 40'000;
    world.settle();
    check_everybody_has_their_share(world);
  }
}

TEST_CASE(
    "any order of accusations, acquittals, moves and deaths ends with everybody in its shard") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 engine(static_cast<std::uint32_t>(seed));
    const auto random = [&engine] { return static_cast<std::uint32_t>(engine()); };
    PoolWorld world(1 + random() % 4);
    std::vector<TenantId> tenants;
    for (int i = 0; i < 8; ++i) {
      tenants.push_back(TenantId::parse("t" + std::to_string(i)).value());
      world.add(tenants.back().str());
    }
    world.workers->all_files_read();
    for (int i = 0; i < 120; ++i) {
      const TenantId& tenant = tenants[random() % tenants.size()];
      if (random() % 20 == 0) world.set_workers(1 + random() % 4);
      if (random() % 15 == 0) (void)world.pooled->acquit(tenant);
      if (random() % 6 == 0) {
        const TenantId worker = world.workers->worker_of(tenant);
        Worker* const holder = world.workers->holder_of(tenant);
        if (holder != nullptr && world.processes.contains(worker) &&
            world.processes.at(worker) == holder) {
          world.draining.erase(worker);
          world.crash(worker);
          world.pooled->accuse(tenant, worker, "signal 11");
          world.now += 40'000;
        }
      }
      world.starts_first = random() % 2 == 0;
      world.moves_work = random() % 3 != 0;
      (void)world.step();
    }
    world.moves_work = true;
    world.now += 40'000;
    world.settle();
    const std::uint32_t workers = world.config.pool.workers;
    std::vector<ShardSet> expected = plan_shards(world.config.pool.shards, workers);
    expected.emplace_back();
    for (const auto& [tenant, own] : world.own.all()) {
      CHECK(own.moved);
      const bool accused = world.pooled->find(tenant)->deaths > 0;
      expected[accused ? workers : worker_of_shard(own.shard, workers)].add(own.shard);
    }
    for (std::uint32_t i = 0; i <= workers; ++i) {
      CAPTURE(i);
      const TenantId id = i == workers ? probation_worker_id() : pool_worker_id(i);
      CHECK(world.processes.contains(id) == !expected[i].empty());
      if (world.processes.contains(id)) CHECK(world.processes.at(id)->shards() == expected[i]);
    }
  }
}

TEST_CASE("nothing is lost as the number of workers goes from 1 to 3 to 2") {
  std::string state = "/tmp/tenantd-pool-XXXXXX";
  REQUIRE(::mkdtemp(state.data()) != nullptr);
  const UidAllocator uids(0, 1, false);
  PoolWorld world(1);
  const std::uint32_t shards = world.config.pool.shards;
  world.on_start = [&](const TenantId& id, const PoolShare& share) {
    const auto uid = prepare_pool_directory(state, id, share.shard_count, share.shards, uids);
    REQUIRE_MESSAGE(uid, uid.error().describe());
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      const std::string directory =
          pool_directory_path(state, id) + "/" + shard_directory_name(shard);
      CHECK(std::filesystem::exists(directory) == share.shards.has(shard));
      if (!share.shards.has(shard)) continue;
      std::ofstream(directory + "/routes.db", std::ios::app) << shard << '\n';
    }
  };
  world.add("acme");
  world.workers->all_files_read();
  world.settle();
  for (const std::uint32_t count : {3U, 2U}) {
    world.set_workers(count);
    world.settle();
    check_everybody_has_their_share(world);
  }
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    const std::string path = pool_directory_path(state, pool_worker_id(worker_of_shard(shard, 2))) +
                             "/" + shard_directory_name(shard) + "/routes.db";
    CAPTURE(path);
    std::ifstream file(path);
    std::string line;
    int lines = 0;
    while (std::getline(file, line)) {
      CHECK(line == std::to_string(shard));
      ++lines;
    }
    CHECK(lines >= 1);  // its first owner's mark is still there
    CHECK(lines <= 3);
  }
  std::filesystem::remove_all(state);
}

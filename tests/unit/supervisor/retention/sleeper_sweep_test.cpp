#include "supervisor/retention/sleeper_sweep.h"

#include "tests/unit/supervisor/retention/sweep_fixture.h"

namespace tenantd::test {

namespace {
constexpr std::uint64_t minute_ms = 60'000;
constexpr std::uint64_t hour_ms = 60 * minute_ms;
constexpr std::uint64_t day_ms = 24 * hour_ms;
}  // namespace

TEST_CASE("a tenant that sleeps is woken once a day and sleeps again") {
  SweepWorld world;
  world.add("acme");
  const std::uint64_t begin = world.now;
  world.run_until(begin + 11'000);
  CHECK(world.phase("acme") == Phase::running);
  world.run_until(begin + minute_ms);
  CHECK(world.phase("acme") == Phase::sleeping);
  CHECK(world.starts["acme"] == 1);
  world.run_until(begin + day_ms - minute_ms);
  CHECK(world.starts["acme"] == 1);
  // In between it was looked whether others sleep by now: once an hour, no more.
  CHECK(world.runs <= 28 + 30);  // and meanwhile the worker was asked, once a second
  world.run_until(begin + 5 * day_ms - minute_ms);
  CHECK(world.starts["acme"] == 5);
  CHECK(world.phase("acme") == Phase::sleeping);
}

TEST_CASE("a supervisor that starts anew wakes nobody before a day is over") {
  SweepWorld world;
  world.add("acme");
  const std::uint64_t begin = world.now;
  world.run_until(begin + hour_ms);
  REQUIRE(world.starts["acme"] == 1);
  world.restart();
  world.next_run = world.now;
  world.run_until(begin + day_ms - hour_ms);
  CHECK(world.starts["acme"] == 1);
  world.run_until(begin + day_ms + hour_ms);
  CHECK(world.starts["acme"] == 2);
}

TEST_CASE("who has been asked for meanwhile stays awake") {
  SweepWorld world;
  world.add("acme");
  const std::uint64_t begin = world.now;
  world.run_until(begin + 11'000);
  const auto readiness = world.tenants->request_worker(named("acme"));
  REQUIRE(readiness);
  CHECK(*readiness == Tenants::Readiness::now);
  world.run_until(begin + 3 * day_ms);
  CHECK(world.phase("acme") == Phase::running);
  CHECK(world.starts["acme"] == 1);
}

TEST_CASE("who is asked for while its worker goes gets another") {
  SweepWorld world;
  world.add("acme");
  world.run_until(world.now + 11'000);
  world.now += 30'000;
  (void)world.sweep->run();  // asks
  world.now += 1'000;
  (void)world.sweep->run();
  REQUIRE(world.phase("acme") == Phase::resting);
  const auto readiness = world.tenants->request_worker(named("acme"));
  REQUIRE(readiness);
  CHECK(*readiness == Tenants::Readiness::wait);
  world.settle();
  CHECK(world.phase("acme") == Phase::running);
  CHECK(world.starts["acme"] == 2);
}

TEST_CASE("a file that says eager meanwhile keeps it awake, one that is removed ends it") {
  SweepWorld world;
  world.add("acme");
  world.add("globex");
  world.run_until(world.now + 11'000);
  world.add("acme", StartMode::eager);
  world.tenants->remove_file(named("globex"));
  world.run_until(world.now + hour_ms);
  CHECK(world.phase("acme") == Phase::running);
  CHECK(world.phase("globex") == Phase::count);
  CHECK(world.starts["globex"] == 1);
}

TEST_CASE("few at a time, and all get their turn") {
  SweepWorld world;
  for (int i = 0; i < 40; ++i) world.add("t" + std::to_string(i));
  world.run_until(world.now + hour_ms);
  CHECK(world.most_alive == SleeperSweep::max_awake);
  for (int i = 0; i < 40; ++i) CHECK(world.starts["t" + std::to_string(i)] == 1);
  CHECK(world.tenants->running() == 0);
}

TEST_CASE("nobody is woken for nothing") {
  SweepWorld world;
  world.add("no-retention", StartMode::on_demand, std::nullopt);
  world.without_data.insert(named("never-opened"));
  world.add("never-opened");
  world.change = [](TenantConfig& config) { config.physical.program_path = "/opt/own-worker"; };
  world.add("own-program");
  world.run_until(world.now + 3 * day_ms);
  CHECK(world.starts.empty());
}

TEST_CASE("who was quarantined or refused is left alone") {
  SweepWorld world;
  world.broken.insert(named("acme"));
  world.add("acme", StartMode::eager);
  for (int i = 0; i < 100 && world.phase("acme") != Phase::quarantined; ++i) {
    world.now += minute_ms / 60;
    world.settle();
  }
  REQUIRE(world.phase("acme") == Phase::quarantined);
  const int before = world.starts["acme"];
  world.tenants->reject_file(named("invalid"), "broken");
  world.next_run = world.now;
  world.run_until(world.now + 3 * day_ms);
  CHECK(world.phase("acme") == Phase::quarantined);
  CHECK(world.starts["acme"] == before);
  CHECK(world.starts.count("invalid") == 0);
}

TEST_CASE("where max_workers are there it waits, and comes when there is room") {
  SweepWorld world(1);
  world.add("busy", StartMode::eager);
  world.add("acme");
  world.run_until(world.now + 2 * day_ms);
  CHECK(world.starts["acme"] == 0);
  world.tenants->remove_file(named("busy"));
  world.run_until(world.now + hour_ms);
  CHECK(world.starts["acme"] == 1);
  CHECK(world.phase("acme") == Phase::sleeping);
}

TEST_CASE("who never says that it is done is awake for ten minutes, a pooled worker as any") {
  SweepWorld world;
  world.sweep_takes_ms = day_ms;
  world.change = [](TenantConfig& config) { config.pool.emplace(); };
  world.add("acme", StartMode::on_demand, std::nullopt);
  const std::uint64_t begin = world.now;
  world.run_until(begin + 9 * minute_ms);
  CHECK(world.phase("acme") == Phase::running);
  world.run_until(begin + 11 * minute_ms);
  CHECK(world.phase("acme") == Phase::sleeping);
}

}  // namespace tenantd::test

#include "supervisor/pool/pooled_tenants.h"

#include "pool_fixture.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

const TenantId acme = TenantId::parse("acme").value();

TenantConfig standard_tenant(const TenantId& id) {
  TenantConfig config;
  config.id = id.str();
  config.name = id.str();
  config.plan = Plan::standard;
  config.start = StartMode::eager;
  config.router.dimension = 384;
  config.router.encoder = "hash";
  return config;
}

}  // namespace

TEST_CASE("a broken file leaves the last good one in force") {
  PoolWorld world(2);
  world.add("acme");
  world.pooled->reject_file(acme, "line 3: nonsense");
  world.pooled->reject_file(acme, "line 3: nonsense");
  const PooledTenant* const tenant = world.pooled->find(acme);
  REQUIRE(tenant != nullptr);
  CHECK(tenant->config_error == "line 3: nonsense");
  CHECK(tenant->settings.router.dimension == 384);
  CHECK(world.journalled[EventType::config_rejected] == 1);
  world.add("acme");
  CHECK(tenant->config_error.empty());
  CHECK(world.journalled[EventType::config_applied] >= 2);
}

TEST_CASE("the worker that has the tenant hears of changes and of its end, and of nothing else") {
  PoolWorld world(2);
  world.add("acme");
  world.settle();
  world.add("acme");
  CHECK(world.updated.empty());
  TenantConfig config = standard_tenant(acme);
  config.router.threshold = 0.25;
  world.pooled->apply_file(acme, config);
  CHECK(world.updated == std::vector<std::string>{"acme"});
  CHECK(world.released.empty());
  config.access.users = {7};  // the supervisor's business alone
  world.pooled->apply_file(acme, config);
  CHECK(world.updated.size() == 1);
  CHECK(world.pooled->find(acme)->access.users == std::vector<std::uint32_t>{7});
  config.router.dimension = 768;  // another router: opened anew by its next attachment
  world.pooled->apply_file(acme, config);
  CHECK(world.updated.size() == 1);
  CHECK(world.released == std::vector<std::string>{"acme"});
  world.pooled->remove_file(acme);
  CHECK(world.released.size() == 2);
  CHECK(world.pooled->find(acme) == nullptr);
  CHECK(world.journalled[EventType::tenant_removed] >= 1);
}

TEST_CASE("those whose worker runs are counted") {
  PoolWorld world(2);
  for (int i = 0; i < 50; ++i) world.add("t" + std::to_string(i));
  CHECK(world.pooled->served() == 0);
  world.settle();
  CHECK(world.pooled->served() == 50);
  world.pooled->remove_file(TenantId::parse("t7").value());
  CHECK(world.pooled->served() == 49);
  world.set_workers(3);  // those whose shard moves have no worker for a while
  CHECK(world.pooled->served() < 49);
  world.settle();
  CHECK(world.pooled->served() == 49);
}

TEST_CASE("new is who comes after the first reading of all files, and once") {
  PoolWorld world(2);
  for (int i = 0; i < 50; ++i) world.add("t" + std::to_string(i));
  world.pooled->settle();
  CHECK(world.onboarded.empty());
  world.add("late");
  world.add("late", StartMode::on_demand);
  world.add("t7", StartMode::on_demand);
  CHECK(world.onboarded == std::vector<std::string>{"late"});
  world.pooled->remove_file(TenantId::parse("late").value());
  world.add("late");
  CHECK(world.onboarded.size() == 2);
}

TEST_CASE("a flood of files is told in one sum") {
  PoolWorld world(2);
  static constexpr int files = 5000;
  for (int i = 0; i < files; ++i) world.add("t" + std::to_string(i), StartMode::on_demand);
  world.pooled->settle();
  CHECK(world.pooled->all().size() == files);
  CHECK(world.untold == files - static_cast<int>(PooledTenants::told_at_once));
  world.now += 1000;
  world.pooled->settle();
  CHECK(world.untold == files - static_cast<int>(PooledTenants::told_at_once));  // told once
  const int before = world.journalled[EventType::config_applied];
  world.add("late", StartMode::on_demand);
  CHECK(world.journalled[EventType::config_applied] == before + 1);
}

#include "supervisor/physical/physical_host.h"

#include <random>

#include "physical_fixture.h"

using namespace tenantd;

namespace {

PhysicalHost host_with(const std::string& cpus, std::uint64_t memory_bytes = 8ULL << 30U,
                       PhysicalAbilities abilities = {false, true, ""}) {
  const HostTopology host = two_node_host();
  const CpuSet dedicated = *CpuSet::parse(cpus);
  return {host, {dedicated, host.online.without(dedicated), memory_bytes}, std::move(abilities)};
}

std::string refusal_of(PhysicalHost& host, const std::string& tenant, const TenantConfig& config) {
  const auto allotment = host.allot(tenant_named(tenant), config);
  if (allotment) return "allotted " + allotment->cpus.str();
  CHECK(allotment.error().code == ErrorCode::unsupported);
  return allotment.error().message;
}

std::string cpus_of(PhysicalHost& host, const std::string& tenant, std::uint32_t count) {
  const auto allotment = host.allot(tenant_named(tenant), platinum(count));
  REQUIRE(allotment);
  return allotment->cpus.str();
}

}  // namespace

TEST_CASE("whole cores of one node are preferred") {
  PhysicalHost host = host_with("1-7,10-13");
  CHECK(cpus_of(host, "acme", 2) == "10-11");  // the node with the least room that fits
  CHECK(cpus_of(host, "globex", 1) == "12");
  CHECK(cpus_of(host, "initech", 1) == "13");  // a core that is broken already
  CHECK(cpus_of(host, "hooli", 3) == "1-3");   // 1's sibling is not set aside: 1 spoils nothing
  CHECK(cpus_of(host, "umbrella", 4) == "4-7");
  CHECK(host.used_cpus().str() == "1-7,10-13");
}

TEST_CASE("more than one node has is taken from both") {
  PhysicalHost host = host_with("4-7,8-11");
  const auto allotment = host.allot(tenant_named("acme"), platinum(6));
  REQUIRE(allotment);
  CHECK(allotment->cpus.count() == 6);
  CHECK(allotment->nodes.str() == "0-1");
}

TEST_CASE("what cannot be given is refused with numbers") {
  PhysicalHost host = host_with("2-4");
  CHECK(cpus_of(host, "acme", 2) == "2-3");
  CHECK(refusal_of(host, "globex", platinum(2)) ==
        "wants 2 CPUs of its own; 1 of the 3 set aside (2-4) is free: acme has 2-3");
  TenantConfig far = platinum(1);
  far.physical.numa_node = 1;
  CHECK(refusal_of(host, "initech", far) ==
        "wants 1 CPU of its own of NUMA node 1; 0 of the 0 set aside are free: acme has 2-3");
  far.physical.numa_node = 7;
  CHECK(refusal_of(host, "initech", far) == "wants NUMA node 7; this host has 0-1");
  CHECK(host.take_refused() == std::set{tenant_named("globex"), tenant_named("initech")});
  CHECK(host.take_refused().empty());
  CHECK(host.release(tenant_named("acme")));
  CHECK_FALSE(host.release(tenant_named("acme")));
  CHECK(cpus_of(host, "globex", 2) == "2-3");

  PhysicalHost nothing = host_with("");
  CHECK(refusal_of(nothing, "acme", platinum(1)) ==
        "wants 1 CPU of its own; tenantd.toml sets none aside");
  CHECK(nothing.allot(tenant_named("acme"), platinum(0))->empty());
}

TEST_CASE("memory is guaranteed up to what is set aside, by default all of the tenant's") {
  PhysicalHost host = host_with("2-4", 4ULL << 30U);
  CHECK(host.allot(tenant_named("acme"), platinum(0, 3ULL << 30U)));
  TenantConfig by_default = platinum(0);
  by_default.physical.guaranteed_memory_bytes.reset();
  by_default.resources.memory_max_bytes = 2ULL << 30U;
  CHECK(refusal_of(host, "globex", by_default) ==
        "wants 2G of memory guaranteed; 1G of the 4G that tenantd.toml sets aside is free: acme "
        "has 3G");
  host.set_memory(5ULL << 30U);
  CHECK(host.allot(tenant_named("globex"), by_default)->guaranteed_memory_bytes == 2ULL << 30U);
  CHECK(host.guaranteed_bytes() == 5ULL << 30U);
  host.set_memory(1ULL << 50U);
  CHECK(host.set_aside().memory_bytes == 64ULL << 30U);  // what there is

  PhysicalHost old = host_with("2-4", 4ULL << 30U, {false, true, "cannot guarantee memory"});
  CHECK(refusal_of(old, "acme", platinum(1, 1)) == "cannot guarantee memory");
  CHECK(old.allotted().empty());
  CHECK(old.allot(tenant_named("acme"), platinum(1, 0)));
}

TEST_CASE("a node's memory needs a group that can say so") {
  TenantConfig config = platinum(0);
  config.physical.numa_node = 1;
  PhysicalHost host = host_with("2-4");
  CHECK(host.allot(tenant_named("acme"), config)->nodes.str() == "1");
  PhysicalHost bare = host_with("2-4", 0, {false, false, ""});
  CHECK(refusal_of(bare, "acme", config).find("NUMA node 1") != std::string::npos);
}

TEST_CASE("a tenant keeps its CPUs over restarts, and survivors keep theirs") {
  PhysicalHost host = host_with("2-7");
  const Allotment survivor{CpuSet::of({5, 6}), {}, 0, false};
  host.restore(tenant_named("acme"), survivor);
  CHECK(cpus_of(host, "globex", 4) == "2-4,7");
  CHECK(cpus_of(host, "acme", 2) == "5-6");
  CHECK(host.release(tenant_named("globex")));
  CHECK(cpus_of(host, "acme", 2) == "5-6");
  CHECK(host.still_set_aside(survivor));
  CHECK_FALSE(host.still_set_aside({CpuSet::of({7, 8}), {}, 0, false}));
  CHECK_FALSE(host.still_set_aside({CpuSet::of({6}), {}, 0, true}));
  // Another level has nothing.
  TenantConfig premium;
  premium.isolation_level = IsolationLevel::process;
  CHECK(host.allot(tenant_named("acme"), premium)->empty());
  CHECK(host.allotted().empty());
}

TEST_CASE("no CPU is two tenants', and a refusal is never wrong") {
  const unsigned seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    CpuSet dedicated;
    for (std::uint32_t cpu = 1; cpu < 16; ++cpu) {
      if (random() % 3 != 0) dedicated.add(cpu);
    }
    PhysicalHost host = host_with(dedicated.str(), random() % 10);
    for (int step = 0; step < 40; ++step) {
      const TenantId tenant = tenant_named("t" + std::to_string(random() % 6));
      if (random() % 3 == 0) {
        (void)host.release(tenant);
        continue;
      }
      const auto count = static_cast<std::uint32_t>(random() % 6);
      TenantConfig config = platinum(count, random() % 6);
      if (random() % 4 == 0) config.physical.numa_node = static_cast<std::uint32_t>(random() % 2);
      CpuSet free = dedicated;
      std::uint64_t free_bytes = host.set_aside().memory_bytes;
      for (const auto& [other, has] : host.allotted()) {
        if (other == tenant) continue;
        free = free.without(has.cpus);
        free_bytes -= has.guaranteed_memory_bytes;
      }
      if (config.physical.numa_node) {
        free = free.common(host.topology().node(*config.physical.numa_node)->cpus);
      }
      const bool possible =
          free.count() >= count && *config.physical.guaranteed_memory_bytes <= free_bytes;
      const auto allotment = host.allot(tenant, config);
      REQUIRE(allotment.has_value() == possible);
      if (allotment) CHECK(allotment->cpus.count() == count);
      if (allotment) CHECK(free.contains(allotment->cpus));
      CpuSet seen;
      for (const auto& [other, has] : host.allotted()) {
        REQUIRE_FALSE(seen.meets(has.cpus));
        seen = seen.with(has.cpus);
      }
      CHECK(host.guaranteed_bytes() <= host.set_aside().memory_bytes);
    }
  }
}

#include "supervisor/physical/set_aside.h"

#include "physical_fixture.h"

using namespace tenantd;

namespace {

std::string refusal(const std::string& cpus, const CpuSet& allowed,
                    std::uint64_t memory_bytes = 0) {
  PhysicalHostConfig config;
  config.cpus = cpus;
  config.memory_bytes = memory_bytes;
  const auto aside = check_set_aside(config, two_node_host(), allowed);
  if (aside) return {};
  CHECK(aside.error().code == ErrorCode::invalid_config);
  return aside.error().message;
}

}  // namespace

TEST_CASE("what is set aside leaves the rest to everything else") {
  PhysicalHostConfig config;
  config.cpus = "2-5";
  config.memory_bytes = 1U << 30U;
  const auto aside = check_set_aside(config, two_node_host(), *CpuSet::parse("0-7"));
  REQUIRE(aside);
  CHECK(aside->dedicated.str() == "2-5");
  CHECK(aside->shared.str() == "0-1,6-7");
  CHECK(aside->memory_bytes == 1U << 30U);
  config.cpus = "";
  CHECK(check_set_aside(config, two_node_host(), *CpuSet::parse("0-7"))->shared.empty());
}

TEST_CASE("what is not there cannot be set aside") {
  const CpuSet all = two_node_host().online;
  CHECK(refusal("2-16", all) == "[physical] cpus = \"2-16\": 16 is not online, 0-15 are");
  CHECK(refusal("2-5", *CpuSet::parse("0-3")) ==
        "[physical] cpus = \"2-5\": tenantd itself may not use 4-5, only 0-3");
  CHECK(refusal("0-15", all) ==
        "[physical] cpus = \"0-15\": no CPU of 0-15 is left for everything else");
  CHECK(refusal("5-2", all).find("'5-2' is not a CPU or a range of CPUs") != std::string::npos);
  CHECK(refusal("", all, 65ULL << 30U) ==
        "[physical] memory = 65G is more than the 64G that this host has");
}

#include "shared/base/cpu_set.h"

#include <doctest/doctest.h>

#include <random>

using namespace tenantd;

TEST_CASE("CPUs are read and written as the kernel writes them") {
  CHECK(CpuSet::parse("2-5,8")->list() == std::vector<std::uint32_t>{2, 3, 4, 5, 8});
  CHECK(CpuSet::parse("8,2-4,5\n")->str() == "2-5,8");
  CHECK(CpuSet::parse("0")->str() == "0");
  CHECK(CpuSet::parse("0-1023")->count() == 1024);
  CHECK(CpuSet::parse("")->empty());
  CHECK(CpuSet::parse(" \n")->str().empty());
}

TEST_CASE("what is no set of CPUs is refused") {
  for (const char* text : {",", "1,", ",1", "1,,2", "a", "-1", "1-", "5-2", "1024", "0-1024", "1 2",
                           "1-2-3", "+1", "0x1", "4294967296", "1;2"}) {
    INFO(text);
    const auto set = CpuSet::parse(text);
    REQUIRE_FALSE(set);
    CHECK(set.error().code == ErrorCode::invalid_argument);
  }
}

TEST_CASE("arithmetic of sets") {
  const CpuSet all = *CpuSet::parse("0-7");
  const CpuSet some = *CpuSet::parse("2-3,9");
  CHECK(all.with(some).str() == "0-7,9");
  CHECK(all.without(some).str() == "0-1,4-7");
  CHECK(all.common(some).str() == "2-3");
  CHECK(all.meets(some));
  CHECK_FALSE(all.contains(some));
  CHECK(all.contains(all.common(some)));
  CHECK(all.first(3).str() == "0-2");
  CHECK(all.first(99) == all);
  CHECK_FALSE(all.has(5000));
}

TEST_CASE("a set survives its text") {
  const unsigned seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    CpuSet set;
    const std::uint64_t density = 1 + random() % 40;
    for (std::uint32_t cpu = 0; cpu < CpuSet::max_cpus; ++cpu) {
      if (random() % density == 0) set.add(cpu);
    }
    const auto again = CpuSet::parse(set.str());
    REQUIRE(again);
    CHECK(*again == set);
  }
}

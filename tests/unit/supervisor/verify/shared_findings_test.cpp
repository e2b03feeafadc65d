#include "supervisor/verify/shared_findings.h"

#include <doctest/doctest.h>

#include "supervisor/verify/row_tenants.h"

using namespace tenantd;

TEST_CASE("what was found is said of others for a while, with whose it is and how old") {
  SharedFindings shared(3);
  const SharedPlace place{"tenantd-pool-0", 7};
  CHECK_FALSE(shared.recall(place, 1, 1000));
  shared.keep(place, 1, passed("EPERM"), 1000);
  CHECK_FALSE(shared.recall(place, 2, 1000));
  const auto known = shared.recall(place, 1, 1000 + 12'400);
  REQUIRE(known);
  CHECK(known->outcome == ProbeOutcome::passed);
  CHECK(known->evidence == "tenantd-pool-0, 12 s ago: EPERM");
  CHECK(SharedFindings::said_of(place, passed("EPERM")).evidence == "tenantd-pool-0: EPERM");
  CHECK(shared.recall(place, 1, 1000 + SharedFindings::kept_ms));
  CHECK_FALSE(shared.recall(place, 1, 1001 + SharedFindings::kept_ms));
}

TEST_CASE("of another run or another place nothing is known, and a failure is kept as well") {
  SharedFindings shared(1);
  shared.keep({"tenantd-pool-0", 7}, 0, failed("it succeeded"), 0);
  CHECK(shared.recall({"tenantd-pool-0", 7}, 0, 5)->outcome == ProbeOutcome::failed);
  CHECK_FALSE(shared.recall({"tenantd-pool-0", 8}, 0, 5));
  CHECK_FALSE(shared.recall({"tenantd-pool-1", 7}, 0, 5));
  shared.keep({"tenantd-pool-0", 8}, 0, passed("EPERM"), 6);
  CHECK_FALSE(shared.recall({"tenantd-pool-0", 7}, 0, 7));
}

TEST_CASE("places are bounded") {
  SharedFindings shared(1);
  for (std::size_t i = 0; i <= SharedFindings::max_places; ++i) {
    shared.keep({"place " + std::to_string(i), 1}, 0, passed("so"), 0);
  }
  CHECK_FALSE(shared.recall({"place 0", 1}, 0, 0));
  CHECK(shared.recall({"place " + std::to_string(SharedFindings::max_places), 1}, 0, 0));
}

TEST_CASE("planted tenants fall into their shard, and no file can be theirs") {
  for (const std::uint32_t count : {1U, default_shards, max_shards}) {
    for (std::uint32_t shard = 0; shard < count; ++shard) {
      const TenantId intruder = row_tenant_id(RowSide::intruder, shard, count);
      const TenantId owner = row_tenant_id(RowSide::owner, shard, count);
      CHECK(shard_of(intruder.view(), count) == shard);
      CHECK(shard_of(owner.view(), count) == shard);
      CHECK(intruder != owner);
      CHECK(is_reserved_id(intruder.view()));
      CHECK(is_reserved_id(owner.view()));
      CHECK(row_tenant_settings(owner).tenant_id.view() == owner.view());
    }
  }
}

TEST_CASE("who asks twice is not told the same finding twice, and a failure is never told again") {
  SharedFindings shared(2);
  AnsweredTenants answered;
  const SharedPlace place{"tenantd-pool-0", 1};
  const TenantId acme = TenantId::parse("acme").value();
  const TenantId globex = TenantId::parse("globex").value();
  shared.keep(place, 0, passed("EPERM"), 1010);  // for acme
  shared.keep(place, 1, failed("it forked"), 1010);
  answered.answered(acme, 1010);
  CHECK(shared.recall(place, 0, 2000, answered.wanted(globex)));
  CHECK_FALSE(shared.recall(place, 1, 2000, answered.wanted(globex)));
  CHECK(shared.recall(place, 1, 2000));  // of a round
  answered.answered(globex, 2000);
  CHECK_FALSE(shared.recall(place, 0, 3000, answered.wanted(acme)));
  CHECK_FALSE(shared.recall(place, 0, 3000, answered.wanted(globex)));
  // Found for the second request of one tenant it serves the second of the other.
  shared.keep(place, 0, passed("EPERM"), 4010);
  CHECK(shared.recall(place, 0, 5000, answered.wanted(globex)));
}

TEST_CASE("tenants that were answered are forgotten beyond a bound") {
  AnsweredTenants answered;
  const TenantId acme = TenantId::parse("acme").value();
  answered.answered(acme, 1);
  for (std::size_t i = 0; i < AnsweredTenants::max_tenants * 2; ++i) {
    answered.answered(TenantId::parse("t" + std::to_string(i)).value(), 2);
  }
  CHECK(answered.wanted(acme).found_after_ms == 0);
}

// New standard tenants: one at a time, paced, bounded.
#include "supervisor/verify/newcomers.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace tenantd;

namespace {

TenantId id(const std::string& text) { return TenantId::parse(text).value(); }
Newcomers::Fitness ready(const TenantId&) { return Newcomers::Fitness::ready; }

}  // namespace

TEST_CASE("a hundred thousand at once are a bounded number, and the rest is counted once") {
  Newcomers newcomers;
  std::size_t taken_in = 0;
  for (int i = 0; i < 100'000; ++i) taken_in += newcomers.add(id("t" + std::to_string(i))) ? 1 : 0;
  CHECK(taken_in == Newcomers::max_waiting);
  CHECK(newcomers.take_left_out() == 100'000 - Newcomers::max_waiting);
  CHECK(newcomers.take_left_out() == 0);
  std::uint64_t now_ms = 5;
  std::set<std::string> verified;
  while (!newcomers.empty()) {
    const auto tenant = newcomers.take(now_ms, ready);
    REQUIRE(tenant);
    CHECK(verified.insert(tenant->str()).second);
    CHECK_FALSE(newcomers.take(now_ms + Newcomers::pace_ms - 1, ready));
    now_ms += Newcomers::pace_ms;
  }
  CHECK(verified.size() == Newcomers::max_waiting);
}

TEST_CASE(
    "who waits for its worker waits, who is gone is forgotten, and a second file is no second") {
  Newcomers newcomers;
  CHECK_FALSE(newcomers.wait_ms(0));
  for (const char* name : {"asleep", "gone", "ready"}) CHECK(newcomers.add(id(name)));
  CHECK(newcomers.add(id("ready")));
  CHECK(newcomers.wait_ms(0) == 0);
  const auto judge = [](const TenantId& tenant) {
    if (tenant.view() == "gone") return Newcomers::Fitness::gone;
    return tenant.view() == "ready" ? Newcomers::Fitness::ready : Newcomers::Fitness::not_yet;
  };
  CHECK(newcomers.take(100, judge) == id("ready"));
  CHECK(newcomers.wait_ms(100) == Newcomers::pace_ms);
  CHECK_FALSE(newcomers.take(100 + Newcomers::pace_ms, judge));
  CHECK_FALSE(newcomers.empty());
  CHECK(newcomers.take(100 + Newcomers::pace_ms, ready) == id("asleep"));
  CHECK(newcomers.empty());
}

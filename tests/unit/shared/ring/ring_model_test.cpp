// Every interleaving of both sides' steps: no wake-up is lost, and each guard is needed for that.
#include "tests/unit/shared/ring/ring_model.h"

#include <doctest/doctest.h>

using namespace tenantd::test;

namespace {

constexpr std::uint8_t requests = 3;  // one sleep's leftovers reach into the next

RingModelOutcome explore(const RingModelRules& rules) {
  return RingModel(rules, requests).explore();
}

}  // namespace

TEST_CASE("no interleaving loses a wake-up, or rings more often than there are sleeps") {
  const RingModelOutcome outcome = explore({});
  CHECK(outcome.lost_wakeups == 0);
  CHECK_FALSE(outcome.rang_awake_peer);
  CHECK(outcome.states > 1'000);  // it searched
}

TEST_CASE("without any one of its guards the protocol loses wake-ups, and the search finds it") {
  RingModelRules rules;
  SUBCASE("the publisher's fence") { rules.publisher_fence = false; }
  SUBCASE("the sleeper's fence") { rules.sleeper_fence = false; }
  SUBCASE("the second look") { rules.sleeper_looks_again = false; }
  SUBCASE("the futex word read first") { rules.word_before_flag = false; }
  SUBCASE("sleeps are counted") { rules.sleeps_are_counted = false; }
  CHECK(explore(rules).lost_wakeups > 0);
}

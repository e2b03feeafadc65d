#include "supervisor/tenant/restart_policy.h"

#include <doctest/doctest.h>

using namespace tenantd;

namespace {

constexpr RestartPolicyConfig settings{.backoff_min_ms = 100,
                                       .backoff_max_ms = 2000,
                                       .crash_loop_count = 6,
                                       .crash_loop_window_ms = 60'000};

}  // namespace

TEST_CASE("the delay doubles within 25 percent, up to its maximum, then quarantine") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    RestartPolicy policy;
    std::uint64_t now_ms = 1'000'000;
    for (const std::uint64_t nominal : {100, 200, 400, 800, 1600}) {
      const RestartDecision decision = policy.on_death(now_ms, settings, random);
      CHECK(!decision.quarantine);
      CHECK(decision.delay_ms >= nominal - nominal / 4);
      CHECK(decision.delay_ms <= nominal + nominal / 4);
      now_ms += 1000;
    }
    const RestartDecision last = policy.on_death(now_ms, settings, random);
    CHECK(last.quarantine);
    CHECK(last.deaths == 6);
  }
}

TEST_CASE("tenants that die together do not return together") {
  std::mt19937_64 random(7);
  std::uint64_t shortest = UINT64_MAX;
  std::uint64_t longest = 0;
  for (int i = 0; i < 100; ++i) {
    RestartPolicy policy;
    const std::uint64_t delay = policy.on_death(5000, settings, random).delay_ms;
    shortest = std::min(shortest, delay);
    longest = std::max(longest, delay);
  }
  CHECK(longest - shortest > 25);
}

TEST_CASE("deaths outside the window are forgotten, and so are all on reset") {
  std::mt19937_64 random(7);
  RestartPolicy policy;
  for (int i = 0; i < 100; ++i) {
    const RestartDecision decision =
        policy.on_death(static_cast<std::uint64_t>(i) * 20'000, settings, random);
    CHECK(!decision.quarantine);
    CHECK(decision.deaths <= 4);
  }
  policy.reset();
  CHECK(policy.on_death(2'000'000, settings, random).deaths == 1);
}
